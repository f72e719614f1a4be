"""What would happen to a message, said before anybody sends it.

Asked by `m365gw explain`; answered by the code that sessions ask, in their order: login, MAIL,
RCPT, message. What only the moment decides (passwords, rates used up, free space) is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from attrs import define, field, frozen

from m365gw.config.settings import Client, Listener, Settings
from m365gw.edge.admission.admission import Admission, IpAddress, Visitor, may_log_in
from m365gw.edge.admission.authorship import foreign
from m365gw.edge.admission.rules import Denied, Rule
from m365gw.edge.local.local_users import LocalUser
from m365gw.edge.login.authentication import WRONG
from m365gw.edge.login.logins import Logins
from m365gw.edge.receiving.mending import Mending
from m365gw.smtp.addresses import Address, forward_path, reverse_path
from m365gw.smtp.headers import header_of
from m365gw.smtp.repair.header_repair import Facts
from m365gw.smtp.replies import Refused, Reply

LOCAL = "sendmail"  # stands where else a listener's name does


@frozen
class Question:
    """A message in its outlines. `header_from`: None where From is what the sender is."""

    sender: str  # "" is the null sender
    recipients: tuple[str, ...]
    header_from: str | None = None
    login: str = ""
    address: IpAddress | None = None


@frozen
class Refusal:
    """At which step a message would be refused, and with which words."""

    at: str
    reply: Reply


@define
class Explanation:
    """What one listener would make of it."""

    listener: str
    rule: Rule | None = None
    sender: str = ""  # as the envelope goes on
    header_from: str = ""  # as From goes on; "" for none
    changes: list[str] = field(factory=list)  # by which either is not what it was
    refusals: list[Refusal] = field(factory=list)
    notes: list[str] = field(factory=list)

    @property
    def is_allowed(self) -> bool:
        """Whether the message would be accepted, for all of its recipients."""
        return not self.refusals

    def refuse(self, at: str, reply: Reply) -> Explanation:
        """There is one more reason why it would be refused: this reply, at this command."""
        self.refusals.append(Refusal(at, reply))
        return self


def explain(settings: Settings, question: Question, listener: Listener) -> Explanation:
    """What a listener would make of it."""
    said = Explanation(listener.name)
    login = ""
    if question.login:
        denied = _login(settings, question, listener, said)
        if denied is not None:
            return said.refuse("AUTH", denied)
        known = Logins(settings.client).find(question.login)
        login = known.login if known else ""
    visitor = Visitor(listener, question.address, login)
    if listener.tls == "require":
        said.notes.append("The listener takes mail only after STARTTLS.")
    rule = Admission(settings.client, settings.network).rule_for(visitor)
    return _message(rule, question, visitor.repairs, said)


def explain_local(user: LocalUser, question: Question) -> Explanation:
    """What would become of it when this user handed it to `sendmail`."""
    return _message(user.rule, question, frozenset(), Explanation(LOCAL))


def _login(
    settings: Settings, question: Question, listener: Listener, said: Explanation
) -> Reply | None:
    """Why the login would not be taken, with the right password; None when it would."""
    visitor = Visitor(listener, question.address)
    denied = may_log_in(visitor, is_secure=listener.tls != "none" or bool(listener.proxy_from))
    if denied is not None:
        return denied.reply
    logins = Logins(settings.client)
    known = logins.find(question.login)
    if known is None:
        said.notes.append(f"For the log: {logins.hint(question.login)}.")
        return WRONG
    client = next(each for each in settings.client if each.login == known.login)
    if may_log_in(visitor, is_secure=False) is not None:
        said.notes.append("The login is taken only inside TLS.")
    if client.networks and question.address is None:
        said.notes.append(f"The login is good from {_listed(client)} only.")
    elif client.networks and not visitor.is_in(client.networks):
        said.notes.append(f"{question.address} is not in networks of the login: {_listed(client)}.")
        return WRONG
    return None


def _listed(client: Client) -> str:
    return ", ".join(client.networks)


def _message(
    rule: Rule | Denied, question: Question, repairs: frozenset[str], said: Explanation
) -> Explanation:
    """MAIL, RCPT and the message itself under a rule."""
    if isinstance(rule, Denied):
        return said.refuse("MAIL FROM", rule.reply)
    said.rule = rule
    try:
        sender = str(_whole(reverse_path(f"<{question.sender}>")))
        decision = rule.decide(sender)
        if isinstance(decision, Denied):
            raise Refused(decision.reply)
    except Refused as refused:
        return said.refuse("MAIL FROM", refused.reply)
    said.sender = decision.sender
    if decision.sender != sender:
        said.changes.append(f"sender was <{sender}>")
    for recipient in question.recipients:
        try:
            address = str(_whole(forward_path(f"<{recipient}>")))
            denied = rule.may_receive(address if "@" in address else rule.mailbox)
            if denied is not None:
                raise Refused(denied.reply)
        except Refused as refused:
            said.refuse(f"RCPT TO <{recipient}>", refused.reply)
    _from(rule, question, repairs, said)
    said.notes += _notes(rule, said)
    return said


def _from(rule: Rule, question: Question, repairs: frozenset[str], said: Explanation) -> None:
    """Its From, as far as that can be known before there is a message."""
    value = question.header_from
    if value is None:
        value = f"<{question.sender}>" if question.sender else ""
    header = f"From: {value}\r\n\r\n".encode() if value else b"\r\n"
    if repairs or rule.rewrites_from:
        repairs = repairs - {"date", "message-id"}
        facts = Facts(message_id="", at=datetime.fromtimestamp(0, UTC))
        mending = Mending(repairs, facts, rule, said.sender)
        try:
            header = mending.feed(header, is_header=False)
        except Refused as refused:
            said.refuse("the end of the message", refused.reply)
        said.changes += mending.done
    elif rule.judges_from:
        reply = foreign(rule, header_of(header))
        if reply is not None:
            said.refuse("the end of the message", reply)
    said.header_from = header_of(header).first("from")


def _notes(rule: Rule, said: Explanation) -> Iterator[str]:
    """What else is worth knowing."""
    limits = rule.permissions
    if not said.sender:
        yield (
            "Exchange Online takes no null sender from a mailbox, so such mail is held. With "
            'foreign_sender = "rewrite", and without "<>" in senders, it leaves as default_from.'
        )
    elif said.sender.lower() != rule.mailbox.lower():
        yield (
            f'The mailbox {rule.mailbox} needs "Send As" for <{said.sender}> in Exchange Online; a'
            " connector, that its domain is an accepted one."
        )
    if not said.header_from:
        yield 'There is no From, which Exchange Online refuses; repair = ["from"] adds one.'
    for name, what in (
        ("messages_per_hour", "messages in any hour"),
        ("recipients_per_day", "recipients in any 24 hours"),
    ):
        if limit := getattr(limits, name):
            yield f"At most {limit} {what} ({name})."


def _whole(read: tuple[Address, str]) -> Address:
    """The path that was read, if nothing stands behind it. Raises Refused."""
    path, rest = read
    if rest:
        raise Refused(Reply(501, "5.1.3", "Bad address syntax: something stands behind its end"))
    return path
