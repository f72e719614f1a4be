"""kill -9 at random moments under load: what got its 250 arrives.

A message may arrive twice only where the kill fell between our final dot and Microsoft's answer,
and each such case stands in the log as uncertain.
"""

from __future__ import annotations

import random
import re
import smtplib
import threading
from collections import Counter

from tests.whole.stage import PATIENCE, SENDER, Gateway, WholeTestCase, await_

MESSAGES = 2000
CONNECTIONS = 100
KILLS = 10
_QUEUED = re.compile(rb"queued as (\w{13})")
_TRACE_ID = re.compile(rb"\bid (\w{13})\b")


class Senders:
    """Many connections that hand in numbered messages until each has its 250."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._todo = iter(range(MESSAGES))
        self._lock = threading.Lock()
        self.acknowledged: dict[str, int] = {}  # queue id to the number of the message
        self.stalled: list[int] = []  # messages whose session fell silent
        self.is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CONNECTIONS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        client: smtplib.SMTP | None = None
        while (number := self._next()) is not None:
            while not self.is_over.is_set():
                try:
                    if client is None:
                        client = self._connect()
                    self._hand_in(client, number)
                    break
                except TimeoutError:
                    self.stalled.append(number)  # connected, and no answer: that is a fault
                    client = None
                except (OSError, smtplib.SMTPException):
                    # The gateway was killed; what had no 250 is handed in again.
                    client = None
                    self.is_over.wait(0.05)
        if client is not None:
            client.close()

    def _connect(self) -> smtplib.SMTP:
        """A session. A call to a free port of this machine may reach the caller itself."""
        try:
            client = smtplib.SMTP("127.0.0.1", self._gateway.ports["trusted"], timeout=5)
        except TimeoutError as error:
            raise smtplib.SMTPConnectError(421, "nobody is there") from error
        assert client.sock is not None
        client.sock.settimeout(PATIENCE)
        client.ehlo()
        return client

    def _next(self) -> int | None:
        with self._lock:
            return next(self._todo, None)

    def _hand_in(self, client: smtplib.SMTP, number: int) -> None:
        body = f"From: {SENDER}\r\nSubject: {number}\r\n\r\n{'x' * 2000}\r\n"
        for code, text in (
            client.mail(SENDER),
            client.rcpt(f"user{number}@elsewhere.example"),
            client.data(body.encode()),
        ):
            if code != 250:
                raise smtplib.SMTPResponseException(code, text)
        match = _QUEUED.search(text)
        assert match is not None, text
        with self._lock:
            self.acknowledged[match.group(1).decode()] = number


class KillTests(WholeTestCase):
    def test_nothing_acknowledged_is_lost(self) -> None:
        """Ten kills while a hundred connections hand in two thousand messages."""
        microsoft = self.microsoft("--no-limits")
        gateway = self.gateway(microsoft)
        moments = random.Random(365)
        senders = Senders(gateway)
        self.addCleanup(senders.is_over.set)
        senders.start()
        for kill in range(KILLS):
            share = (kill + moments.random()) / KILLS
            await_(
                lambda share=share: len(senders.acknowledged) >= MESSAGES * share * 0.95,
                "the senders do not get on",
            )
            gateway.kill()
            gateway.start()
        senders.join()
        self.assertEqual(senders.stalled, [])
        self.assertEqual(set(senders.acknowledged.values()), set(range(MESSAGES)))

        await_(lambda: gateway.spooled() == [], "the spool does not drain")
        received = microsoft.messages()
        arrivals = Counter(self.queue_id(microsoft.content(each["number"])) for each in received)
        lost = set(senders.acknowledged) - set(arrivals)
        self.assertEqual(lost, set())
        twice = {queue_id for queue_id, count in arrivals.items() if count > 1}
        uncertain = {event["qid"] for event in gateway.of("delivery", status="uncertain")}
        self.assertLessEqual(twice, uncertain)

    def queue_id(self, content: bytes) -> str:
        match = _TRACE_ID.search(content)
        assert match is not None, content[:300]
        return match.group(1).decode()
