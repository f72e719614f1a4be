"""Templates: from values to HTML, everything escaped: what is markup, and what is not printable,
so that no text from outside turns the direction of writing or hides a part of itself.

A name that a template uses and nobody gave is an error, not an empty place. A template has blocks;
what is live on a page is a block that can be rendered alone (`part`). The macros of `ui.html` are
there in every template as `ui`, the pictures of `icons.html` as `icon`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from m365gw import __version__, words
from m365gw.admin.refusal import Refusal
from m365gw.admin.web.assets import assets
from m365gw.microsoft.actors import actor

FOLDER: Final = Path(__file__).parent / "templates"


class Templates:
    """All templates, ready to be rendered."""

    def __init__(self) -> None:
        self._known = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            finalize=_readable,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._known.globals |= {"asset": assets().url, "version": __version__}
        filters: dict[str, Callable[..., str]] = {
            "size": words.size,
            "octets": words.octets,
            "span": words.span,
            "short_span": words.short_span,
            "count": lambda number: f"{number:,}",
            "moment": words.moment,
            "clock": _clock,
            "day": _day,
            "day_clock": _day_clock,
            "machine_time": _machine_time,
            "actor": actor,
        }
        self._known.filters |= filters
        icons: Any = self._known.get_template("icons.html").module
        self._known.globals["icon"] = icons.icon
        self._known.globals["ui"] = self._known.get_template("ui.html").module

    def render(self, name: str, values: Mapping[str, Any], part: str = "") -> bytes:
        """The page, or one block of it. Raises `Refusal` 404 for a block it has not."""
        template = self._known.get_template(name)
        if not part:
            return template.render(values).encode("utf-8", "replace")
        if part not in template.blocks:
            raise Refusal(404, "There is no such part of this page.")
        context = template.new_context(dict(values))
        return "".join(template.blocks[part](context)).encode("utf-8", "replace")


@cache
def templates() -> Templates:
    """Those of this process, whatever consoles it has: to compile them costs more than to render.

    A start does not wait for it, the first page does.
    """
    return Templates()


def _readable(value: Any) -> Any:
    """What becomes of every value that a template shows, but for HTML that we made.

    Ends of lines stay: in a text they are a space, and what is to be copied has to have them.
    """
    if type(value) is not str or value.isprintable():
        return value
    return "\n".join(map(words.escaped, value.split("\n")))


def _clock(at: float) -> str:
    """The time of day in the zone of the gateway: "04:59:25"."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def _day(at: float) -> str:
    """The day in the zone of the gateway: "21 Nov 2026"."""
    return time.strftime("%d %b %Y", time.localtime(at))


def _day_clock(at: float) -> str:
    """Day and time for a narrow column: "21 Nov, 04:59"."""
    return time.strftime("%d %b, %H:%M", time.localtime(at))


def _machine_time(at: float) -> str:
    """For the attribute of a <time> element: "2026-11-21T04:59:25Z"."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
