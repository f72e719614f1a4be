"""Whether the gateway can take mail, and if not, why: what /readyz says.

Microsoft has no part in it: the queue is there for the time it cannot be reached, and a gateway
that is taken out of a balancer for that would only lose the mail of those who do not try again.
"""

from __future__ import annotations

from m365gw.directory.entries import Made
from m365gw.service.parts import Parts
from m365gw.service.status import Status


class Readiness:
    """Judges it, from memory and one look at the free space."""

    def __init__(self, parts: Parts, status: Status) -> None:
        self._parts = parts
        self._status = status

    def faults(self) -> list[str]:
        """Why it cannot, in words; none when it can."""
        return [*self._of_listeners(), *self._of_spool(), *self._of_directory()]

    def _of_listeners(self) -> list[str]:
        if self._parts.drain.until is not None:
            return ["It drains: no more mail is taken, what is due goes out, and then it stops."]
        bound = {place["listener"] for place in self._parts.mail_in.listening.places()}
        missing = [each.name for each in self._parts.settings.listener if each.name not in bound]
        return [f"Listener {name} is not bound." for name in missing]

    def _of_spool(self) -> list[str]:
        return [trouble["what"] for trouble in self._status.status()["health"]["troubles"]]

    def _of_directory(self) -> list[str]:
        made = self._parts.directory.made
        if made.failure and made.known == Made():
            return [
                "The directory cannot be reached, and what stood in it is not known: who was"
                " entered there cannot send."
            ]
        return []
