"""From what a page gave to what the browser gets: HTML, a way to go on, or a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from attrs import frozen
from twisted.logger import Logger

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.request import WebRequest
from m365gw.admin.web.templates import templates
from m365gw.admin.web.view import Answer, Away, File, Page, Redirect, View, local_path

UNFORESEEN: Final = Refusal(
    500,
    "This failed inside the gateway.",
    "It was not foreseen. Mail flows on.",
    "The log of the gateway says where; those who maintain it will want to see it.",
)

MOST_TOASTED: Final = 1000  # browsers that were not told yet; the oldest give way

_diagnostics = Logger()


@frozen
class Section:
    """An entry of the navigation."""

    name: str
    path: str
    icon: str


class Rendering:
    """Sends answers. `sections` is the navigation, in order."""

    def __init__(self, hostname: str) -> None:
        self.sections: list[Section] = []
        self.hostname = hostname
        self._toasts: defaultdict[str, list[Redirect]] = defaultdict(list)  # by browser

    def octets(self, request: WebRequest, view: View, answer: Answer) -> bytes:
        """The body of the answer, once its head is set."""
        if isinstance(answer, Redirect):
            return self._redirect(request, view, answer)
        if isinstance(answer, Away):
            if answer.key is not None:
                request.give_key(answer.key)
            request.go_to(answer.url)
            return b""
        if isinstance(answer, File):
            return _file(request, answer)
        try:
            return self._page(request, view, answer)
        except Refusal as refusal:
            return self._page(request, view, refused(refusal))
        except Exception:
            _diagnostics.failure("{path} could not be shown", path=view.path)
            return self._page(request, view, refused(UNFORESEEN))

    def _redirect(self, request: WebRequest, view: View, answer: Redirect) -> bytes:
        if answer.toast:
            self._toasts[view.browser].append(answer)
            if len(self._toasts) > MOST_TOASTED:
                del self._toasts[next(iter(self._toasts))]
        if answer.key is not None:
            self._toasts.pop(view.browser, None)
            request.give_key(answer.key, answer.to)
        request.go_to(local_path(answer.to))
        return b""

    def _page(self, request: WebRequest, view: View, answer: Page) -> bytes:
        is_whole = not view.part or answer.status >= 400
        toasts: Sequence[Redirect] = ()
        if is_whole:
            toasts = self._toasts.pop(view.browser, ())
        frame = {
            "view": view,
            "sections": self.sections,
            "hostname": self.hostname,
            "toasts": toasts,
        }
        part = "" if is_whole else view.part
        octets = templates().render(answer.template, {**frame, **answer.values}, part)
        request.setResponseCode(answer.status)
        request.responseHeaders.setRawHeaders(b"content-type", [b"text/html; charset=utf-8"])
        return octets


def refused(refusal: Refusal) -> Page:
    """A refusal as a page."""
    return Page("refused.html", {"refusal": refusal}, refusal.status)


def _file(request: WebRequest, answer: File) -> bytes:
    name = "".join(each for each in answer.name if each.isalnum() or each in "._-@")
    headers = request.responseHeaders
    headers.setRawHeaders(b"content-type", [b"application/octet-stream"])
    headers.setRawHeaders(b"content-disposition", [f'attachment; filename="{name}"'.encode()])
    return answer.octets
