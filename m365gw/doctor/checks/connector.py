"""D09 of a mailbox of exit connector: what the host of the tenant is shown, in a session that stays
open for D10, which asks whether the connector knows it.
"""

from __future__ import annotations

from m365gw.doctor.case import Case
from m365gw.doctor.finding import Seen, bad, good
from m365gw.microsoft.replies import react, strip_tag
from m365gw.relay.exit.connection import AttemptFailed
from m365gw.relay.exit.proof import in_words, shown_by
from m365gw.relay.tokens.failures import TokenUnavailable


async def look(case: Case) -> Seen:
    """D09. Leaves the session in the case."""
    host, port = case.host_and_port
    tried = f"a session at {host}:{port} that shows what the connector knows us by"
    try:
        shown = await case.tools.calls.call(shown_by, case.mailbox)
        case.session = await case.tools.sessions.open(case.cloud, shown)
    except TokenUnavailable as problem:
        return bad(tried, problem.diagnosis.key, problem.diagnosis)
    except AttemptFailed as failed:
        diagnosis = case.named(react(failed.phase, failed.reply).diagnosis)
        came_back = strip_tag(f"{failed.phase.value}: {failed.reply}")
        return bad(tried, came_back, diagnosis, case.remedy(diagnosis))
    return good(tried, f"ready; shown was {in_words(shown)}")
