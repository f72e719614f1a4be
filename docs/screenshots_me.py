"""Pictures of the page /me for the documentation: light and dark, on a desk and on a phone.

    python -m docs.screenshots_me [sign-in mailbox password settings test trouble]

Beside `docs.screenshots`, which has the pages of the console. Needs Chromium, and what the tests
need.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import attrs
from playwright.sync_api import BrowserContext, sync_playwright
from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread, deferToThread

from docs.screenshots import PICTURES, SIZES, THEMES
from m365gw.admin.me.people import Member
from m365gw.config.self_service import SelfService
from m365gw.config.settings import Listener, Settings
from m365gw.config.web import Web
from m365gw.directory import orders, passwords
from m365gw.microsoft.entra import explain
from tests.admin.web.browser import NOW
from tests.admin.web.own_stage import HOME, WORK, OwnStage
from tests.whole.test_console import CHROMIUM, FLAGS

ALWAYS = ("sign-in", "mailbox", "password")  # kept in the repository; others when they are named
ANNA = Member("anna.berg@contoso.com", "Anna Berg", "o1.t1", WORK.name)


def staged(folder: Path) -> OwnStage:
    """Somebody with two passwords."""
    settings = Settings(
        hostname="smtp.contoso.com",
        listener=(
            Listener(name="submission", endpoint="tcp:587"),
            Listener(name="smtps", endpoint="tcp:465", tls="implicit"),
        ),
        web=Web(endpoint="tcp:8025:interface=127.0.0.1", public_url="http://localhost:8025"),
        self_service=SelfService(enabled=True, allow=("*@contoso.com",), personal_accounts=True),
        sign_in=(WORK, HOME),
    )
    stage = OwnStage(folder, settings, is_tls=False)
    table = {"address": ANNA.address, "flow": "web", "tenant": "x", "client_id": "x"}
    mailbox = {**table, "sign_in": WORK.name, "account": ANNA.account}
    orders.AddMailbox(mailbox).carry_out(stage.registry, ANNA.by)
    client = {"login": ANNA.address, "senders": [ANNA.address], "mailbox": ANNA.address}
    hashes = [passwords.generate()[1] for _ in range(2)]
    made = [{"hash": hashes[0], "label": "Printer, 2nd floor"}, {"hash": hashes[1], "label": "Web"}]
    orders.AddClient({**client, "password": made}).carry_out(stage.registry, ANNA.by)
    stage.uses.note(ANNA.address, hashes[0], "10.1.0.7", NOW - 4000)
    return stage


def _pictures(stage: OwnStage, address: str, wanted: list[str]) -> None:
    """In a thread: take them all."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for theme in THEMES:
            for size, (width, height, scale) in SIZES.items():
                context = browser.new_context(
                    color_scheme=theme,
                    viewport={"width": width, "height": height},
                    device_scale_factor=scale,
                )
                _of_one(context, stage, address, f"{theme}-{size}", wanted)
                context.close()
        browser.close()


def _of_one(
    context: BrowserContext, stage: OwnStage, address: str, kind: str, wanted: list[str]
) -> None:
    page = context.new_page()

    def take(name: str) -> None:
        if name in (wanted or ALWAYS):
            page.screenshot(path=PICTURES / f"me-{name}-{kind}.png", full_page=True)

    page.goto(f"{address}/me")
    take("sign-in")
    key = blockingCallFromThread(reactor, stage.people.begin, ANNA)
    context.add_cookies([{"name": "m365gw-me", "value": key, "url": address}])
    page.goto(f"{address}/me")
    take("mailbox")
    page.click("summary >> nth=4")
    page.click("summary >> nth=8")
    take("settings")
    page.fill("[name=label]", "Phone")
    page.click("text=Make a password")
    page.wait_for_selector("#password")
    take("password")
    page.goto(f"{address}/me")
    page.click("text=Send a test mail")
    page.wait_for_selector("#steps")
    take("test")
    told = explain("invalid_grant", "", (700082,), 400).diagnosis.about(mailbox=ANNA.address)
    ready = dict(stage.standing)
    stage.standing.update(state="needs_signin", diagnosis=attrs.asdict(told), why=told.what)
    stage.waits[ANNA.address] = 3
    page.goto(f"{address}/me")
    take("trouble")
    stage.standing.update(ready)
    stage.waits.clear()
    row = stage.clients()[0]["passwords"][-1]
    orders.RemovePassword(ANNA.address, row["id"]).carry_out(stage.registry, ANNA.by)


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        stage = staged(Path(folder) / "gateway")
        port = reactor.listenTCP(0, stage.site, interface="127.0.0.1")
        address = f"http://127.0.0.1:{port.getHost().port}"
        done = deferToThread(_pictures, stage, address, sys.argv[1:])
        done.addErrback(lambda failure: failure.printTraceback())
        done.addBoth(lambda _: reactor.stop())
        reactor.run()


if __name__ == "__main__":
    main()
