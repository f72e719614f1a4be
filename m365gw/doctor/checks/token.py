"""D07: does Entra give a token; and if not, what its error means."""

from __future__ import annotations

from m365gw.doctor.case import Case
from m365gw.doctor.checks.clock import login_host
from m365gw.doctor.finding import Seen, bad, good
from m365gw.relay.tokens.failures import TokenUnavailable


async def look(case: Case) -> Seen:
    """D07. Leaves the token in the case; it is shown nowhere."""
    mailbox = case.mailbox
    tried = (
        f"a token of {login_host(case.cloud)} for {mailbox.address}, flow {mailbox.flow}, tenant"
        f" {mailbox.tenant}, app {mailbox.client_id}"
    )
    try:
        # Long enough for all that follows; a token at its end would be mistaken for a wrong one.
        case.token = await case.tools.tokens.token(mailbox, min_life=600.0)
    except TokenUnavailable as problem:
        diagnosis = case.named(problem.diagnosis)
        return bad(tried, _answer(problem), diagnosis, case.remedy(diagnosis))
    return good(tried, f"a token of {len(case.token):,} characters")


def _answer(problem: TokenUnavailable) -> str:
    """What Entra said, as far as it is known: Microsoft's support asks for the trace id."""
    *_, last = str(problem).rpartition(" (")
    stated = last.removesuffix(")") if str(problem).endswith(")") else ""
    return f"{problem.diagnosis.key}: {stated}" if stated else problem.diagnosis.key
