"""Sign-ins of people under way: who waits, what ends them, what follows."""

from __future__ import annotations

from typing import Any, cast

from attrs import define, field
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from m365gw.admin.refusal import Refusal
from m365gw.config.settings import Mailbox, Settings
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.tokens.device_sign_in import DeviceSignIn
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.interactive import InteractiveSignIns
from m365gw.relay.tokens.web_sign_in import WebSignIn
from m365gw.service.signing_in import FOREIGN, LIFE, MOST, SigningIn

WEB = Mailbox(address="alice@contoso.com", flow="web", tenant="contoso.com", client_id="x")
APP = Mailbox(address="app@contoso.com", flow="secret", tenant="contoso.com", client_id="x")


def failing(key: str) -> TokenUnavailable:
    return TokenUnavailable("restart", Diagnosis(key, "It failed.", "", "", "operator"))


@define
class Entra:
    """Stands for `InteractiveSignIns`: they end as the test says."""

    answers: list[bool | Exception] = field(factory=list)

    async def begin_device(self, mailbox: Mailbox) -> DeviceSignIn:
        flow = {"interval": 5}
        return DeviceSignIn("ABC", "https://page", "", 900.0, mailbox, flow, cast(Any, None))

    async def begin_web(self, mailbox: Mailbox, redirect_uri: str) -> WebSignIn:
        nothing = cast(Any, None)
        return WebSignIn("https://page", "state", mailbox, nothing, nothing, {})

    async def poll_device(self, sign_in: DeviceSignIn) -> bool:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def finish_web(self, sign_in: WebSignIn, arguments: dict[str, str]) -> None:
        await self.poll_device(cast(Any, None))


class SigningInTests(TestCase):
    def setUp(self) -> None:
        self.entra, self.clock = Entra(), Clock()
        self.probed: list[str] = []
        self.settings = Settings(mailbox=(WEB, APP))
        sign_ins = cast(InteractiveSignIns, self.entra)
        self.desk = SigningIn(lambda: self.settings, sign_ins, self.probed.append, self.clock)

    async def begun(self, redirect_uri: str = "") -> str:
        said = await self.desk.begin("Alice@contoso.com", redirect_uri)
        return str(said["id"])

    async def status(self, doing: Any) -> int:
        """The status it is refused with."""
        try:
            await doing
        except Refusal as refusal:
            return refusal.status
        return 200

    async def test_by_code(self) -> None:
        """Asked after until it is done; then the mailbox is tried at once, and it is over."""
        name = await self.begun()
        self.entra.answers = [False, True]
        self.assertEqual((await self.desk.poll(name))["done"], False)
        self.assertEqual(self.probed, [])
        self.assertEqual((await self.desk.poll(name))["done"], True)
        self.assertEqual(self.probed, ["alice@contoso.com"])
        self.assertEqual(await self.status(self.desk.poll(name)), 404)

    async def test_on_a_page(self) -> None:
        """An answer to another sign-in does not end this one; its own does."""
        name = await self.begun("http://localhost:1")
        self.entra.answers = [failing(FOREIGN), True]
        with self.assertRaises(TokenUnavailable):
            await self.desk.finish(name, {"state": "other"})
        self.assertEqual((await self.desk.finish(name, {"state": "state"}))["done"], True)
        self.assertEqual(self.probed, ["alice@contoso.com"])

    async def test_failed(self) -> None:
        """What was declined or took too long is over."""
        for redirect_uri in ("", "http://localhost:1"):
            name = await self.begun(redirect_uri)
            self.entra.answers = [failing("signin-declined")]
            end = self.desk.finish(name, {}) if redirect_uri else self.desk.poll(name)
            with self.assertRaises(TokenUnavailable):
                await end
            again = self.desk.finish(name, {}) if redirect_uri else self.desk.poll(name)
            self.assertEqual(await self.status(again), 404)

    async def test_given_up(self) -> None:
        """By the person, by time, or for others when too many are under way."""
        cancelled, old = await self.begun(), await self.begun()
        self.desk.cancel(cancelled)
        self.assertEqual(await self.status(self.desk.poll(cancelled)), 404)
        self.clock.advance(LIFE + 1)
        first = await self.begun()
        self.assertEqual(await self.status(self.desk.poll(old)), 404)
        for _ in range(MOST):
            await self.begun()
        self.assertEqual(await self.status(self.desk.poll(first)), 404)

    async def test_of_a_mailbox_that_was_removed(self) -> None:
        """Nothing is asked and stored for it any more."""
        by_code, on_a_page = await self.begun(), await self.begun("http://localhost:1")
        self.settings = Settings(mailbox=(APP,))
        self.entra.answers = [True, True]
        self.assertEqual(await self.status(self.desk.poll(by_code)), 404)
        self.assertEqual(await self.status(self.desk.finish(on_a_page, {"state": "state"})), 404)
        self.assertEqual(self.probed, [])

    async def test_nobody_to_sign_in(self) -> None:
        """A mailbox that is not there, or that signs in by itself."""
        self.assertEqual(await self.status(self.desk.begin("bob@contoso.com", "")), 404)
        self.assertEqual(await self.status(self.desk.begin("app@contoso.com", "")), 409)
