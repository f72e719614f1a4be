"""When a new configuration is taken, and when not."""

from __future__ import annotations

import io
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from m365gw.config.settings import Settings
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.service import reload
from m365gw.service.reload import Ending, Reload


@define
class Half:
    """Mail in, or mail out: notes what it is given."""

    taken: list[Any] = field(factory=list)

    def prepare(self, settings: Settings) -> Settings:
        self.taken.append(settings)
        return settings

    def take(self, prepared: Settings) -> None:
        """It was noted when it was prepared."""

    def apply(self, settings: Settings) -> None:
        self.taken.append(settings)


class EndingTests(TestCase):
    """The gateway begins to end while the configuration is read."""

    def setUp(self) -> None:
        self.reading: Deferred[tuple[Settings, Settings]] = Deferred()
        self.patch(reload, "deferToThread", lambda *call: self.reading)
        self.is_ending = False
        self.mail_in, self.mail_out = Half(), Half()
        mail_in: Any = self.mail_in
        mail_out: Any = self.mail_out
        log = EventLog(io.StringIO(), hostname="gw")
        settings = Settings()
        self.reload = Reload(
            settings=settings,
            configured=settings,
            read=Settings,
            merge=lambda read: read,
            is_ending=lambda: self.is_ending,
            mail_in=mail_in,
            mail_out=mail_out,
            log=log,
            incidents=Incidents(log, lambda: 0.0),
            apply_also=lambda settings: None,
        )

    async def test_a_gateway_that_goes_on(self) -> None:
        """Both halves go on with what was read."""
        waiting = Deferred.fromCoroutine(self.reload.reload())
        self.reading.callback((Settings(), Settings()))
        await waiting
        self.assertEqual((len(self.mail_in.taken), len(self.mail_out.taken)), (1, 1))

    async def test_a_gateway_that_ends_meanwhile(self) -> None:
        """It does not listen again."""
        waiting = Deferred.fromCoroutine(self.reload.reload())
        self.is_ending = True
        self.reading.callback((Settings(), Settings()))
        await self.assertFailure(waiting, Ending)
        self.assertEqual(self.mail_in.taken + self.mail_out.taken, [])

    async def test_a_gateway_that_ends_already(self) -> None:
        """The configuration is not even read."""
        self.is_ending = True
        await self.assertFailure(Deferred.fromCoroutine(self.reload.reload()), Ending)
        self.assertFalse(self.reading.called)
