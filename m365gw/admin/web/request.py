"""HTTP as the console takes it: bounded requests, of which it is known where they come from.

`Doorstep` is the first to see a request. It puts the security headers on the answer, whatever the
answer will be, turns away what is not for us, and gives out the files of `assets`; all else goes on
to the pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from twisted.web.resource import Resource

from m365gw.admin.http import ApiRequest
from m365gw.admin.refusal import Refusal
from m365gw.admin.web.arrival import Arrival, Arrivals
from m365gw.admin.web.assets import Assets
from m365gw.admin.web.safety import secure
from m365gw.admin.web.visits import is_key

COOKIE: Final = b"m365gw"
OWN_COOKIE: Final = b"m365gw-me"  # of people at /me, who are no operators
SECURE: Final = b"__Host-"  # before a name: no other host can plant it; only over https

_METHODS = (b"GET", b"HEAD", b"POST")


class WebRequest(ApiRequest):
    """A request to the console. `arrival` and `key` are set at the door."""

    arrival: Arrival
    is_tls = False  # whether it came by TLS of ours
    key = ""  # the cookie of the browser for this part, "" when it has none that may be ours
    keys: frozenset[str] = frozenset()  # all its cookies that may be ours

    def header(self, name: bytes) -> str:
        """The one value of a header, "" without; several are as good as a wrong one."""
        said = self.requestHeaders.getRawHeaders(name) or [b""]
        return said[0].decode("latin-1") if len(said) == 1 else "?"

    @property
    def path_text(self) -> str:
        """The path as a person reads it."""
        return unquote(self.path.decode("ascii", "replace"))

    @property
    def wanted(self) -> str:
        """Where to go after signing in: this page, or the one that fetched a part of itself."""
        if not self.is_htmx:
            return self.uri.decode("ascii", "replace")
        try:
            page = urlsplit(self.header(b"hx-current-url"))
        except ValueError:  # no page of ours
            return "/"
        return f"{page.path}?{page.query}" if page.query else page.path

    @property
    def is_htmx(self) -> bool:
        """Whether the script of a page asks, which puts the answer into that page."""
        return self.header(b"hx-request") == "true"

    @property
    def is_live(self) -> bool:
        """Whether a page asks by itself: nobody has done anything."""
        return self.header(b"x-live") == "1"

    def read_key(self) -> None:
        """Find the cookies of the browser."""
        self.key = self._cookie(cookie_of(self.path_text))
        keys = (self._cookie(name) for name in (COOKIE, OWN_COOKIE))
        self.keys = frozenset(filter(None, keys))

    def give_key(self, key: str, path: str = "") -> None:
        """Give the browser another cookie, for the part with this path; "": take it away."""
        name = cookie_of(path or self.path_text)
        if name == cookie_of(self.path_text):
            self.key = key
        self.addCookie(  # type: ignore[no-untyped-call]  # Twisted's
            self._named(name),
            key.encode("ascii"),
            path=b"/",
            secure=self.arrival.is_https,
            httpOnly=True,
            sameSite=b"lax",
            max_age=None if key else b"0",
        )

    def go_to(self, path: str) -> None:
        """Answer that the browser shall go there: a path, or an address elsewhere."""
        where = quote(path, safe="/?&=%+:@,;~!$'()*-._").encode("ascii")
        if self.is_htmx:
            self.responseHeaders.setRawHeaders(b"hx-redirect", [where])
        else:
            self.setResponseCode(303)
            self.responseHeaders.setRawHeaders(b"location", [where])

    def _cookie(self, name: bytes) -> str:
        said: bytes | None = self.getCookie(self._named(name))  # type: ignore[no-untyped-call]
        key = (said or b"").decode("latin-1")
        return key if is_key(key) else ""

    def _named(self, name: bytes) -> bytes:
        return SECURE + name if self.arrival.is_https else name


def cookie_of(path: str) -> bytes:
    """The cookie of the part of the site that a path is in."""
    return OWN_COOKIE if re.match(r"/(?:me|auth)(?:[/?]|$)", path) else COOKIE


class Doorstep(Resource):
    """Judges a request, and hands it on."""

    isLeaf = True

    def __init__(
        self,
        pages: Resource,
        beside: Mapping[bytes, Resource],
        arrivals: Callable[[], Arrivals],
        assets: Assets,
        *,
        is_tls: bool,
    ) -> None:
        """`beside`: what is no page, by the first part of its path. It judges who asks itself."""
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._pages = pages
        self._beside = beside
        self._arrivals = arrivals
        self._assets = assets
        self._is_tls = is_tls

    def render(self, request: Any) -> Any:
        secure(request.responseHeaders)
        request.is_tls = self._is_tls
        beside = self._beside.get((request.postpath or [b""])[0])
        if beside is not None:
            return beside.render(request)  # type: ignore[no-untyped-call]  # Twisted's
        try:
            if request.method not in _METHODS:
                raise Refusal(405, "The console takes GET and POST.")
            request.arrival = self._arrivals().judge(request, is_tls=self._is_tls)
            request.uri.decode("ascii")
            b"/".join(request.postpath).decode("utf-8")
        except UnicodeDecodeError:
            return _turned_away(request, Refusal(400, "The address is not text in UTF-8."))
        except Refusal as refusal:
            return _turned_away(request, refusal)
        secure(request.responseHeaders, request.arrival)
        if request.postpath[:1] == [b"static"]:
            return self._give(request)
        request.read_key()
        return self._pages.render(request)  # type: ignore[no-untyped-call]  # nor here

    def _give(self, request: WebRequest) -> bytes:
        asset = self._assets.get(b"/".join((request.postpath or [])[1:]).decode("utf-8"))
        if asset is None or request.method == b"POST":
            return _turned_away(request, Refusal(404, "There is no such file."))
        headers = request.responseHeaders
        headers.setRawHeaders(b"content-type", [asset.kind])
        if request.uri.endswith(b"?v=" + asset.digest.encode("ascii")):
            headers.setRawHeaders(b"cache-control", ["public, max-age=31536000, immutable"])
        headers.setRawHeaders(b"content-length", [str(len(asset.octets))])
        return b"" if request.method == b"HEAD" else asset.octets


def _turned_away(request: WebRequest, refusal: Refusal) -> bytes:
    request.setResponseCode(refusal.status)
    request.responseHeaders.setRawHeaders(b"content-type", [b"text/plain; charset=utf-8"])
    said = (refusal.what, refusal.why, refusal.fix)
    return "\n".join(filter(None, said)).encode() + b"\n"
