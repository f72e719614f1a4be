"""What an answer of Microsoft asks of us, as a value.

A reaction names an action, the scope it applies to, and what follows when the same answer keeps
coming. It holds no counters: whoever owns the scope (the message, the mailbox, the host) counts
equal answers in a row and asks `after` which reaction is due now.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from m365gw.microsoft.diagnosis import Diagnosis


class Scope(Enum):
    """What a reaction applies to."""

    MESSAGE = "message"  # after RCPT TO: this one recipient of it
    SENDER = "sender"  # this sender on this mailbox; other senders go on
    MAILBOX = "mailbox"
    TENANT = "tenant"  # all mailboxes of the tenant
    HOST = "host"  # the submission host as seen from here, for all mailboxes


class Action(Enum):
    """What is to be done."""

    DONE = "done"  # a positive answer: go on
    RETRY = "retry"  # keep the message, try again on the normal schedule
    RETRY_FAST = "retry-fast"  # keep it, try again in `pause` seconds on another connection
    FEWER_CONNECTIONS = "fewer-connections"  # as RETRY_FAST, and halve the mailbox's connections
    SPLIT = "split"  # offer fewer recipients at a time: those taken so far, or else half of them
    STOP = "stop"  # stop the scope for `pause` seconds; nothing ages towards a bounce
    REFRESH_TOKEN = "refresh-token"  # drop the token, force a new one, try on a new connection
    # Stop the scope until someone acts; may probe every `seconds`. A message is put into hold.
    HOLD = "hold"
    BOUNCE_IF_REPEATED = "bounce-if-repeated"  # RETRY now; `then` bounces
    BOUNCE = "bounce"  # refused for good: tell the sender


@frozen
class Reaction:
    """One reaction.

    seconds   how long the first pause lasts; for HOLD, how often one message may probe
    ceiling   the pause doubles with each equal answer up to this; 0: it does not grow
    alarm     open an incident
    then      what follows when more than `attempts` equal answers came in a row and the first
              of them is at least `patience` seconds old; for SPLIT: what to do when there is
              only one recipient left
    """

    action: Action
    scope: Scope
    diagnosis: Diagnosis
    seconds: float = 0
    ceiling: float = 0
    alarm: bool = False
    attempts: int = 0
    patience: float = 0
    then: Reaction | None = None

    def after(self, times: int, since: float) -> Reaction:
        """The reaction due at the `times`-th equal answer, `since` seconds after the first."""
        due = self
        while (
            due.then is not None
            and due.action is not Action.SPLIT
            and times > due.attempts
            and since >= due.patience
        ):
            times -= due.attempts
            due = due.then
        return due

    def pause(self, times: int = 1) -> float:
        """Seconds to wait at the `times`-th equal answer in a row (from 1)."""
        if not self.ceiling:
            return self.seconds
        doublings = min(max(times - 1, 0), 32)
        return float(min(self.seconds * 2**doublings, self.ceiling))

    @property
    def may_bounce(self) -> bool:
        """Whether this reaction, or one it leads to, ends the message."""
        if self.action is Action.BOUNCE:
            return True
        return self.then is not None and self.then.may_bounce


HOUR = 3600.0
REPEAT_GAP = 600.0  # a 5yz we do not know must be repeated after this long before it is believed


def done(diagnosis: Diagnosis) -> Reaction:
    """The reaction to a positive answer: nothing more is to be done."""
    return Reaction(Action.DONE, Scope.MESSAGE, diagnosis)


def retry(diagnosis: Diagnosis) -> Reaction:
    """Temporary; the message takes its normal turns."""
    return Reaction(Action.RETRY, Scope.MESSAGE, diagnosis)


def retry_fast(diagnosis: Diagnosis, scope: Scope = Scope.MESSAGE) -> Reaction:
    """A blip: 5 to 60 seconds, another connection. A message that keeps meeting it slows down."""
    if scope is not Scope.MESSAGE:
        return Reaction(Action.RETRY_FAST, scope, diagnosis, seconds=5, ceiling=60)
    return Reaction(
        Action.RETRY_FAST,
        scope,
        diagnosis,
        seconds=5,
        ceiling=60,
        attempts=5,
        then=retry(diagnosis),
    )


def retry_then(attempts: int, then: Reaction) -> Reaction:
    """Temporary at first; after `attempts` equal answers it is `then`."""
    return Reaction(Action.RETRY, Scope.MESSAGE, then.diagnosis, attempts=attempts, then=then)


def fewer_connections(diagnosis: Diagnosis, seconds: float = 5, ceiling: float = 60) -> Reaction:
    """The mailbox has too many connections open."""
    return Reaction(Action.FEWER_CONNECTIONS, Scope.MAILBOX, diagnosis, seconds, ceiling)


def stop(
    scope: Scope,
    seconds: float,
    diagnosis: Diagnosis,
    *,
    ceiling: float = 0,
    alarm: bool = False,
    attempts: int = 0,
    patience: float = 0,
    then: Reaction | None = None,
) -> Reaction:
    """Stop a scope for a while."""
    return Reaction(
        Action.STOP, scope, diagnosis, seconds, ceiling, alarm, attempts, patience, then
    )


def hold(scope: Scope, diagnosis: Diagnosis) -> Reaction:
    """Stop a scope until someone acts; probed hourly, so that it drains by itself once mended."""
    return Reaction(Action.HOLD, scope, diagnosis, seconds=HOUR, alarm=True)


def set_aside(diagnosis: Diagnosis, *, alarm: bool = False) -> Reaction:
    """The message waits in hold for an operator; others go on."""
    return Reaction(Action.HOLD, Scope.MESSAGE, diagnosis, alarm=alarm)


def refresh_token(then: Reaction) -> Reaction:
    """A new token and one more try on a new connection; then `then`."""
    return Reaction(Action.REFRESH_TOKEN, Scope.MAILBOX, then.diagnosis, attempts=1, then=then)


def split(then: Reaction) -> Reaction:
    """Fewer recipients in a transaction; `then` when only one is left."""
    return Reaction(Action.SPLIT, Scope.MESSAGE, then.diagnosis, then=then)


def bounce(diagnosis: Diagnosis, *, alarm: bool = False) -> Reaction:
    """Refused for good."""
    return Reaction(Action.BOUNCE, Scope.MESSAGE, diagnosis, alarm=alarm)


def bounce_if_repeated(diagnosis: Diagnosis, *, alarm: bool = False) -> Reaction:
    """Refused for good only if the same answer comes again, ten minutes later or more."""
    return Reaction(
        Action.BOUNCE_IF_REPEATED,
        Scope.MESSAGE,
        diagnosis,
        alarm=alarm,
        attempts=1,
        patience=REPEAT_GAP,
        then=bounce(diagnosis, alarm=alarm),
    )
