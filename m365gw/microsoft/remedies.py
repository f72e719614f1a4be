"""Where to click and what to type, for each diagnosis that an administrator has to mend.

A `Diagnosis` says in a sentence what to do; a `Remedy` is the same as steps that can be followed
or copied, with real names, and how long it takes until Microsoft acts on it. The rows are data in
`remedies_exchange` and `remedies_entra`, found by the key of the diagnosis.

Pure. A diagnosis without a row gives a remedy without steps, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from m365gw.microsoft import remedies_entra, remedies_exchange
from m365gw.microsoft.actors import Who
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.powershell import filled
from m365gw.microsoft.remedies_rows import Steps

STEPS: Final[Mapping[str, Steps]] = {**remedies_exchange.STEPS, **remedies_entra.STEPS}


@frozen
class Remedy:
    """One likely cause and how it is put right.

    portal       the way through the portal, button by button; "" where there is none
    powershell   one line that does or shows the same; "" where there is none
    takes        how long until it works, in words
    """

    cause: str
    portal: str
    powershell: str
    who: Who
    takes: str


def remedy_for(diagnosis: Diagnosis, names: Mapping[str, str]) -> Remedy:
    """The steps for a diagnosis.

    `names` holds "mailbox", "sender", "tenant" and "client id" as far as they are known. In the
    PowerShell line they are quoted, whatever they hold.
    """
    return remedy(diagnosis.why, diagnosis.who, STEPS.get(diagnosis.key, Steps()), names)


def remedy(cause: str, who: Who, steps: Steps, names: Mapping[str, str]) -> Remedy:
    """These steps with real names, for this cause."""
    portal = steps.portal
    for name, value in names.items():
        if value:
            portal = portal.replace(f"<{name}>", value)
    return Remedy(cause, portal, filled(steps.powershell, names), who, steps.takes)
