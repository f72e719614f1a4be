"""What is sent beside the pages: files of others as they were published, charts as drawn here."""

from __future__ import annotations

import hashlib
import re

from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin.web.assets import FOLDER, KINDS
from m365gw.admin.web.chart import HEIGHT, chart, round_top
from m365gw.admin.web.templates import FOLDER as TEMPLATES

GROUNDS = ("ground", "surface", "raised", "sunk")


class VendoredTests(SynchronousTestCase):
    def test_files_of_others_are_what_the_table_says(self) -> None:
        """Each has its licence beside it, and the checksum that was written down."""
        table = (FOLDER / "VENDORED.md").read_text()
        rows = re.findall(r"\| `([\w.]+)` \|.*`([\w.]+)` \| `([0-9a-f]{64})` \|", table)
        self.assertEqual([name for name, _, _ in rows], ["htmx.min.js"])
        for name, licence, digest in rows:
            octets = (FOLDER / name).read_bytes()
            self.assertEqual(hashlib.sha256(octets).hexdigest(), digest)
            self.assertTrue((FOLDER / licence).read_text())

    def test_nothing_is_fetched_from_elsewhere(self) -> None:
        """No sheet, script of ours or template names another host."""
        ours = [*TEMPLATES.iterdir(), FOLDER / "console.css", FOLDER / "console.js"]
        for path in ours:
            with self.subTest(file=path.name):
                self.assertNotRegex(path.read_text(), r"https?://|@import|(?<![.\w])url\(")

    def test_everything_there_is_of_a_known_kind(self) -> None:
        """What has no media type here is not sent, so it is either a licence or the table."""
        others = {path.name for path in FOLDER.iterdir() if path.suffix not in KINDS}
        self.assertEqual(others, {"VENDORED.md", "htmx.LICENSE"})


class ColourTests(SynchronousTestCase):
    def test_text_can_be_read(self) -> None:
        """Each pair of text and ground has the contrast that WCAG 2.2 (1.4.3) asks for."""
        sheet = (FOLDER / "console.css").read_text()
        themes = re.findall(r":root \{(.*?)\n\s*\}", sheet, re.DOTALL)
        self.assertEqual(len(themes), 2)
        tones = ("good", "warn", "bad", "note", "idle")
        pairs = [(text, ground) for text in ("text", "muted", "accent") for ground in GROUNDS]
        pairs += [(tone, f"{tone}-soft") for tone in tones]
        pairs += [("muted", f"{tone}-soft") for tone in tones]
        pairs += [("on-accent", "accent"), ("accent-strong", "accent-soft"), ("bad", "raised")]
        for theme in themes:
            colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", theme))
            for text, ground in pairs:
                with self.subTest(text=text, ground=ground):
                    self.assertGreaterEqual(contrast(colours[text], colours[ground]), 4.5)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.2)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class ChartTests(SynchronousTestCase):
    def test_lines_are_on_one_scale(self) -> None:
        """Nought is at the bottom, the top is a round number."""
        drawn = chart({("a", "A"): [0, 40, 20], ("b", "B"): [0, 0, 1]}, {"a": 60, "b": 1}, ["now"])
        self.assertEqual((drawn.top, drawn.width), (50, 2))
        self.assertEqual(drawn.series[0].line, f"M0 {HEIGHT}L1 200L2 600")
        self.assertEqual(drawn.series[1].total, 1)

    def test_nothing_to_draw(self) -> None:
        """Is drawn all the same."""
        self.assertEqual(chart({("a", "A"): []}, {"a": 0}, []).series[0].line, "")

    def test_tops(self) -> None:
        """1, 2 or 5 times a power of ten."""
        tops = [round_top(most) for most in (0, 4, 6, 11, 21, 999, 1001)]
        self.assertEqual(tops, [5, 5, 10, 20, 50, 1000, 2000])
