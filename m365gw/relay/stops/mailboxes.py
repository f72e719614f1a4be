"""What keeps mailboxes from sending, why, and until when.

A quota, a permission, a licence, a consent or a dead network is never a message's fault. It stops
what it belongs to: a mailbox, one sender on a mailbox, a tenant, or the submission host for all.
While a stop stands its messages wait; the time does not count towards the end of their lifetime
(`excused`). When its wait is over one message may go as a probe: if that passes the place where
the trouble arose the stop ends and everything drains by itself, if not the wait begins again,
longer. So nobody has to restart anything after mending it. A probe that takes long keeps the
others for a minute, then another one goes.

A stop that needs somebody, or that lasts, opens one incident, which closes once.

Pure: `now` (seconds since the epoch) is passed in; `state` and `restore` speak plain values.
Mailboxes are named by address. Nothing fails here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any

from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import Reaction, Scope
from m365gw.microsoft.replies import Phase
from m365gw.relay.stops.excuses import BUDGET, SERVICE, Excuses
from m365gw.relay.stops.roster import Roster
from m365gw.relay.stops.stop_log import StopLog
from m365gw.relay.stops.stops import (
    MISSING,
    STOPPING,
    Account,
    Key,
    Standing,
    State,
    Stop,
    Streak,
    Streaks,
    owner_of,
    place_of,
    state_of,
)

ALARM_AFTER = 900.0  # a stop that lasts or will last so long opens an incident
SENDER_KEPT = 86400.0  # seconds after which a sender's stop that nobody probed is forgotten


class Mailboxes:
    """All mailboxes and what stops them. `has_news`: something is worth writing down."""

    def __init__(self, accounts: Iterable[Account], log: EventLog, incidents: Incidents) -> None:
        self.has_news = False
        self._log = StopLog(log, incidents)
        self._roster = Roster(accounts)
        self._stops: dict[Key, Stop] = {}
        self._streaks = Streaks()
        self._excuses = Excuses()

    def configure(self, accounts: Iterable[Account], mended: Iterable[str], now: float) -> None:
        """From now on these are the mailboxes.

        What stops one that is gone ends, as does the stop of one that was missing. The `mended`
        ones were set up anew, which is how people mend them: they are probed at once.
        """
        self._roster.configure(accounts)
        for key, stop in list(self._stops.items()):
            if self._roster.is_known(key) == (stop.diagnosis == MISSING):
                self._lift(key, stop, now)
        for address in mended:
            self.probe(address, now)

    def __contains__(self, mailbox: str) -> bool:
        return mailbox in self._roster

    @property
    def addresses(self) -> tuple[str, ...]:
        """All mailboxes."""
        return self._roster.addresses

    def may_send(self, mailbox: str, now: float) -> float:
        """When the mailbox may start a message: `now` or less means at once.

        `inf` means that an operator has paused it.
        """
        return self._earliest(self._roster.keys(mailbox), now) if self._stops else 0.0

    def sender_may_send(self, mailbox: str, sender: str, now: float) -> float:
        """When one sender on a mailbox that may send itself may start a message."""
        if not self._stops:
            return 0.0
        return self._earliest((self._roster.key(Scope.SENDER, mailbox, sender),), now)

    def enter(self, mailbox: str, now: float) -> list[Stop]:
        """A message starts. Gives the stops it probes, for `leave`."""
        return self._enter(self._roster.keys(mailbox), now) if self._stops else []

    def enter_sender(self, mailbox: str, sender: str, now: float) -> list[Stop]:
        """The sender of a message that has started; gives the stops it probes, for `leave`."""
        if not self._stops:
            return []
        return self._enter((self._roster.key(Scope.SENDER, mailbox, sender),), now)

    def leave(self, probed: Iterable[Stop]) -> None:
        """A message that had entered has ended, whatever came of it."""
        for stop in probed:
            stop.probed_at = None

    def answered(
        self, mailbox: str, sender: str, phase: Phase, reaction: Reaction, now: float
    ) -> tuple[Reaction, float]:
        """Takes in an answer: counts it, stops what has to be stopped.

        Gives the reaction that is due now and the pause it names, in seconds. It differs from
        `reaction` when equal answers in a row lead to another one. What only concerns the message
        is left to the caller.
        """
        scope = owner_of(reaction)
        if scope is Scope.MESSAGE:
            return reaction, reaction.pause()
        key = self._roster.key(scope, mailbox, sender)
        stop = self._stops.get(key)
        # What was sent before a stop began is part of the same event, and counted with it.
        is_news = stop is None or stop.until <= now
        streak = self._streaks.count(key, reaction.diagnosis.key, now, is_news)
        due = reaction.after(streak.times, now - streak.first)
        if due.action in STOPPING:
            of_all = self._roster.named_for_all(due, mailbox, sender)
            self._impose(key, of_all, phase, streak, now)
        return self.named(due, mailbox, sender), due.pause(streak.times)

    def named(self, reaction: Reaction, mailbox: str, sender: str) -> Reaction:
        """A reaction whose diagnosis names this mailbox and sender, ready to be read."""
        return self._roster.named(reaction, mailbox, sender)

    def passed(
        self, mailbox: str, sender: str, phase: Phase | None, now: float, *, instead: bool = False
    ) -> None:
        """A message came as far as `phase`, or arrived (None): what it got past is no trouble.

        `instead`: by SMTP in place of Graph, so whatever Graph said of the mailbox still stands.
        """
        if not self._stops and not self._streaks:
            return
        place = place_of(phase)
        for key in self._roster.covering(mailbox, sender):
            stop = self._stops.get(key)
            if stop is not None and stop.place < place and stop.may_lift(instead=instead):
                self._lift(key, stop, now)
            if phase is None:
                self._streaks.end(key)

    def pause(self, mailbox: str, diagnosis: Diagnosis, now: float) -> None:
        """An operator stops a mailbox until `resume`."""
        key = ("paused", mailbox)
        if key not in self._stops:
            self._begin(key, Stop(State.PAUSED, diagnosis, now, inf))

    def resume(self, mailbox: str, now: float) -> None:
        """An operator lets a mailbox go on; one that is held is probed at once."""
        key = ("paused", mailbox)
        if key in self._stops:
            self._lift(key, self._stops[key], now)
        self.probe(mailbox, now)

    def probe(self, mailbox: str, now: float) -> None:
        """What stops a mailbox or a sender on it may be mended: the next message finds out."""
        keys = self._roster.keys(mailbox)
        for key, stop in self._stops.items():
            is_of_sender = key[0] == Scope.SENDER.value and key[1].endswith(f" on {mailbox}")
            if (key in keys or is_of_sender) and stop.state is not State.PAUSED:
                stop.until = min(stop.until, now)

    def clock_was_set(self, shift: float) -> None:
        """What stops mail stops it for as long as it would have, by the clock as it is now."""
        for stop in self._stops.values():
            stop.until += shift
            stop.since += shift
            stop.probed_at = None if stop.probed_at is None else stop.probed_at + shift

    def standing(self, mailbox: str) -> Standing:
        """The state of a mailbox in words: of all that stops it, what lasts longest."""
        stops = [self._stops[key] for key in self._roster.keys(mailbox) if key in self._stops]
        if not stops:
            return Standing(State.READY)
        worst = max(stops, key=lambda stop: stop.until)
        told = self._roster.shown_to(mailbox, worst.diagnosis)
        return Standing(worst.state, min(stop.since for stop in stops), worst.until, told)

    def missing(self, mailbox: str, now: float) -> Diagnosis:
        """Mail waits for a mailbox that is not configured. One incident says so."""
        key = (Scope.MAILBOX.value, mailbox)
        stop = self._stops.get(key)
        if stop is None:
            stop = self._begin(key, Stop(State.MISCONFIGURED, MISSING, now, inf))
            self._log.incident(key, stop)
        return stop.diagnosis

    def held_sender(self, mailbox: str, sender: str) -> Diagnosis | None:
        """Why a sender on a mailbox is stopped; None when it is not."""
        stop = self._stops.get(self._roster.key(Scope.SENDER, mailbox, sender))
        return stop.diagnosis if stop is not None else None

    def excused(self, mailbox: str, sender: str, since: float, now: float) -> float:
        """Seconds between two times in which the sender could not send for no fault of its own."""
        keys = (*self._roster.covering(mailbox, sender), (BUDGET, mailbox))
        return self._excuses.within(keys, since, now)

    def excuse(self, since: float, until: float) -> None:
        """There was no service between these times; that ages no message."""
        self._excuses.add(SERVICE, since, until)

    def wants(self, mailbox: str, now: float) -> None:
        """A mailbox waits for its budget from now on; that ages no message either."""
        self._excuses.begin((BUDGET, mailbox), now)
        self.has_news = True

    def has_enough(self, mailbox: str, now: float) -> None:
        """It no longer does."""
        self._excuses.end((BUDGET, mailbox), now)
        self.has_news = True

    def forget(self, now: float) -> None:
        """Let go of senders nobody has heard of for long: there may be any number of them."""
        for key, stop in list(self._stops.items()):
            is_idle = stop.probed_at is None and stop.until < now - SENDER_KEPT
            if key[0] == Scope.SENDER.value and is_idle:
                self._lift(key, stop, now)
        self._streaks.forget(now - SENDER_KEPT, but=self._stops)
        self._excuses.forget(now)

    def state(self, now: float) -> dict[str, Any]:
        """Everything as plain values, for a file."""
        stops = [[*key, stop.plain()] for key, stop in self._stops.items()]
        return {"stops": stops, "excuses": self._excuses.state(now)}

    def restore(self, state: Mapping[str, Any], now: float) -> None:
        """Takes back what `state` gave. The time without a running service is excused as well.

        What somebody has to mend is probed at once: a restart is what people do after mending.
        Raises ValueError, TypeError or LookupError for what `state` never gave; nothing is
        taken then.
        """
        stops = {
            (str(kind), str(name)): Stop.restored(kept, now) for kind, name, kept in state["stops"]
        }
        self._excuses.restore(state["excuses"], now)
        for key, stop in stops.items():
            if self._roster.is_known(key):  # else the mailbox is no longer configured
                self._begin(key, stop)
                self._log.remembered(key, stop, now)

    def _earliest(self, keys: tuple[Key, ...], now: float) -> float:
        stops = [self._stops[key] for key in keys if key in self._stops]
        return max((stop.free_at(now) for stop in stops), default=0.0)

    def _enter(self, keys: tuple[Key, ...], now: float) -> list[Stop]:
        probed = [self._stops[key] for key in keys if key in self._stops]
        for stop in probed:
            stop.probed_at = now
        return probed

    def _begin(self, key: Key, stop: Stop) -> Stop:
        self._stops[key] = stop
        self._excuses.begin(key, stop.since)
        self.has_news = True
        return stop

    def _impose(self, key: Key, due: Reaction, phase: Phase, streak: Streak, now: float) -> None:
        state = state_of(due)
        stop = self._stops.get(key)
        is_new = stop is None
        if stop is None:
            stop = self._begin(key, Stop(state, due.diagnosis, now, now))
        elif stop.diagnosis.key != due.diagnosis.key:
            self._log.incident_over(key, stop)
            stop.state, stop.diagnosis, stop.waits = state, due.diagnosis, 1
        elif stop.until > now:
            return  # several answers to messages sent before the stop count once
        else:
            stop.waits += 1
        self.has_news = True
        stop.place = place_of(phase)
        stop.extend(due, streak.times, now)
        if due.alarm or stop.until - stop.since >= ALARM_AFTER:
            self._log.incident(key, stop)
        elif is_new:
            self._log.began(key, stop, now)

    def _lift(self, key: Key, stop: Stop, now: float) -> None:
        del self._stops[key]
        self._streaks.end(key)
        self._excuses.end(key, now)
        self._log.ended(key, stop, now)
        self.has_news = True
