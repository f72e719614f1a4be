"""What will end: certificates, secrets, sign-ins and passwords, told 30, 14, 7 and 1 days ahead.

Each end that is near is an incident; it is told again when it comes nearer and when it has come,
and is closed when what ends was renewed or is no longer there. The board remembers what was told
over restarts. Where nobody knows the end (Microsoft does not tell that of a client secret) nothing
can be told: the list says so.

Failures: none leave here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from math import inf
from types import MappingProxyType
from typing import Any, Final, Literal

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from m365gw.incidents import Incidents
from m365gw.microsoft.actors import Who
from m365gw.microsoft.diagnosis import Diagnosis

LOOK_EVERY: Final = 300.0  # seconds between two looks
DAYS_AHEAD: Final = (30, 14, 7, 1, 0)  # when an end is told; 0: when it has come
DAY: Final = 86400.0

_diagnostics = Logger()

Kind = Literal[
    "tls-certificate", "certificate", "client-certificate", "secret", "sign-in", "password"
]


@frozen
class _Words:
    """How an end is told: what it is of, what follows, and what to do by whom."""

    of: str
    then: str
    fix: str
    who: Who


_WORDS: Final = MappingProxyType(
    {
        "tls-certificate": _Words(
            "The TLS certificate {name}",
            "Clients that check certificates stop sending when it has ended.",
            "Renew it and put it in the same files; it is taken within a minute, without a"
            " restart.",
            "operator",
        ),
        "certificate": _Words(
            "The certificate by which {name} signs in",
            "Then Microsoft gives no token, and mail of this mailbox waits.",
            "m365gw doctor {name} shows which one it is. Make a new certificate, upload it beside"
            " the old one (Entra admin centre > App registrations > the app > Certificates &"
            " secrets > Certificates > Upload certificate), then let the gateway use it.",
            "entra-admin",
        ),
        "client-certificate": _Words(
            "The certificate {name} shows to the connector of the tenant",
            "Then the connector no longer knows this gateway, and mail of this mailbox waits.",
            "Renew it with the same name and put it where the old one is: a file is read anew for"
            " each session, one that was given to a command by m365gw mailbox change {name}"
            " --certificate FILE. The connector stays as it is.",
            "operator",
        ),
        "secret": _Words(
            "The client secret by which {name} signs in",
            "Then Microsoft gives no token, and mail of this mailbox waits.",
            "Make a new one (Entra admin centre > App registrations > the app > Certificates &"
            " secrets > New client secret) and put its Value where the old one is kept.",
            "entra-admin",
        ),
        "sign-in": _Words(
            "The sign-in of {name}",
            "It was not renewed for long; when it ends, mail of this mailbox waits.",
            "Sign in again: m365gw mailbox signin {name}",
            "mailbox-user",
        ),
        "password": _Words(
            "The last good password of the login {name}",
            "Then whoever uses this login can send no mail any more.",
            "Make a new one (m365gw client passwd --print {name}) and set it in the device.",
            "operator",
        ),
    }
)


@frozen
class End:
    """When something ends. `name` is the mailbox, file or login; `ends_at` None: nobody knows."""

    kind: Kind
    name: str
    ends_at: float | None  # seconds since the epoch
    note: str = ""  # how sure that is
    is_told: bool = True  # False: it is only listed, as something else takes its place

    @property
    def key(self) -> str:
        return f"{self.kind}-ends"

    def days(self, now: float) -> int | None:
        """The entry of DAYS_AHEAD that holds now; None when the end is far or not known."""
        if self.ends_at is None or not self.is_told:
            return None
        near = [days for days in DAYS_AHEAD if self.ends_at - now <= days * DAY]
        return near[-1] if near else None

    def diagnosis(self, days: int) -> Diagnosis:
        words = _WORDS[self.kind]
        day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.ends_at))
        left = f"ends in less than {days} days, at" if days > 1 else "ends within a day, at"
        return Diagnosis(
            self.key,
            f"{words.of.format(name=self.name)} {left if days else 'ended at'} {day}.",
            words.then,
            words.fix.format(name=self.name),
            words.who,
        )

    def plain(self, now: float) -> dict[str, Any]:
        """As JSON shows it; `warned` is the stage of the warning, null when there is none."""
        return {
            "kind": self.kind,
            "name": self.name,
            "ends_at": self.ends_at,
            "note": self.note,
            "warned": self.days(now),
        }


class Forecast:
    """Looks at all ends now and then, from `start` to `stop`."""

    def __init__(
        self,
        ends: Callable[[], Awaitable[Iterable[End]]],
        clock: IReactorTime,
        incidents: Incidents,
    ) -> None:
        """`clock` must tell the time of day, as the reactor does."""
        self._ends = ends
        self._clock = clock
        self._incidents = incidents
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Look now and every few minutes."""
        self._next = self._clock.callLater(LOOK_EVERY, self.start)  # whatever becomes of this
        self.look()

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def look(self) -> None:
        """Tell what is near, and that it no longer is, as soon as that is known."""
        looking = Deferred.fromCoroutine(self._look())
        looking.addErrback(lambda fault: _diagnostics.failure("forecast", failure=fault))

    async def _look(self) -> None:
        ends, now = await self._ends(), self._clock.seconds()
        near = set()
        for end in ends:
            days = end.days(now)
            if days is not None:
                near.add((end.key, end.name))
                level = "error" if days <= 1 else "warn"
                self._incidents.open(end.diagnosis(days), level=level, **_subject(end))
        for incident in list(self._incidents):
            key, subject = incident.told.key, dict(incident.subject)
            if key in _KEYS and (key, next(iter(subject.values()), "")) not in near:
                self._incidents.close(key, **subject)

    async def known(self) -> list[dict[str, Any]]:
        """Every end, the nearest first and the unknown ones last."""
        ends = sorted(await self._ends(), key=lambda each: each.ends_at or inf)
        return [end.plain(self._clock.seconds()) for end in ends]


_KEYS: Final = frozenset(f"{kind}-ends" for kind in _WORDS)
_SUBJECTS: Final = MappingProxyType({"tls-certificate": "file", "password": "login"})


def _subject(end: End) -> dict[str, str]:
    return {_SUBJECTS.get(end.kind, "mailbox"): end.name}
