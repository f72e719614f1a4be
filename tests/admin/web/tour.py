"""Every page there is, and how one gets there in a browser: of the console, of the set-up of a new
gateway, and of /me. The pictures and the checks of every page walk the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from playwright.sync_api import Page
from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread

from m365gw.admin.me.people import Member
from m365gw.config.self_service import SelfService
from m365gw.config.settings import Listener, Settings
from m365gw.config.web import Web
from m365gw.directory import orders, passwords
from m365gw.microsoft.entra import explain
from tests.admin.web import sample
from tests.admin.web.browser import NOW, PASSWORD, Stage
from tests.admin.web.own_stage import HOME, WORK, OwnStage

Visit = Callable[[Page, str], Iterator[str]]  # yields the name of each page when it is there
BERG = Member("anna.berg@contoso.com", "Anna Berg", "o1.t1", WORK.name)
PLAIN = {
    "overview": "/",
    "queue": "/queue",
    "queue-nothing-fits": "/queue?q=nobody-wrote-this",
    "mailboxes": "/mailboxes",
    "mailbox": "/mailboxes/erp@contoso.com",
    "mailbox-well": "/mailboxes/relay@contoso.com",
    "mailbox-ways": "/mailboxes/add",
    "mailbox-form": "/mailboxes/add?flow=secret",
    "mailbox-change": "/mailboxes/fax@contoso.com/change",
    "mailbox-script": "/mailboxes/fax@contoso.com/set-up",
    "sign-in": "/mailboxes/scanner@contoso.com/sign-in",
    "sign-in-code": "/mailboxes/alerts@contoso.com/sign-in",
    "clients": "/clients",
    "client": "/clients/printer3",
    "client-locked": "/clients/erp-prod",
    "client-add": "/clients/add",
    "client-form": "/clients/printer3/change",
    "networks": "/networks",
    "network-form": "/networks/add",
    "rules": "/rules?from=fax@contoso.com&to=you@example.com&login=printer3",
    "incidents": "/incidents",
    "incident": "/incidents/5f1c2d9a",
    "incident-over": "/incidents/0badcafe",
    "doctor": "/doctor",
    "test": "/test",
    "log": "/log",
    "trace": "/trace",
    "listeners": "/listeners",
    "listener-form": "/listeners/add",
    "tls": "/tls",
    "settings": "/settings",
    "settings-queue": "/settings?tab=queue",
    "operators": "/operators",
    "account": "/account",
    "audit": "/audit",
    "backup": "/backup",
    "missing": "/nothing",
    "setup-entrance": "/setup/entrance",
    "setup-mailbox": "/setup/mailbox?new=1",
    "setup-script": "/setup/tenant?mailbox=fax@contoso.com",
    "setup-code": "/setup/tenant?mailbox=alerts@contoso.com",
    "setup-senders": "/setup/senders",
    "setup-test": "/setup/test",
    "setup-done": "/setup/done",
}  # pages of the console that one only has to open


def console(stage: Stage, more: Mapping[str, str] = {}) -> Visit:
    """All pages of `sample.staged`, and these."""

    def visit(page: Page, address: str) -> Iterator[str]:
        page.goto(f"{address}/login")
        yield "login"
        sign_in(page, "anna", "wrong")
        page.wait_for_selector(".alert")
        yield "login-refused"
        sign_in(page, "anna", PASSWORD)
        page.wait_for_selector("#live")
        message = min((e for e in stage.spool.entries() if e.attempts), key=lambda e: e.id)
        for name, path in {"message": f"/queue/{message.queue_id}", **PLAIN, **more}.items():
            page.goto(address + path)
            yield name
        yield from _done(page, address, stage)
        page.click("[aria-label='Sign out']")
        sign_in(page, "vera", PASSWORD)
        page.wait_for_selector("#live")
        page.goto(f"{address}/mailboxes/erp@contoso.com")
        yield "viewer"
        page.goto(f"{address}/backup")
        yield "forbidden"

    return visit


def _done(page: Page, address: str, stage: Stage) -> Iterator[str]:
    """Pages that only an action leads to."""
    page.goto(f"{address}/queue?state=waiting")
    page.check("tbody tr:nth-child(1) input")
    page.check("tbody tr:nth-child(2) input")
    yield "picked"
    page.click(".bulk button[value=bounce]")
    page.wait_for_selector(".sample")
    yield "bulk"
    page.click("text=Cancel")
    page.goto(f"{address}/clients/shop")
    page.click("text=Remove")
    yield "dialog"
    page.goto(f"{address}/clients/add")
    page.fill("[name=login]", "no good login")
    page.click("text=Add it")
    yield "client-refused"
    page.goto(f"{address}/clients/shop")
    page.fill("[name=label]", "the new shop")
    page.click("text=Make it")
    yield "password-once"
    page.goto(f"{address}/incidents")
    page.click("text=Test the alerts")
    page.click("dialog[open] button:not([data-closes])")
    yield "incident-test"
    stage.test_mails.told = sample.followed(stage)
    page.goto(f"{address}/test")
    page.click("text=Send it")
    page.wait_for_selector("#steps")
    yield "test-followed"
    page.goto(f"{address}/setup/test")
    page.click("button:has-text('Send')")
    page.wait_for_selector("#way")
    yield "setup-test-followed"
    page.goto(f"{address}/trace")
    page.click("text=Watch")
    page.wait_for_selector("#live[data-state=on]")
    _in_the_reactor(sample.talk, stage)
    page.wait_for_selector("#lines li")
    yield "trace-running"
    page.goto(f"{address}/setup/senders")
    page.fill("[name=login]", f"fax{len(stage.registry.clients())}")
    page.click("text=Make a login")
    yield "setup-password"


def _in_the_reactor(function: Callable[..., Any], *args: Any) -> Any:
    """Call something there, from the thread of the browser."""
    return blockingCallFromThread(reactor, function, *args)  # type: ignore[arg-type]  # a module, to mypy


def sign_in(page: Page, login: str, password: str) -> None:
    """The form of /login, filled in."""
    page.fill("[name=login]", login)
    page.fill("[name=password]", password)
    page.click("button.primary")


def newcomer(folder: str) -> Stage:
    """A gateway that nobody has set up."""
    stage = Stage(folder, Web(endpoint="tcp:8025:interface=127.0.0.1"))
    stage.mailboxes.clear()
    stage.first.begin(Settings())
    return stage


def first_start(page: Page, address: str) -> Iterator[str]:
    """The one page of a new gateway."""
    page.goto(address)
    yield "begin"
    page.fill("[name=once]", "aaaa-bbbb-cccc-dddd")
    page.fill("[name=password]", PASSWORD)
    page.fill("[name=again]", PASSWORD)
    page.click("button.primary")
    yield "begin-refused"


def own_staged(folder: Path) -> OwnStage:
    """/me, for somebody with two passwords."""
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
    table = {"address": BERG.address, "flow": "web", "tenant": "x", "client_id": "x"}
    mailbox = {**table, "sign_in": WORK.name, "account": BERG.account}
    orders.AddMailbox(mailbox).carry_out(stage.registry, BERG.by)
    client = {"login": BERG.address, "senders": [BERG.address], "mailbox": BERG.address}
    hashes = [passwords.generate()[1] for _ in range(2)]
    made = [{"hash": hashes[0], "label": "Printer, 2nd floor"}, {"hash": hashes[1], "label": "Web"}]
    orders.AddClient({**client, "password": made}).carry_out(stage.registry, BERG.by)
    stage.uses.note(BERG.address, hashes[0], "10.1.0.7", NOW - 4000)
    return stage


def own(stage: OwnStage, who: Member = BERG) -> Visit:
    """All pages of /me."""

    def visit(page: Page, address: str) -> Iterator[str]:
        page.goto(f"{address}/me")
        yield "sign-in"
        key = _in_the_reactor(stage.people.begin, who)
        page.context.add_cookies([{"name": "m365gw-me", "value": key, "url": address}])
        page.goto(f"{address}/me")
        yield "mailbox"
        page.click("summary >> nth=4")
        page.click("summary >> nth=8")
        yield "settings"
        page.fill("[name=label]", "Phone")
        page.click("text=Make a password")
        page.wait_for_selector("#password")
        yield "password"
        page.goto(f"{address}/me")
        page.click("text=Send a test mail")
        page.wait_for_selector("#steps")
        yield "test"
        told = explain("invalid_grant", "", (700082,), 400).diagnosis.about(mailbox=BERG.address)
        ready: dict[str, Any] = dict(stage.standing)
        trouble = {"state": "needs_signin", "diagnosis": attrs.asdict(told), "why": told.what}
        stage.standing.update(trouble)
        stage.waits[BERG.address] = 3
        page.goto(f"{address}/me")
        yield "trouble"
        stage.standing.update(ready)
        stage.waits.clear()
        row = stage.clients()[0]["passwords"][-1]
        orders.RemovePassword(BERG.address, row["id"]).carry_out(stage.registry, BERG.by)

    return visit
