"""A stop: one reason why mail does not move, until when, and who has to act.

Pure values and the arithmetic of their waits; `mailboxes` decides what they apply to.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import Enum
from math import inf
from typing import Any

from attrs import asdict, define, frozen

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.graph import is_of_graph
from m365gw.microsoft.reactions import Action, Reaction, Scope
from m365gw.microsoft.replies import Phase

FIRST_PROBE = 300.0  # seconds; of what is held. Then it doubles up to what the reaction says
PROBE_PATIENCE = 60.0  # seconds a probe may take until another one may go
LONGEST_STOP = 86400.0  # no stop read from a file lasts longer, whatever the clock did meanwhile

# Actions that stop what they concern if that is more than one message; the fast ones for seconds.
STOPPING = frozenset({Action.STOP, Action.HOLD, Action.RETRY_FAST, Action.FEWER_CONNECTIONS})

MISSING = Diagnosis(
    "mailbox-missing",
    "Mail waits for a mailbox that is not configured.",
    "It was accepted for this mailbox, which has been removed from the configuration since.",
    "Add the [[mailbox]] again (then m365gw reload), or see its mail with m365gw queue list.",
    "operator",
)

_PLACES = {phase: place for place, phase in enumerate(Phase)}
END = len(_PLACES)  # the place of a message that arrived

Key = tuple[str, str]  # the kind of thing that is stopped, and its name


class State(Enum):
    """Whether a mailbox may send, in one word."""

    READY = "ready"
    THROTTLED = "throttled"  # ends by itself
    NEEDS_SIGNIN = "needs_signin"
    NEEDS_ADMIN = "needs_admin"
    MISCONFIGURED = "misconfigured"
    PAUSED = "paused"  # by an operator


@frozen
class Account:
    """A mailbox as its stops see it: its address and what it shares with others."""

    address: str
    tenant: str
    host: str  # "smtp.office365.com:587"
    client_id: str = ""  # of the app registration, for commands in diagnoses
    exit: str = "smtp"


@frozen
class Standing:
    """The state of a mailbox, as shown to people. `diagnosis` is None when it is ready."""

    state: State
    since: float = 0.0
    until: float = 0.0  # when it is tried again
    diagnosis: Diagnosis | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON shows it; times are seconds since the epoch, or null."""
        is_ready = self.state is State.READY
        return {
            "state": self.state.value,
            "since": None if is_ready else self.since,
            "until": None if is_ready or self.until == inf else self.until,
            "diagnosis": None if self.diagnosis is None else asdict(self.diagnosis),
        }


@define
class Stop:
    """One stop. Times are in seconds since the epoch."""

    state: State
    diagnosis: Diagnosis
    since: float
    until: float  # when the next probe may go
    place: int = 0  # how far conversations came: the place of the phase
    waits: int = 1
    has_incident: bool = False
    probed_at: float | None = None  # since when a probe is under way

    def free_at(self, now: float) -> float:
        """When a message may go: while another one probes, when that has taken too long."""
        if self.probed_at is None or self.until > now:
            return self.until
        return min(self.probed_at, now) + PROBE_PATIENCE

    def may_lift(self, *, instead: bool) -> bool:
        """Whether mail that passes ends it; `instead`: that passes by SMTP in place of Graph."""
        return self.state is not State.PAUSED and not (instead and is_of_graph(self.diagnosis))

    def extend(self, due: Reaction, times: int, now: float) -> None:
        """Wait again, after the `times`-th equal answer in a row."""
        self.until = max(self.until, now + _wait(due, self.waits, times))

    def plain(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(
            self,
            filter=lambda attribute, _: attribute.name != "probed_at",
            value_serializer=_plain_value,
        )

    @classmethod
    def restored(cls, kept: Mapping[str, Any], now: float) -> Stop:
        """A stop from what `plain` gave. What somebody has to mend may be probed at once."""
        state = State(kept["state"])
        until = inf if kept["until"] is None else min(float(kept["until"]), now + LONGEST_STOP)
        if state not in (State.THROTTLED, State.PAUSED):
            until = now
        return cls(
            state=state,
            diagnosis=Diagnosis(**kept["diagnosis"]),
            since=min(float(kept["since"]), now),
            until=until,
            place=int(kept["place"]),
            waits=int(kept["waits"]),
            has_incident=bool(kept["has_incident"]),
        )


@define
class Streak:
    """Equal answers in a row: how many, and when the first came."""

    times: int
    first: float


class Streaks:
    """Equal answers in a row, for each thing they concern."""

    def __init__(self) -> None:
        self._streaks: dict[Key, dict[str, Streak]] = {}

    def __bool__(self) -> bool:
        return bool(self._streaks)

    def count(self, key: Key, diagnosis: str, now: float, is_news: bool) -> Streak:
        """One more answer of this diagnosis; counted unless it is no news."""
        streaks = self._streaks.setdefault(key, {})
        streak = streaks.setdefault(diagnosis, Streak(0, now))
        if is_news:
            streak.times += 1
        return streak

    def end(self, key: Key) -> None:
        """Something else came: the rows are over."""
        self._streaks.pop(key, None)

    def forget(self, before: float, *, but: Container[Key]) -> None:
        """Let go of rows that began before this time, but not those of these things."""
        for key, streaks in list(self._streaks.items()):
            if key not in but and all(streak.first < before for streak in streaks.values()):
                del self._streaks[key]


def place_of(phase: Phase | None) -> int:
    """How far a conversation has come in this phase; None: the message arrived."""
    return END if phase is None else _PLACES[phase]


def owner_of(reaction: Reaction) -> Scope:
    """Whose equal answers are counted: the scope the reaction leads to in the end."""
    if reaction.scope is Scope.MESSAGE and reaction.then is not None:
        return owner_of(reaction.then)
    return reaction.scope


def state_of(due: Reaction) -> State:
    """The state a reaction puts a mailbox in, by who has to act."""
    if due.action is not Action.HOLD:
        return State.THROTTLED
    by_who = {"operator": State.MISCONFIGURED, "mailbox-user": State.NEEDS_SIGNIN}
    return by_who.get(due.diagnosis.who, State.NEEDS_ADMIN)


def _wait(due: Reaction, waits: int, times: int) -> float:
    """Seconds until the next probe.

    What is held is probed soon at first, as it may be mended soon; unless it names its own pace.
    """
    if due.action is Action.HOLD and not due.ceiling:
        return float(min(due.seconds or inf, FIRST_PROBE * 2 ** min(waits - 1, 16)))
    return due.pause(times)


def _plain_value(_instance: object, _attribute: object, value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return None if value == inf else value  # JSON has no infinity
