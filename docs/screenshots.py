"""Pictures of every page for the documentation, into `docs/pictures`; of the main ones light and
dark, on a desk and on a phone.

    python -m docs.screenshots [--all-kinds] [--into FOLDER] [console-queue me-mailbox ...]

The pages are served by the code that serves them everywhere; a day of mail and its troubles are put
before it (`tests/admin/web/sample.py`, `tour.py`). Needs Chromium, and what the tests need.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread

from tests.admin.web import sample, tour
from tests.whole.test_console import CHROMIUM, FLAGS

PICTURES: Final = Path(__file__).parent / "pictures"
SIZES: Final = {"desktop": (1280, 860), "phone": (390, 844)}
THEMES: Final = ("light", "dark")
ONCE: Final = "light-desktop"  # how every page is taken
MAIN: Final = {
    *("console-overview", "console-queue", "console-message", "console-mailboxes"),
    *("console-mailbox", "console-clients", "console-client", "console-incidents"),
    *("console-doctor", "console-log", "setup-entrance", "me-sign-in", "me-mailbox"),
}  # taken in every way
COLOURS: Final = 256
STILL: Final = ("picked", "dialog")  # where the bottom of the screen is part of it


def gateways(folder: Path) -> Iterator[tuple[str, Any, tour.Visit]]:
    """Each gateway, and how all of its pages are seen."""
    stage = sample.staged(str(folder / "console"))
    yield "console", stage, tour.console(stage)
    yield "setup", tour.newcomer(str(folder / "new")), tour.first_start
    own = tour.own_staged(folder / "own")
    yield "me", own, tour.own(own)


def take(browser: Browser, kind: str, asked: argparse.Namespace, served: list[Any]) -> None:
    """All pictures of one kind."""
    theme, _, size = kind.partition("-")
    width, height = SIZES[size]
    viewport: Any = {"width": width, "height": height}
    for prefix, address, visit in served:
        scheme: Any = theme
        context = browser.new_context(color_scheme=scheme, viewport=viewport)
        page = context.new_page()
        for short in visit(page, address):
            name = short if short.startswith("setup-") else f"{prefix}-{short}"
            if asked.names and name not in asked.names:
                continue
            if kind != ONCE and not asked.all_kinds and name not in MAIN:
                continue
            page.evaluate("document.fonts.ready")
            octets = page.screenshot(full_page=short not in STILL, animations="disabled")
            picture = Image.open(io.BytesIO(octets)).convert("RGB")
            small = picture.quantize(COLOURS, kmeans=2, dither=Image.Dither.NONE)
            small.save(asked.into / f"{name}-{kind}.png", optimize=True)
        context.close()


def take_all(asked: argparse.Namespace, served: list[Any]) -> None:
    """In a thread: the pictures, one kind after the other."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for theme, size in product(THEMES, SIZES):
            take(browser, f"{theme}-{size}", asked, served)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="the pictures to take; without: every one")
    parser.add_argument("--all-kinds", action="store_true", help="each page in every way")
    parser.add_argument("--into", type=Path, default=PICTURES, help="the folder they go to")
    asked = parser.parse_args()
    asked.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        served, stages = [], []
        for prefix, stage, visit in gateways(Path(folder)):
            port = reactor.listenTCP(0, stage.site, interface="127.0.0.1")  # type: ignore[attr-defined]  # Twisted's
            LoopingCall(stage.clock.advance, 1 / 8).start(1 / 8)
            served.append((prefix, f"http://127.0.0.1:{port.getHost().port}", visit))
            stages.append(stage)
        done = deferToThread(take_all, asked, served)
        done.addErrback(lambda failure: failure.printTraceback(sys.stderr))
        done.addBoth(lambda _: reactor.stop())  # type: ignore[attr-defined]  # Twisted's
        reactor.run()  # type: ignore[attr-defined]  # Twisted's
        for stage in stages:
            stage.close()


if __name__ == "__main__":
    main()
