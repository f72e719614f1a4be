"""The API over the web: who may ask it.

A program sends a token. A page of the console has the session of its browser; for a change it also
sends what only a page of ours knows (`X-CSRF-Token`), and an Origin that is ours. No other origin
may read an answer: nothing here speaks of CORS, so browsers refuse it.

Failures: `Refusal` 401 for who is nobody, 403 for a change no page of ours has sent, 503 without
the directory.
"""

from __future__ import annotations

from collections.abc import Callable

from m365gw.admin.http import ApiRequest, Caller
from m365gw.admin.refusal import Refusal
from m365gw.admin.web.arrival import Arrivals
from m365gw.admin.web.bearers import Bearers
from m365gw.admin.web.request import WebRequest
from m365gw.admin.web.safety import secure
from m365gw.admin.web.visits import Visits, is_token
from m365gw.directory.database import DirectoryError


class ApiDoor:
    """Finds out who asks."""

    def __init__(self, bearers: Bearers, visits: Visits, arrivals: Callable[[], Arrivals]) -> None:
        self._bearers = bearers
        self._visits = visits
        self._arrivals = arrivals

    async def who(self, request: ApiRequest) -> Caller:
        """The caller of a request. Raises `Refusal`."""
        assert isinstance(request, WebRequest)
        request.arrival = self._arrivals().judge(request, is_tls=request.is_tls)
        secure(request.responseHeaders, request.arrival)
        if request.header(b"authorization"):
            return await self._bearers.caller(request, request.arrival.address)
        return await self._visitor(request)

    async def _visitor(self, request: WebRequest) -> Caller:
        request.read_key()
        try:
            session = await self._visits.of(request.key, is_used=not request.is_live)
        except DirectoryError as error:
            raise Refusal(503, "Nobody can be looked up now.", str(error)) from None
        if session is None:
            request.responseHeaders.setRawHeaders(b"www-authenticate", [b"Bearer"])
            raise Refusal(
                401,
                "Who are you?",
                "The API takes a token, or the session of somebody signed in to the console.",
                'Send "Authorization: Bearer TOKEN"; m365gw token add NAME makes one.',
            )
        if request.method == b"POST":
            is_ours = request.header(b"origin") in ("", request.arrival.origin)
            if not (is_ours and is_token(request.key, request.header(b"x-csrf-token"))):
                raise Refusal(
                    403,
                    "Nothing was done: no page of this session has sent this.",
                    "X-CSRF-Token is missing or wrong, or Origin is of another site.",
                    "A program had better use a token: m365gw token add NAME.",
                )
        return Caller(f"console: {session.login}", session.role)
