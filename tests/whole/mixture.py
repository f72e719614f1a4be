"""Everybody who uses a gateway at once, and what each of them was promised.

Clients hand in mail over SMTP, local programs by `sendmail`, and an operator holds, releases,
retries, returns and removes it. All go on while the gateway is killed and started again. Each notes
what it was told, so that afterwards it can be counted (`Promises`).
"""

from __future__ import annotations

import random
import re
import smtplib
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from glob import glob
from math import inf
from time import time

from attrs import define, field, frozen

from m365gw.cli.control import ControlFailed, NotRunning
from m365gw.cli.postfix.drop import drop
from m365gw.cli.queue.actions import actions
from m365gw.smtp.dropped import Dropped, render
from m365gw.spool.operations import Action, Done
from tests.whole.stage import PATIENCE, SENDER, Gateway

GIVEN_BACK = (Action.BOUNCE, Action.EXPIRE)
_STOPPING = (Action.HOLD, *GIVEN_BACK)
_STATES = {Action.RELEASE: "hold", Action.RETRY: "deferred"}  # where they change something
_IN_NAME = re.compile(r"Q(\w{13})\.m365gw,")
_QUEUED = re.compile(rb"queued as (\w{13})")

# What the rehearsal does with the recipients of a domain is ordered by the test.
TAKEN, REFUSED, LATER, CUT = (f"{name}.example" for name in ("taken", "refused", "later", "cut"))
UNTOLD = "untold.example"  # refused, and the sender wants no report (NOTIFY=NEVER)
_KINDS = (
    *[(TAKEN,)] * 4,
    *[(REFUSED,), (LATER,), (CUT,), (CUT, LATER), (TAKEN, UNTOLD), (TAKEN, REFUSED, LATER)],
)


@frozen
class Told:
    """What an operator was told of one message. Times are seconds since the epoch."""

    action: Action
    done: Done | None  # None: the service was killed before it answered
    asked_at: float
    answered_at: float


@define
class Promises:
    """What was said to those who use the gateway."""

    recipients: dict[str, list[str]] = field(factory=dict)  # by queue id: it got its 250
    dropped: set[str] = field(factory=set)  # recipients of local mail that is in the maildrop
    told: dict[str, list[Told]] = field(factory=lambda: defaultdict(list))  # by queue id

    def may_have(self, queue_id: str, *actions: Action) -> bool:
        """Whether an operator asked for one of these, and it may have been done."""
        never = (Done.GONE, Done.UNCHANGED)
        return any(one.action in actions and one.done not in never for one in self.told[queue_id])

    def still(self, queue_id: str) -> list[tuple[float, float]]:
        """From when until when no copy may have left, as an operator was told.

        What is held stays until something else is asked for; what is returned or removed is never
        sent, unless it is held before its return, and released.
        """
        spans = []
        since: float | None = None
        for one in self.told[queue_id]:
            if since is not None and one.action in (Action.RELEASE, Action.HOLD):
                spans.append((since, one.asked_at))
                since = None
            if one.done is Done.DONE and one.action is Action.REMOVE:
                return [*spans, (one.answered_at, inf)]
            if one.done is Done.DONE and one.action in _STOPPING and since is None:
                since = one.answered_at
        return spans if since is None else [*spans, (since, inf)]


class Part(threading.Thread):
    """One of those who go on until they are told that it is over; `fault` is what went wrong."""

    def __init__(self, gateway: Gateway, promises: Promises, is_over: threading.Event) -> None:
        super().__init__()
        self.gateway = gateway
        self.promises = promises
        self.is_over = is_over
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            self.act()
        except BaseException as fault:
            self.fault = fault

    def act(self) -> None:
        raise NotImplementedError


class Client(Part):
    """A connection that hands in numbered messages, each until it has its 250."""

    def __init__(
        self,
        gateway: Gateway,
        promises: Promises,
        is_over: threading.Event,
        next_number: Callable[[], int | None],
    ) -> None:
        super().__init__(gateway, promises, is_over)
        self._next_number = next_number

    def act(self) -> None:
        client: smtplib.SMTP | None = None
        while (number := self._next_number()) is not None:
            while not self.is_over.is_set():
                try:
                    client = client or self._connect()
                    self._hand_in(client, number)
                    break
                except TimeoutError as error:
                    raise AssertionError(f"message {number}: the session fell silent") from error
                except (OSError, smtplib.SMTPException):
                    # The gateway was killed; what had no 250 is handed in again.
                    client = None
                    self.is_over.wait(0.05)
        if client is not None:
            client.close()

    def _connect(self) -> smtplib.SMTP:
        """A session. A call to a free port of this machine may reach the caller itself."""
        try:
            client = smtplib.SMTP("127.0.0.1", self.gateway.ports["trusted"], timeout=5)
        except TimeoutError as error:
            raise smtplib.SMTPConnectError(421, "nobody is there") from error
        assert client.sock is not None
        client.sock.settimeout(PATIENCE)
        client.ehlo()
        return client

    def _hand_in(self, client: smtplib.SMTP, number: int) -> None:
        body = f"From: {SENDER}\r\nSubject: {number}\r\n\r\n{'x' * 2000}\r\n"
        recipients = [f"user{number}@{domain}" for domain in _KINDS[number % len(_KINDS)]]
        self._expect(client.mail(SENDER))
        for recipient in recipients:
            options = ["NOTIFY=NEVER"] if recipient.endswith(UNTOLD) else []
            self._expect(client.rcpt(recipient, options))
        match = _QUEUED.search(self._expect(client.data(body.encode())))
        assert match is not None
        self.promises.recipients[match[1].decode()] = recipients

    def _expect(self, answer: tuple[int, bytes]) -> bytes:
        code, text = answer
        if code != 250:
            raise smtplib.SMTPResponseException(code, text)
        return text


class LocalProgram(Part):
    """A program of this machine that leaves mail in the maildrop, whether the service runs."""

    def act(self) -> None:
        number = 0
        while not self.is_over.wait(0.1):
            recipient = f"local{number}@{TAKEN}"
            text = render(Dropped(SENDER, (recipient,)), b"Subject: local\r\n\r\n")
            drop(str(self.gateway.folder / "maildrop"), text)
            self.promises.dropped.add(recipient)
            number += 1


class Operator(Part):
    """Acts on messages at random, a few at a time, through the control socket."""

    _CHOICE: Sequence[Action] = (
        *[Action.HOLD] * 4,
        *[Action.RELEASE] * 6,
        *[Action.RETRY] * 4,
        *[Action.BOUNCE, Action.EXPIRE, Action.REMOVE],
    )

    def __init__(
        self,
        gateway: Gateway,
        promises: Promises,
        is_over: threading.Event,
        chance: random.Random,
    ) -> None:
        super().__init__(gateway, promises, is_over)
        self._chance = chance
        self._control = gateway.api

    def act(self) -> None:
        while not self.is_over.wait(0.02):
            action, queue_ids = self._wish()
            with suppress(NotRunning, ControlFailed):
                if self._chance.random() < 0.3:  # what is being delivered now
                    active = self.gateway.api.get("/queue/active")["active"]
                    queue_ids = [each for each in active if each in self.promises.recipients]
                if queue_ids:
                    self._ask(action, queue_ids)

    def release_all(self) -> None:
        """Nothing is held any more."""
        while held := self._spooled("hold"):
            self._ask(Action.RELEASE, held[:500])

    def _ask(self, action: Action, queue_ids: list[str]) -> None:
        """Through the control socket. Raises NotRunning."""
        asked_at = time()
        try:
            answer = self._control.post(f"/queue/{action.value}", {"queue_ids": queue_ids})
        except ControlFailed as failed:
            if failed.status:
                raise AssertionError(f"{action.value}: {failed}") from failed
            self._note(action, dict.fromkeys(queue_ids), asked_at)
            return
        results = {each["queue_id"]: Done(each["result"]) for each in answer["results"]}
        self._note(action, results, asked_at)

    def act_while_it_is_stopped(self) -> None:
        """The same as a command does it when no service runs: under the spool's lock."""
        spool = str(self.gateway.folder / "spool")
        with actions(spool, str(self.gateway.control)) as acting:
            for _ in range(5):
                action, queue_ids = self._wish()
                asked_at = time()
                results = acting.act(action, queue_ids)
                self._note(action, {one.queue_id: one.result for one in results}, asked_at)

    def _wish(self) -> tuple[Action, list[str]]:
        """Something to be done to some of those in the queue that have their 250."""
        action = self._chance.choice(self._CHOICE)
        found = self._spooled(_STATES.get(action, "*"))
        found = [each for each in found if each in self.promises.recipients]
        return action, self._chance.sample(found, min(len(found), self._chance.randint(1, 8)))

    def _spooled(self, state: str) -> list[str]:
        """The queue ids of the messages in this folder of the spool, in order."""
        pattern = self.gateway.folder / "spool" / state / "**" / "*.m365gw,*"
        names = glob(str(pattern), recursive=True)
        return sorted({match[1] for match in map(_IN_NAME.search, names) if match})

    def _note(self, action: Action, results: Mapping[str, Done | None], asked_at: float) -> None:
        now = time()
        for queue_id, done in results.items():
            self.promises.told[queue_id].append(Told(action, done, asked_at, now))
