"""Who the client of a session is: what it says of itself, what it has proved, what it may do.

Made anew with the session when TLS begins, so that nothing said in the clear counts (RFC 3207 4.2).
"""

from __future__ import annotations

from attrs import evolve

from m365gw.edge.admission.admission import Admission, Visitor
from m365gw.edge.admission.allowances import Allowance
from m365gw.edge.admission.rules import Allowed, Denied, Rule
from m365gw.edge.login.failures import neighbourhood
from m365gw.edge.session.doorway import Peer
from m365gw.smtp.envelope import Origin


class Identity:
    """The client as it is known so far."""

    def __init__(self, admission: Admission, visitor: Visitor, peer: Peer) -> None:
        self.peer = peer
        self.helo = ""  # its name in EHLO or HELO, "" until it has greeted
        self.mechanism = ""  # it logged in by
        self.is_newcomer = True  # neither logged in nor had a sender accepted
        self._is_esmtp = False
        self._origins: dict[tuple[str, bool], Origin] = {}  # of its messages, made once each
        self._admission = admission
        self._visitor = visitor
        self.repairs = visitor.repairs  # what is mended of its messages
        self._rule: Rule | Denied | None = None  # it stands under, once that was asked
        self._edition = 0  # of the rules, when it was asked
        self._neighbourhood = neighbourhood(visitor.address)

    @property
    def login(self) -> str:
        """The login it has proved to be, or ""."""
        return self._visitor.login

    @property
    def is_secure(self) -> bool:
        """Whether it speaks inside TLS."""
        return bool(self.peer.tls)

    def greet(self, helo: str, *, is_esmtp: bool) -> None:
        """It has said EHLO or HELO."""
        self.helo, self._is_esmtp = helo, is_esmtp
        self._origins.clear()

    def log_in(self, login: str, mechanism: str) -> None:
        """It has proved to be this login, whose rule takes the place of its network's."""
        self._visitor = evolve(self._visitor, login=login)
        self._origins.clear()
        self._rule = None
        self.mechanism = mechanism
        self.is_newcomer = False

    def may_send(self, sender: str) -> Allowed | Denied:
        """Whether it may send as this envelope sender, and by which mailbox."""
        if self._rule is None or self._edition != self._admission.edition:
            self._edition = self._admission.edition
            self._rule = self._admission.rule_for(self._visitor)
        rule = self._rule
        decision = rule if isinstance(rule, Denied) else rule.decide(sender)
        if isinstance(decision, Allowed):
            self.is_newcomer = False
        return decision

    def allowance(self, rule: Rule) -> Allowance:
        """What is left to it of the rates of its rule, for one message."""
        client = "" if self.login else self._neighbourhood
        return self._admission.allowances.of(rule, client)

    def protocol(self, *, smtputf8: bool) -> str:
        """The "with" word of the trace field (RFC 3848, RFC 6531 4.3)."""
        if not self._is_esmtp:
            return "SMTP"
        kind = "UTF8SMTP" if smtputf8 else "ESMTP"
        return kind + "S" * self.is_secure + "A" * bool(self.login)

    def origin(self, mailbox: str, *, smtputf8: bool) -> Origin:
        """Where a message of this client comes from, and by which mailbox it leaves."""
        origin = self._origins.get((mailbox, smtputf8))
        if origin is None:
            origin = self._origins[mailbox, smtputf8] = Origin(
                client=self.peer.host,
                port=self.peer.port,
                helo=self.helo,
                protocol=self.protocol(smtputf8=smtputf8),
                tls=self.peer.tls,
                login=self.login,
                listener=self._visitor.listener.name,
                mailbox=mailbox,
            )
        return origin
