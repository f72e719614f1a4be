"""Where incidents are read from: the running service, or the database when none runs.

Ends a command with 69 when the database cannot be read, 77 when this user may not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.cli.main import Invocation
from m365gw.cli.spool_dir import EX_NOPERM, end

if TYPE_CHECKING:
    from m365gw.directory.incident_book import IncidentBook

T = TypeVar("T")


class Source:
    """Incidents as JSON shows them."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation

    def latest(self, limit: int, *, is_open: bool) -> list[dict[str, Any]]:
        """At most so many, the newest first; or those that are open, the oldest first."""

        def ask(control: Control) -> list[dict[str, Any]]:
            wanted = {"all": not is_open, "limit": limit}
            return list(control.post("/incidents/list", wanted)["incidents"])

        def read(book: IncidentBook) -> list[dict[str, Any]]:
            found = book.open_ones() if is_open else book.latest(limit)
            return [one.plain() for one in found[:limit]]

        return self._asked(ask, read)

    def find(self, incident_id: str) -> dict[str, Any] | None:
        """The incident of this id."""

        def ask(control: Control) -> dict[str, Any] | None:
            try:
                return dict(control.post("/incidents/show", {"id": incident_id}))
            except ControlFailed as error:
                if error.status == 404:
                    return None
                raise

        def read(book: IncidentBook) -> dict[str, Any] | None:
            one = book.find(incident_id)
            return None if one is None else one.plain()

        return self._asked(ask, read)

    def _asked(self, ask: Callable[[Control], T], read: Callable[[IncidentBook], T]) -> T:
        try:
            return ask(Control(self._invocation.place("control_socket")))
        except NotRunning:
            # Here, as it brings the libraries of the database: a running service needs none.
            from m365gw.cli.incidents_at_rest import answered

            return answered(self._invocation, read)
        except NotAllowed as error:
            end(EX_NOPERM, str(error))
        except ControlFailed as error:
            end(1, str(error))
