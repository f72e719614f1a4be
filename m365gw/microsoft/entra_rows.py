"""The shape of the Entra tables: which errors mean what, and what they ask of us.

The rows are data in `entra_people` (sign-in and policies) and `entra_apps` (the app, the tenant,
the service); `entra.explain` reads them. Facts behind them: Microsoft's list of AADSTS error codes
and its pages on the OAuth 2.0 flows.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from m365gw.microsoft.diagnosis import Diagnosis

EntraReaction = Literal[
    "retry",  # it passes: 5 seconds, doubling up to 10 minutes
    "poll",  # device sign-in goes on: ask again after the interval
    "restart",  # begin the sign-in anew
    "stop",  # the user said no: show it and end the sign-in
    "login",  # a person must sign in again; hold the mailbox
    "admin",  # an administrator must allow it; hold the mailbox
    "config",  # our configuration or the app registration is wrong; hold the mailbox
]


@frozen
class EntraVerdict:
    """What an error of Entra asks for.

    least_wait   seconds before the same request may be sent again
    attempts     a verdict other than "retry" is only to be believed when more than so many equal
    patience     answers came in a row, the first of them so many seconds ago; "retry" until then
    """

    reaction: EntraReaction
    diagnosis: Diagnosis
    least_wait: float = 0
    attempts: int = 0
    patience: float = 0


@frozen
class EntraRow:
    """One row: any of these AADSTS codes, suberrors or errors means this.

    `errors` decide before the codes, `vague` only when nothing else is known.
    """

    verdict: EntraVerdict
    codes: tuple[int, ...] = ()
    errors: tuple[str, ...] = ()
    suberrors: tuple[str, ...] = ()
    vague: tuple[str, ...] = ()
