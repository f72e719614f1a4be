"""The pages at /me without sockets: Entra played by a test, a real directory, a clock."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin.http import Caller, site
from m365gw.admin.me.people import People
from m365gw.admin.me.self_service import SelfService
from m365gw.admin.send_test_api import Following, TestMail
from m365gw.admin.web.console import Console
from m365gw.admin.web.pages import login, login_microsoft, me
from m365gw.admin.web.request import WebRequest
from m365gw.admin.web.returns import Returns
from m365gw.admin.web.sign_in import SignIn as OperatorSignIn
from m365gw.admin.web.visits import Visits
from m365gw.config.logins import Logins
from m365gw.config.self_service import SelfService as Rules
from m365gw.config.self_service import SignIn
from m365gw.config.settings import Listener, Settings
from m365gw.config.web import Web
from m365gw.directory.audit import Audit
from m365gw.directory.database import Database
from m365gw.directory.entries import Entries
from m365gw.directory.facts import Facts
from m365gw.directory.last_use import LastUse
from m365gw.directory.merge import merged
from m365gw.directory.operators import Operators
from m365gw.directory.orders import Order
from m365gw.directory.registry import Registry
from m365gw.directory.vault import Vault
from m365gw.directory.web_sessions import WebSessions
from m365gw.events import EventLog
from m365gw.relay.tokens.interactive import InteractiveSignIns
from tests.admin.web.browser import HASH, NOW, PUBLIC, AtOnce, Browser
from tests.relay.entra import CLOUD, Entra

JOE = "joe@contoso.com"
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
WORK = SignIn(name="Contoso account", tenant="organizations", client_id="work-app")
HOME = SignIn(name="Personal account", tenant="consumers", client_id="home-app")


class OwnStage:
    """The pages, and all that stands behind them but mail."""

    def __init__(self, folder: Path, settings: Settings, *, is_tls: bool = True) -> None:
        folder.mkdir(parents=True)
        self.clock = Clock()
        self.clock.advance(NOW)
        self.configured = settings
        self.entra = Entra()
        self.entra.user = JOE
        self.lines = io.StringIO()
        log = EventLog(self.lines, hostname="gw", clock=self.clock.seconds)
        database = Database("", str(folder))
        self.vault = Vault(database, str(folder))
        self.entries = Entries(database, self.vault)
        self.registry = Registry(database, self.vault, lambda: self.configured)
        self.audit = Audit(database)
        calls: Any = AtOnce()
        self.waits: dict[str, int] = {}
        self.tests: list[TestMail] = []
        self.probed: list[str] = []
        self.uses = LastUse()
        self.standing: dict[str, Any] = {"state": "ready", "diagnosis": None, "why": ""}
        sign_ins = InteractiveSignIns(
            {"worldwide": CLOUD}, self.vault, calls, open_session=self.entra.session
        )
        self.people = People(self.clock, settings.web)
        self.service = SelfService(
            settings=self.settings,
            sign_ins=sign_ins,
            registry=self,
            sending=self,
            overview=self.overview,
            places=lambda: [{"listener": "submission", "address": "0.0.0.0:587"}],
            probe=self.probed.append,
            clock=self.clock,
        )
        self.operators = Operators(database)
        visits = Visits(WebSessions(database), calls, self.clock, settings.web)
        self.console = Console(settings.web, visits, self.clock, "smtp.contoso.com")
        sign_in = OperatorSignIn(self.operators, calls, self.clock, Logins(), log)
        returns = Returns(self.clock)
        login.add(self.console, sign_in, lambda: self.configured.web.sign_in)
        me.add(self.console, self.service, self.people, returns)
        login_microsoft.add(self.console, sign_in, self.service.enrolment, returns)
        self.site = site(self.console.resource(is_tls=is_tls), self.clock, WebRequest)

    def settings(self) -> Settings:
        """What is in force: the configuration and what was made."""
        return merged(self.configured, self.entries.read())[0]

    def overview(self) -> list[dict[str, Any]]:
        return [
            {
                "address": each.address,
                "waits": self.waits.get(each.address, 0),
                **self.standing,
            }
            for each in self.settings().mailbox
        ]

    def clients(self) -> list[dict[str, Any]]:
        facts = Facts(self.configured, self.entries.read(), self.settings())
        return facts.clients(self.uses, date(2027, 1, 15))

    async def carry_out(self, order: Order, by: str) -> dict[str, Any]:
        return order.carry_out(self.registry, by)

    async def send(self, order: TestMail, caller: Caller) -> dict[str, Any]:
        self.tests.append(order)
        return {"queue_id": f"4Q7BX2K9M3PD{len(self.tests)}"}

    async def follow(self, following: Following, caller: Caller) -> dict[str, Any]:
        step = {"at": NOW, "step": "sent", "words": "<b>250 OK</b>"}
        return {"steps": [step], "outcome": "sent", "mailbox": {"diagnosis": None}}

    def close(self) -> None:
        """Nothing is open."""


class OwnTestCase(SynchronousTestCase):
    """A test with the pages at /me, open for contoso.com."""

    rules = Rules(enabled=True, allow=("*@contoso.com",), deny=("boss@contoso.com",))

    def setUp(self) -> None:
        settings = Settings(
            hostname="smtp.contoso.com",
            listener=(Listener(name="submission", endpoint="tcp:587"),),
            web=Web(endpoint="tcp:443", tls=True, public_url=f"https://{PUBLIC}"),
            self_service=self.rules,
            sign_in=(WORK, HOME),
        )
        self.stage = OwnStage(Path(self.mktemp()), settings)
        self.stage.operators.add("anna", HASH, "operator", "test")
        self.browser = self.new_browser()

    def new_browser(self, **more: Any) -> Browser:
        stage: Any = self.stage
        return Browser(stage, host=PUBLIC, **more)

    def configure(self, **changes: Any) -> None:
        """Other rules from now on."""
        rules = attrs.evolve(self.stage.configured.self_service, **changes)
        self.stage.configured = attrs.evolve(self.stage.configured, self_service=rules)

    def leave(self, browser: Browser, number: int = 0) -> dict[str, str]:
        """Off to Microsoft: what it is asked."""
        return self.left(browser.get(f"/me/sign-in/{number}"))

    def left(self, answer: Any) -> dict[str, str]:
        """What Microsoft is asked by an answer that leads there."""
        self.assertEqual(answer.status, 303, answer.body)
        place = urlsplit(answer.headers["location"])
        self.assertEqual(place.netloc, "login.microsoftonline.com")
        asked = {name: value[0] for name, value in parse_qs(place.query).items()}
        self.stage.entra.nonce = asked["nonce"]
        return asked

    def back(self, state: str, **more: str) -> str:
        """The path Microsoft sends a browser to."""
        return "/auth/callback?" + urlencode({"code": "C1", "state": state, **more})

    def sign_in(self, browser: Browser | None = None, number: int = 0) -> Any:
        """Somebody signs in; the last answer."""
        browser = browser or self.browser
        return browser.get(self.back(self.leave(browser, number)["state"]))

    def signed_in(self, user: str = JOE, account: str = "o1") -> Browser:
        """A browser of somebody who is signed in."""
        browser = self.new_browser()
        self.stage.entra.user, self.stage.entra.account = user, (account, "t1")
        answer = self.sign_in(browser)
        self.assertEqual((answer.status, answer.headers.get("location")), (303, "/me"), answer.body)
        return browser

    def send(self, browser: Browser, path: str, **form: str) -> Any:
        """Fill in a form of the page."""
        return browser.post(path, {"token": browser.get("/me").token(), **form})
