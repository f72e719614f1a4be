"""D10: does Exchange take MAIL FROM of each sender the rules let through this mailbox.

RCPT goes to the mailbox itself and RSET ends it: nothing is sent. It proves nothing about Send As,
which Exchange looks at after the message only (D11). A connector is asked for a recipient elsewhere
(RFC 2606 3): mail for the tenant itself is taken from anybody.
"""

from __future__ import annotations

from typing import Final

from m365gw.config.mailboxes import APP_FLOWS
from m365gw.doctor.case import Case
from m365gw.doctor.finding import Seen, bad, good
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy, remedy
from m365gw.microsoft.remedies_exchange import ALIAS, SEND_AS_FOR_APP
from m365gw.microsoft.replies import react, strip_tag

MOST_SENDERS: Final = 20
ELSEWHERE: Final = "nobody@example.com"


async def look(case: Case) -> Seen:
    """D10."""
    assert case.session is not None
    chosen, left_out = chosen_senders(case)
    tried = f"MAIL FROM, RCPT TO and RSET for {', '.join(chosen)}"
    recipient = ELSEWHERE if case.is_connector else case.mailbox.address
    for sender in chosen:
        phase, reply = await case.session.try_envelope(sender, recipient)
        if not reply.is_positive:
            diagnosis = case.named(react(phase, reply).diagnosis, sender)
            came_back = f"<{sender}>: {strip_tag(str(reply))}"
            return bad(tried, came_back, diagnosis, *send_as(case, diagnosis, sender))
    known = (
        "the connector knows them" if case.is_connector else "says nothing of Send As: --send does"
    )
    words = f"taken for {len(chosen)} of them ({known})"
    return good(tried, f"{words}; {left_out}" if left_out else words)


def chosen_senders(case: Case) -> tuple[list[str], str]:
    """The senders that are tried, and in words which are not."""
    addresses, patterns = case.senders()
    chosen = addresses[:MOST_SENDERS]
    left = [*addresses[MOST_SENDERS:], *patterns]
    return chosen, f"not tried: {', '.join(left)}" if left else ""


def send_as(case: Case, diagnosis: Diagnosis, sender: str) -> tuple[Remedy, ...]:
    """A sender that is refused: no right on it, or an alias that is not allowed yet."""
    names = {**case.names, "sender": sender}
    likely = case.remedy(diagnosis, sender)
    if sender.casefold() == case.mailbox.address.casefold():
        return (likely,)
    if diagnosis.key == "send-as-denied" and case.mailbox.flow in APP_FLOWS:
        likely = remedy(likely.cause, likely.who, SEND_AS_FOR_APP, names)
    cause = f"{sender} is an alias of the mailbox, and sending from aliases is off in the tenant."
    return likely, remedy(cause, "exchange-admin", ALIAS, names)
