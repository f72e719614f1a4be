"""What an error of Entra ID asks of us, and what it means in words.

The order: trouble of the service or of the way to it (429, 5xx, no answer) passes; then errors
that say all by themselves; then the AADSTS code, which is exact where error and suberror only
name a class; then the suberror; then the vague errors such as invalid_grant. Unknown errors are
temporary. A stored refresh token is never deleted because of an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from m365gw.microsoft import entra_apps, entra_identities, entra_people
from m365gw.microsoft.entra_rows import EntraReaction, EntraRow, EntraVerdict

__all__ = ["ROWS", "EntraReaction", "EntraVerdict", "explain"]

ROWS: Final = (*entra_people.ROWS, *entra_apps.ROWS, *entra_identities.ROWS)


def _index(keys_of: Callable[[EntraRow], Iterable[int | str]]) -> dict[int | str, EntraVerdict]:
    return {key: row.verdict for row in ROWS for key in keys_of(row)}


_BY_ERROR: Final = _index(lambda row: row.errors)
_BY_CODE: Final = _index(lambda row: row.codes)
_BY_SUBERROR: Final = _index(lambda row: row.suberrors)
_BY_VAGUE_ERROR: Final = _index(lambda row: row.vague)


def explain(error: str, suberror: str, codes: Sequence[int], http_status: int) -> EntraVerdict:
    """The verdict on an error answer: its `error`, `suberror`, `error_codes` and HTTP status.

    Give "" and () for what is missing, and status 0 when there was no answer. Never raises.
    """
    if http_status == 429:
        return entra_apps.THROTTLED
    if http_status >= 500:
        return entra_apps.SERVICE
    known = (
        _BY_ERROR.get(error),
        *(_BY_CODE.get(code) for code in codes),
        _BY_SUBERROR.get(suberror),
        _BY_VAGUE_ERROR.get(error),
    )
    for verdict in known:
        if verdict is not None:
            return verdict
    return entra_apps.UNKNOWN if error or codes else entra_apps.UNREACHABLE
