"""The console: which path is which page, and what is checked before a page is asked.

Before a page is asked it is known where the request comes from (`arrival`), whose session it is
(`visits`), whether his role is enough, and, for a change, that the browser sends what a page of
ours gave it and no other site could: the token of the session, and an Origin that is ours. What a
page raises as `Refusal` becomes a page that says so; anything else is logged and answered with 500.

What has begun is finished, whether the browser waits for the answer or has left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from attrs import evolve
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from werkzeug.exceptions import HTTPException

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.arrival import Arrivals
from m365gw.admin.web.assets import assets
from m365gw.admin.web.line_stream import LineStreams
from m365gw.admin.web.rendering import UNFORESEEN, Rendering, Section, refused
from m365gw.admin.web.request import Doorstep, WebRequest
from m365gw.admin.web.view import (
    Answer,
    PageFunction,
    Redirect,
    SignedIn,
    View,
    fields_of,
    local_path,
)
from m365gw.admin.web.visits import Visits, digest_of, is_token, new_key, token_of
from m365gw.config.web import Web
from m365gw.directory.database import DirectoryError
from m365gw.directory.operators import Role

LOGIN = "/login"

_diagnostics = Logger()


class Console:
    """The pages of one gateway."""

    def __init__(self, web: Web, visits: Visits, clock: IReactorTime, hostname: str) -> None:
        self.visits = visits
        self.lines = LineStreams(visits=visits, clock=clock)
        self._clock = clock
        self._rendering = Rendering(hostname)
        self._beside: dict[bytes, Resource] = {}
        self.entrance: Callable[[], str] = lambda: LOGIN  # where one signs in
        self._app = Klein()
        self._app.url_map.merge_slashes = False
        self._app.handle_errors(HTTPException)(self._no_page)
        self.configure(web)

    def configure(self, web: Web) -> None:
        """From now on these are the settings."""
        self._arrivals = Arrivals(web)
        self.visits.configure(web)

    def call(self, hostname: str) -> None:
        """From now on the gateway has this name."""
        self._rendering.hostname = hostname

    def section(self, name: str, path: str, icon: str) -> None:
        """Show a page in the navigation, behind the others; `icon` is one of icons.html."""
        self._rendering.sections.append(Section(name, path, icon))

    def get(self, path: str, page: PageFunction, *, role: Role | None = "viewer") -> None:
        """Show a page at a path: "/queue/<queue_id>". With role None it is there for everybody."""
        self._route("GET", path, page, role)

    def post(self, path: str, page: PageFunction, *, role: Role | None = "operator") -> None:
        """Take a form at a path."""
        self._route("POST", path, page, role)

    def stream(self, path: str, begin: Callable[[WebRequest], None]) -> None:
        """Let `begin` answer, bit by bit, a request of somebody who is signed in."""

        async def answer(request: WebRequest, done: Deferred[None]) -> None:
            if await self.visits.of(request.key, is_used=False) is None:
                request.setResponseCode(401)
                done.callback(None)
            elif not request.has_left:
                request.notifyFinish().addBoth(lambda _: done.callback(None))
                begin(request)

        def endpoint(request: IRequest) -> Deferred[None]:
            assert isinstance(request, WebRequest)
            done: Deferred[None] = Deferred(lambda _: None)
            beginning = Deferred.fromCoroutine(answer(request, done))
            beginning.addErrback(done.errback)
            return done

        self._app.route(path, methods=["GET"], endpoint=f"stream {path}")(endpoint)

    def beside(self, name: str, resource: Resource) -> None:
        """Answer what is no page at all paths that begin so: "api". It judges who asks itself."""
        self._beside[name.encode("ascii")] = resource

    def arrivals(self) -> Arrivals:
        """How arrivals are judged by the settings of now."""
        return self._arrivals

    def resource(self, *, is_tls: bool) -> Resource:
        """All of it, for one listener."""
        return Doorstep(
            self._app.resource(),
            self._beside,
            lambda: self._arrivals,
            assets(),
            is_tls=is_tls,
        )

    def _route(self, method: str, path: str, page: PageFunction, role: Role | None) -> None:
        def endpoint(request: IRequest, **names: str) -> Deferred[bytes]:
            assert isinstance(request, WebRequest)
            done: Deferred[bytes] = Deferred(lambda _: None)  # the browser has left: go on
            asked = Deferred.fromCoroutine(self._answer(request, page, role, names))
            asked.addBoth(lambda said: None if done.called else done.callback(said))
            return done

        self._app.route(path, methods=[method], endpoint=f"{method} {path}")(endpoint)

    async def _answer(
        self, request: WebRequest, page: PageFunction, role: Role | None, names: dict[str, str]
    ) -> bytes:
        view = View(request.path_text, request.arrival, now=self._clock.seconds(), names=names)
        try:
            view = await self._known(request, view)
            answer: Answer | Awaitable[Answer] = self._gate(request, view, role) or page(view)
            if isinstance(answer, Awaitable):
                answer = await answer
        except Refusal as refusal:
            answer = refused(refusal)
        except DirectoryError as failed:
            what = "The directory cannot be asked now, so nobody can be signed in."
            answer = refused(Refusal(503, what, str(failed), "Mail flows on."))
        except Exception:
            _diagnostics.failure("{path} failed", path=view.path)
            answer = refused(UNFORESEEN)
        return self._rendering.octets(request, view, answer)

    async def _known(self, request: WebRequest, view: View) -> View:
        """The view with who asks, and for what. Raises `Refusal`."""
        session = await self.visits.of(request.key, is_used=not request.is_live)
        if session is None and not request.key:
            request.give_key(new_key())
        view = evolve(
            view,
            operator=SignedIn(session.login, session.role) if session else None,
            session=session.digest if session else "",
            browser=digest_of(request.key),
            browsers=frozenset(map(digest_of, request.keys)),
            token=token_of(request.key),
        )
        if request.is_too_long:
            raise Refusal(413, "What you sent is too long.", "", "Choose fewer at a time.")
        query = fields_of(request.uri.partition(b"?")[2])
        form = fields_of(request.content.getvalue() if request.method == b"POST" else b"")
        return evolve(view, query=query, form=form, part=query.get("part"))

    def _gate(self, request: WebRequest, view: View, role: Role | None) -> Answer | None:
        """What is answered instead of the page; None: the page may be asked. Raises `Refusal`."""
        is_form = request.method == b"POST"
        if role is not None and view.operator is None:
            if self.entrance() != LOGIN:
                return Redirect(self.entrance())
            wanted = "/" if is_form else local_path(request.wanted)
            return Redirect(LOGIN if wanted == "/" else f"{LOGIN}?next={quote(wanted, safe='/')}")
        if is_form:
            is_ours = request.header(b"origin") in ("", view.arrival.origin)
            if not (is_ours and is_token(request.key, view.form.get("token"))):
                raise Refusal(
                    403,
                    "Nothing was done: this form is not from a page of this session.",
                    "You may have signed in or out since, or another site has sent it.",
                    "Open the page anew and do it again.",
                )
        if role == "operator" and view.operator is not None and not view.operator.may_change:
            raise Refusal(
                403,
                "Nothing was done: you may look, but not change anything.",
                f"{view.operator.login} has the role viewer.",
                "Ask somebody with the role operator.",
            )
        return None

    def _no_page(self, request: IRequest, failure: Failure) -> Deferred[bytes]:
        """Werkzeug found no path, or the path does not take the method."""
        assert isinstance(request, WebRequest)
        is_known = isinstance(failure.value, HTTPException) and failure.value.code == 405
        refusal = (
            Refusal(405, "This page takes no such request.")
            if is_known
            else Refusal(404, "There is no such page.", "", "The navigation shows what there is.")
        )
        page = refused(refusal)
        return Deferred.fromCoroutine(self._answer(request, lambda _: page, None, {}))
