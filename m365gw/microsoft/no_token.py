"""What keeps a mailbox from a token, as the spool keeps it beside each message that was not tried.

It is a reply of code 0, which can be read back:

    no access token: certificate-unknown
    no access token: vault-failed: What relay@contoso.com signs in with cannot be read or kept.

The key is enough where a table explains it; what is found out here brings its words along. Without
a key it means no more than it says. Pure; nothing fails here.
"""

from __future__ import annotations

import re
from typing import Final

from m365gw.microsoft import entra_apps
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.entra import ROWS
from m365gw.smtp.replies import Reply

_VERDICTS: Final = (
    *(row.verdict for row in ROWS),
    *(entra_apps.SERVICE, entra_apps.THROTTLED, entra_apps.UNREACHABLE),
)
_TOLD: Final = {verdict.diagnosis.key: verdict.diagnosis for verdict in _VERDICTS}
_KEPT: Final = re.compile(r"no access token(?:: ([a-z0-9-]+)(?:: (.+))?)?", re.DOTALL)


def reply_of(diagnosis: Diagnosis) -> Reply:
    """The reply that is kept."""
    words = "" if diagnosis.key in _TOLD else f": {diagnosis.what}"
    return Reply(0, "", f"no access token: {diagnosis.key}{words}")


def known(reply: Reply) -> Diagnosis | None:
    """What a kept one means; None when the reply is none. Its sentences may hold <mailbox>."""
    found = _KEPT.search(reply.text) if not reply.code else None
    if found is None:
        return None
    key, words = found.groups()
    if key in _TOLD:
        return _TOLD[key]
    return Diagnosis(
        key or "no-access-token",
        words or "<mailbox> could not sign in.",
        "Without an access token nothing is sent.",
        "What to do, and who must: m365gw mailbox show <mailbox>",
        "operator",
    )
