"""Every page in a real Chromium, on a desk and on a phone, light and dark: nothing hostile runs,
nothing breaks the content security policy, and nobody is shut out who uses a keyboard, a screen
reader or a small screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright
from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.admin.web import haunted, sample, tour
from tests.admin.web.browser import PASSWORD
from tests.whole.stage import PATIENCE
from tests.whole.test_console import CHROMIUM, FLAGS

HERE: Final = Path(__file__).parent
BARRIERS: Final = (HERE / "accessibility.js").read_text()
FOCUS: Final = (HERE / "focus.js").read_text()
LONG: Final = 1000 * PATIENCE  # in milliseconds
POLICY: Final = "Content Security Policy"
DESK, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
Look = Callable[[Page], Iterable[str]]
WATCH: Final = (
    "window.violations = [];"
    "document.addEventListener('securitypolicyviolation',"
    " (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI));"
)


BAD: Final = """
<style>button:focus { outline: none } p { color: #aaa; background: white; width: 3000px }</style>
<h2 id="a">A</h2><h2 id="a">B</h2><table><tr><th>C</th></tr></table><img src="data:,"><p>D</p>
<input aria-describedby="nothing" tabindex="3"><button style="all: unset; width: 9px"></button>
"""


class EveryPageTests(TestCase):
    timeout = 900.0

    async def test_console(self) -> None:
        """A gateway after a day of mail, with hostile text wherever strangers can put some."""
        stage = sample.staged(self.mktemp())
        more = haunted.haunt(stage)
        await self._walk(stage, tour.console(stage, more))

    async def test_first_start(self) -> None:
        """The page of a gateway nobody has set up."""
        await self._walk(tour.newcomer(self.mktemp()), tour.first_start)

    async def test_own_mailbox(self) -> None:
        """What a person sees at /me, with a hostile display name and label."""
        stage = tour.own_staged(Path(self.mktemp()))
        haunted.haunt_own(stage)
        await self._walk(stage, tour.own(stage, haunted.MEMBER))

    async def test_keyboard_alone(self) -> None:
        """Signed in, past the navigation, into a dialog and out of it, through the menu."""
        stage = sample.staged(self.mktemp())
        await self._walk(stage, by_keyboard, lambda page: ())

    async def test_the_checks_find_what_is_wrong(self) -> None:
        """A page with a barrier of each kind is complained of for each."""
        found = await deferToThread(complaints_of, BAD)
        for words in ("no title", "no language", "<main>", "<h1>", "no name", "no alt", "scope"):
            self.assertTrue([each for each in found if words in each], (words, found))
        for words in ("twice", "nowhere", "order of its own", "contrast 1", "only 9", "wider"):
            self.assertTrue([each for each in found if words in each], (words, found))
        self.assertTrue([each for each in found if "no sign of the focus" in each], found)

    async def _walk(self, stage: Any, visit: tour.Visit, look: Look | None = None) -> None:
        port = reactor.listenTCP(0, stage.site, interface="127.0.0.1")
        time_goes_on = LoopingCall(stage.clock.advance, 1 / 8)
        time_goes_on.start(1 / 8)
        try:
            address = f"http://127.0.0.1:{port.getHost().port}"
            found, count = await deferToThread(walked, visit, address, look or faults)
        finally:
            time_goes_on.stop()
            await port.stopListening()
            stage.close()
        self.assertEqual(found, [], "\n".join(["", *found]))
        self.assertGreater(count, 1)


def walked(visit: tour.Visit, address: str, look: Look) -> tuple[list[str], int]:
    """In a thread: what is wrong on which page, and how many pages were seen."""
    found: list[str] = []
    count = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=LONG)
        page = browser.new_page(viewport=DESK, reduced_motion="reduce")
        page.set_default_timeout(LONG)
        page.add_init_script(WATCH)
        said: list[str] = []
        page.on("console", lambda one: said.append(one.text) if POLICY in one.text else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        for name in visit(page, address):
            count += 1
            found += [f"{name}: {fault}" for fault in dict.fromkeys(look(page))]
            found += [f"{name}: {words}" for words in said]
            said.clear()
        browser.close()
    return found, count


def by_keyboard(page: Page, address: str) -> Iterator[str]:
    """Without a mouse. What is focused is asked of the page."""

    def focused(words: str) -> str:
        page.wait_for_function(
            "(words) => (document.activeElement.ariaLabel || document.activeElement.innerText"
            " || document.activeElement.id).includes(words)",
            arg=words,
        )
        return f"{words} is focused"

    page.goto(f"{address}/login?next=/clients/shop")
    page.keyboard.type("anna")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#live[data-state=on]")
    page.keyboard.press("Tab")
    yield focused("Skip to the content")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    yield focused("Clients")
    for _ in range(4):
        page.keyboard.press("Tab")
    yield focused("Remove")
    page.keyboard.press("Enter")
    yield focused("Cancel")
    page.keyboard.press("Escape")
    yield focused("Remove")
    page.set_viewport_size(PHONE)
    page.focus(".menu")
    page.keyboard.press("Enter")
    page.wait_for_selector(".menu[aria-expanded=true]")
    yield focused("Menu")


def complaints_of(html: str) -> list[str]:
    """In a thread: what is said of one page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=LONG)
        page = browser.new_page(viewport=DESK)
        page.set_content(html)
        page.keyboard.press("Tab")
        found: list[str] = page.evaluate(BARRIERS) + page.evaluate(FOCUS)
        browser.close()
    return found


def faults(page: Page) -> Iterator[str]:
    """What is wrong with the page as it stands, in both themes and sizes."""
    yield from page.evaluate("window.violations")
    yield from page.evaluate("window.ran || []")
    yield from (f"{fault} (light)" for fault in page.evaluate(BARRIERS))
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    yield from (f"{fault} (dark, phone)" for fault in page.evaluate(BARRIERS))
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESK)
    page.keyboard.press("Tab")
    yield from page.evaluate(FOCUS)
