"""The protocol as it is spoken, for whoever watches: both directions of each connection, live.

Nobody watches: `is_on` is False, and that is all mail ever looks at. A watch says whom it is about,
keeps the last lines of these, and ends by itself: when its time is up, or when nobody has asked for
its lines for a while. No timer is needed for that; whoever speaks next finds it over.

Lines come here without secrets: those who speak hide them before (`edge.session.shown`,
`relay.exit.wire`). What comes from outside is escaped here. Failures: `TooMany` watches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any, Final

from attrs import define, field, frozen

from m365gw.words import escaped

MOST: Final = 8  # watches at a time
LONGEST: Final = 3600.0  # seconds of one
UNASKED: Final = 60.0  # seconds after which one ends that nobody asks
KEPT: Final = 2000  # lines of a watch; the oldest go first, and that is said
BEFORE: Final = 50  # lines of a connection that are kept until it is known whose it is
LONGEST_LINE: Final = 1000  # characters

IN: Final = "in"  # a client speaks with us
OUT: Final = "out"  # we speak with Microsoft
CLIENT: Final = "C"
SERVER: Final = "S"
NOTE: Final = "*"  # nobody says it: a connection begins, or TLS


class TooMany(Exception):
    """So many watches are there that no other one is begun. The text says so."""


@frozen
class Wish:
    """Whom a watch is about: all that is named must fit. `client` is an address or a network."""

    client: str = ""
    login: str = ""
    mailbox: str = ""
    listener: str = ""

    def fits(self, spoken: Conversation) -> bool:
        """Whether it is about this connection, as far as that is known now."""
        return (
            self.login in ("", spoken.login)
            and self.listener in ("", spoken.listener)
            and self.mailbox.casefold() in ("", spoken.mailbox.casefold())
            and (not self.client or _is_in(spoken.client, self.client))
        )


@frozen
class Line:
    """One line. `at` is in seconds since 1970; `number` counts the lines of a watch from 1."""

    number: int
    at: float
    speaker: str
    text: str
    spoken: Conversation

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        spoken = self.spoken
        return {
            "number": self.number,
            "at": self.at,
            "way": spoken.way,
            "connection": spoken.name,
            "client": spoken.client,
            "login": spoken.login,
            "listener": spoken.listener,
            "mailbox": spoken.mailbox,
            "speaker": self.speaker,
            "text": self.text,
        }


@define(eq=False)
class Conversation:
    """One connection that is watched. Who it is may become known while it lasts."""

    _tracing: Tracing
    way: str
    name: str  # "10.1.0.7:40112"
    client: str = ""
    listener: str = ""
    login: str = ""
    mailbox: str = ""
    before: deque[tuple[float, str, str]] = field(init=False, factory=lambda: deque(maxlen=BEFORE))

    def say(self, speaker: str, text: str) -> None:
        """A line was spoken; several lines in one text are several."""
        for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n"):
            cut = f"{line[:LONGEST_LINE]}..." if len(line) > LONGEST_LINE else line
            self._tracing.heard(self, speaker, escaped(cut))


@define(eq=False)
class Watch:
    """Somebody who watches. `why` says why it is over, once it is."""

    wish: Wish
    until: float
    asked_at: float
    count: int = 0  # lines so far, those that are gone too
    why: str = ""
    woken: Callable[[], object] | None = None  # is called when there is something new
    _lines: deque[Line] = field(factory=lambda: deque(maxlen=KEPT))
    _followed: set[Conversation] = field(factory=set)

    def since(self, seen: int, now: float) -> list[Line]:
        """The lines behind the one with the number `seen`, as far as they are kept."""
        self.asked_at = now
        if now >= self.until:
            self.why = self.why or "its time is up"
        return [line for line in self._lines if line.number > seen]

    def take(self, spoken: Conversation, lines: list[tuple[float, str, str]]) -> None:
        """The last of these lines was just spoken, the others before it."""
        new = lines[-1:] if spoken in self._followed else lines
        self._followed.add(spoken)
        for at, speaker, text in new:
            self.count += 1
            self._lines.append(Line(self.count, at, speaker, text, spoken))
        self.wake()

    def forget(self, spoken: Conversation) -> None:
        """A connection has ended."""
        self._followed.discard(spoken)

    def wake(self) -> None:
        """There is something new, or it is over."""
        woken, self.woken = self.woken, None
        if woken is not None:
            woken()


class Tracing:
    """All who watch. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.is_on = False
        self._clock = clock
        self._watches: list[Watch] = []

    def watch(self, wish: Wish, seconds: float) -> Watch:
        """Watch from now on, for so long. Raises `TooMany`, and ValueError for a wish of nobody."""
        if wish.client:
            ip_network(wish.client, strict=False)
        now = self._clock()
        self._end_old(now)
        if len(self._watches) >= MOST:
            raise TooMany(f"{MOST} traces run already.")
        made = Watch(wish, now + min(max(seconds, 1.0), LONGEST), now)
        self._watches.append(made)
        self.is_on = True
        return made

    def end(self, watch: Watch, why: str = "it was ended") -> None:
        """Watch no more. Harmless when it is over already."""
        watch.why = watch.why or why
        if watch in self._watches:
            self._watches.remove(watch)
        self.is_on = bool(self._watches)
        watch.wake()

    def begin(self, way: str, name: str, **known: str) -> Conversation:
        """A connection that is watched from now on."""
        return Conversation(self, way, name, **known)

    def heard(self, spoken: Conversation, speaker: str, text: str) -> None:
        """A line, without secrets, and harmless."""
        now = self._clock()
        self._end_old(now)
        spoken.before.append((now, speaker, text))
        for watch in self._watches:
            if watch.wish.fits(spoken):
                watch.take(spoken, list(spoken.before))

    def over(self, spoken: Conversation) -> None:
        """A connection has ended."""
        for watch in self._watches:
            watch.forget(spoken)

    def _end_old(self, now: float) -> None:
        for watch in list(self._watches):
            if now >= watch.until:
                self.end(watch, "its time is up")
            elif now - watch.asked_at > UNASKED:
                self.end(watch, "nobody asked for it any more")


def _is_in(address: str, network: str) -> bool:
    try:
        return ip_address(address) in ip_network(network, strict=False)
    except ValueError:
        return False
