"""D11, only when asked for: a real message to the mailbox itself from each of its senders.

Only this shows whether Exchange lets it send as them: it looks at From after the message. The
answer with Microsoft's id is kept, which a message trace in the Exchange admin centre finds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, make_msgid

from m365gw.doctor.case import Case
from m365gw.doctor.checks.senders import chosen_senders, send_as
from m365gw.doctor.finding import Seen, bad, good, skipped
from m365gw.microsoft.replies import react, strip_tag
from m365gw.relay.exit.connection import AttemptFailed
from m365gw.relay.exit.graph_fit import fitted
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.verdict import Outcome


async def look(case: Case) -> Seen:
    """D11."""
    if not case.send:
        return skipped("nothing is sent unless --send is given")
    chosen, left_out = chosen_senders(case)
    tried = f"a message to {case.mailbox.address} from {', '.join(chosen)}"
    accepted = []
    for sender in chosen:
        try:
            answer = await _sent(case, sender)
        except AttemptFailed as failed:  # exit graph: there is no session before there is a message
            return _unreached(case, failed, tried)
        if answer.outcome is not Outcome.DELIVERED:
            reaction = answer.reaction or react(answer.phase, answer.reply)
            diagnosis = case.named(reaction.diagnosis, sender)
            came_back = f"from {sender}: {strip_tag(str(answer.reply))}"
            return bad(tried, came_back, diagnosis, *send_as(case, diagnosis, sender))
        accepted.append(f"{sender}: {answer.reply}")
    return good(tried, "; ".join([*accepted, left_out] if left_out else accepted))


def _unreached(case: Case, failed: AttemptFailed, tried: str) -> Seen:
    reaction = failed.reaction or react(failed.phase, failed.reply)
    diagnosis = case.named(reaction.diagnosis)
    return bad(tried, str(failed), diagnosis, case.remedy(diagnosis))


async def _sent(case: Case, sender: str) -> Answer:
    content = message(case, sender)

    async def before_dot() -> None:
        """There is nothing in the spool to mark."""

    transaction = Transaction(
        sender=sender,
        recipients=[(0, Recipient(case.mailbox.address))],
        size=len(content),
        read=lambda offset, length: content[offset : offset + length],
        before_dot=before_dot,
    )
    if not case.is_graph:
        assert case.session is not None
        (answer,) = await case.session.deliver(transaction)
        return answer
    carriage = fitted(transaction, case.mailbox.address, 4 * len(content))
    session = await case.tools.graph.checkout(case.mailbox, carriage)
    try:
        (answer,) = await session.deliver(transaction)
    finally:
        case.tools.graph.end(session)
    return answer


def message(case: Case, sender: str) -> bytes:
    """The test message: it says what it is, so that nobody wonders."""
    at = datetime.fromtimestamp(case.tools.reactor.seconds(), UTC)
    domain = case.settings.hostname or "m365gw.invalid"
    return (
        f"From: <{sender}>\r\n"
        f"To: <{case.mailbox.address}>\r\n"
        f"Subject: Test of m365gw doctor on {domain}\r\n"
        f"Date: {format_datetime(at)}\r\n"
        f"Message-ID: {make_msgid(domain=domain)}\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "\r\n"
        "m365gw doctor sent this to see whether this mailbox may send as the address above.\r\n"
        "It may. You can delete this message.\r\n"
    ).encode("ascii", "replace")
