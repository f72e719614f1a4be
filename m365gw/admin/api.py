"""The JSON API: paths and what answers them.

Endpoints are registered with `get` and `post`; what they give is sent as JSON, what they raise as
`Refusal` is sent in the error shape, and anything else they raise is logged and answered with 500.
No text of an unforeseen error goes to a client.

Whoever asks is known before an endpoint is reached: each listener has its own way to find out
(`Api.resource`), and endpoints know nothing of it. Reading is logged at debug, changing at info,
with who did it.

What has begun is finished, whether the client waits for the answer or has left.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import HTTPException

from m365gw.admin.answers import Anything
from m365gw.admin.body import Body, read
from m365gw.admin.endpoint import Endpoint
from m365gw.admin.http import MOST_BODY, ApiRequest, Caller
from m365gw.admin.refusal import Refusal
from m365gw.events import EventLog

PREFIX = "/api/v1"

Answer = Awaitable[Any] | Any  # what JSON can say, now or later
Who = Callable[[ApiRequest], Awaitable[Caller] | Caller]

_UNFORESEEN = Refusal(
    500,
    "This failed inside the gateway.",
    "It was not foreseen.",
    "The log of the gateway says where; those who maintain it will want to see it.",
)

_ONLY_READS = Refusal(
    403,
    "Nothing was done: you may read, but not change anything.",
    "Your role is viewer.",
    "It takes the role operator.",
)

_diagnostics = Logger()


class Api:
    """The endpoints of one gateway."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._app = Klein()
        self.endpoints: list[Endpoint] = []
        self._app.url_map.merge_slashes = False
        self._app.handle_errors(HTTPException)(self._not_an_endpoint)

    def get(self, path: str, answer: Callable[[], Answer], says: Any = Anything) -> None:
        """Answer GET on a path of /api/v1: `get("/queue/active", ...)`."""
        self._route(Endpoint("GET", PREFIX + path, None, says, True), lambda _: answer())

    def post(
        self,
        path: str,
        takes: type[Body],
        answer: Callable[[Body, Caller], Answer],
        says: Any = Anything,
    ) -> None:
        """Answer POST on a path of /api/v1.

        `takes` is the attrs class of its body, `says` the type of its answer (`answers`).
        """
        self._route(Endpoint("POST", PREFIX + path, takes, says, False), _reading(takes, answer))

    def ask(
        self,
        path: str,
        takes: type[Body],
        answer: Callable[[Body, Caller], Answer],
        says: Any = Anything,
    ) -> None:
        """Answer POST on a path, where nothing is changed: who may only read may ask as well."""
        self._route(Endpoint("POST", PREFIX + path, takes, says, True), _reading(takes, answer))

    def resource(self, who: Who) -> Resource:
        """The API for one listener. `who` knows its callers; it raises `Refusal` for others."""
        return _Doorstep(self._app.resource(), who)

    def _route(self, known: Endpoint, answer: Callable[[ApiRequest], Answer]) -> None:
        def endpoint(request: IRequest) -> Deferred[bytes]:
            assert isinstance(request, ApiRequest)
            done: Deferred[bytes] = Deferred(lambda _: None)  # the client has left: go on
            asked = Deferred.fromCoroutine(self._answer(request, known, answer))
            asked.addBoth(lambda said: None if done.called else done.callback(said))
            return done

        self.endpoints.append(known)
        self._app.route(known.path, methods=[known.method], endpoint=known.name)(endpoint)

    async def _answer(
        self, request: ApiRequest, endpoint: Endpoint, answer: Callable[[ApiRequest], Answer]
    ) -> bytes:
        try:
            _check(request)
            if request.caller.role != "operator" and not endpoint.only_reads:
                raise _ONLY_READS
            said = answer(request)
            if isinstance(said, Awaitable):
                said = await said
            status, octets = 200, _as_json(said)
        except Refusal as refusal:
            status, octets = refusal.status, _as_json(refusal.answer())
        except Exception:
            _diagnostics.failure("{path} failed", path=_shown(request))
            status, octets = _UNFORESEEN.status, _as_json(_UNFORESEEN.answer())
        self._note(request, status)
        _head(request, status)
        return octets

    def _not_an_endpoint(self, request: IRequest, failure: Failure) -> bytes:
        """Werkzeug found no path, or the path does not take the method."""
        assert isinstance(request, ApiRequest)
        error = failure.value
        method = request.method.decode("ascii", "replace")
        if isinstance(error, HTTPException) and error.code == 405:
            methods = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
            request.responseHeaders.setRawHeaders(b"allow", [methods.encode("ascii")])
            refusal = Refusal(
                405, f"{_shown(request)} does not take {method}.", "", f"It takes {methods}."
            )
        else:
            names = ", ".join(each.name for each in self.endpoints)
            known = f"There is: {names}."
            refusal = Refusal(404, f"There is nothing at {_shown(request)}.", "", known)
        self._note(request, refusal.status)
        _head(request, refusal.status)
        return _as_json(refusal.answer())

    def _note(self, request: ApiRequest, status: int) -> None:
        is_change = request.method not in (b"GET", b"HEAD")
        if is_change or self._log.is_debugging:
            self._log.emit(
                "control.request",
                "control",
                level="info" if is_change else "debug",
                order=f"{request.method.decode('ascii', 'replace')} {_shown(request)}",
                by=request.caller.name,
                status=status,
            )


class _Doorstep(Resource):
    """Finds out who asks before the app is asked, and turns away what no app should see."""

    isLeaf = True

    def __init__(self, inside: Resource, who: Who) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._inside = inside
        self._who = who

    def render(self, request: Any) -> Any:
        answering = Deferred.fromCoroutine(self._render(request))
        answering.addErrback(lambda fault: _diagnostics.failure("not answered", failure=fault))
        return NOT_DONE_YET

    async def _render(self, request: Any) -> None:
        refused = await self._refused(request)
        if request.has_left:
            return  # nothing has begun
        if refused is None:
            said = self._inside.render(request)  # type: ignore[no-untyped-call]  # nor here
        else:
            _head(request, refused.status)
            said = _as_json(refused.answer())
        if said is not NOT_DONE_YET:
            request.write(said)
            request.finish()

    async def _refused(self, request: Any) -> Refusal | None:
        """Why this request does not come in; None when it does, and its caller is known."""
        try:
            caller = self._who(request)
            request.caller = await caller if isinstance(caller, Awaitable) else caller
            b"/".join([request.method, *request.postpath]).decode("utf-8")
        except UnicodeDecodeError:
            return Refusal(400, "The address is not text in UTF-8.")
        except Refusal as refusal:
            return refusal
        except Exception:
            _diagnostics.failure("it was not found out who asks {path}", path=_shown(request))
            return _UNFORESEEN
        return None


def _reading(
    takes: type[Body], answer: Callable[[Body, Caller], Answer]
) -> Callable[[ApiRequest], Answer]:
    return lambda request: answer(read(request.content.read(), takes), request.caller)


def _check(request: ApiRequest) -> None:
    """What holds for all endpoints. Raises `Refusal`."""
    if request.is_too_long:
        raise Refusal(
            413, "The body is too long.", f"{MOST_BODY} octets are taken at most.", "Send less."
        )
    if b"?" in request.uri:
        raise Refusal(400, "A query (?...) is not taken here.", "", "Leave it out.")


def _head(request: ApiRequest, status: int) -> None:
    request.setResponseCode(status)
    request.responseHeaders.setRawHeaders(b"content-type", [b"application/json"])
    request.responseHeaders.setRawHeaders(b"cache-control", [b"no-store"])


def _as_json(said: Any) -> bytes:
    text = json.dumps(said, ensure_ascii=False, allow_nan=False)
    # A lone surrogate, as a key of a body may have it, becomes the escape that JSON has for it.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _shown(request: ApiRequest) -> str:
    return request.path.decode("utf-8", "backslashreplace")
