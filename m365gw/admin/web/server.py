"""Where the console listens: one port, with TLS of our own or without, opened and closed at will.

A port that cannot be had is said in the log, and mail flows; the next reload tries again.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from m365gw.admin.http import site
from m365gw.admin.web.console import Console
from m365gw.admin.web.request import WebRequest
from m365gw.config.web import Web
from m365gw.events import EventLog


class WebServer:
    """The port of the console. `certificate` makes the server side of TLS connections."""

    def __init__(
        self,
        reactor: Any,
        console: Console,
        certificate: IOpenSSLServerConnectionCreator,
        log: EventLog,
    ) -> None:
        self._reactor = reactor
        self._console = console
        self._certificate = certificate
        self._log = log
        self._wanted = ("", False)  # endpoint, and whether it has TLS
        self.port: IListeningPort | None = None

    async def configure(self, web: Web) -> None:
        """Listen where these settings say, or nowhere. It never fails."""
        wanted = (web.endpoint, web.tls)
        if wanted == self._wanted and (self.port is not None or not web.endpoint):
            return
        await self.close()
        self._wanted = wanted
        if web.endpoint:
            await self._listen(web)

    async def close(self) -> None:
        """Listen no more. What is being answered is answered."""
        port, self.port = self.port, None
        if port is not None:
            await maybeDeferred(port.stopListening)

    async def _listen(self, web: Web) -> None:
        factory: Any = site(self._console.resource(is_tls=web.tls), self._reactor, WebRequest)
        if web.tls:
            factory = TLSMemoryBIOFactory(
                self._certificate, isClient=False, wrappedFactory=factory, clock=self._reactor
            )

        def bind() -> Deferred[IListeningPort]:
            endpoint = serverFromString(self._reactor, web.endpoint)  # type: ignore[no-untyped-call]
            return endpoint.listen(factory)  # type: ignore[no-any-return]

        listening = maybeDeferred(bind)
        listening.addErrback(self._unavailable, web.endpoint)
        self.port = await listening
        if self.port is not None:
            where: Any = self.port.getHost()
            address = f"{where.host}:{where.port}" if hasattr(where, "host") else web.endpoint
            scheme = "https" if web.tls else "http"
            # No address to go to; and Microsoft sends nobody back to 127.0.0.1.
            shown = re.sub(r"^(?:0\.0\.0\.0|127\.0\.0\.1|::):", "localhost:", address)
            note = f"the console is there; to look at it: {web.public_url or f'{scheme}://{shown}'}"
            self._log.emit("web.ready", "web", address=address, note=note)

    def _unavailable(self, failure: Failure, endpoint: str) -> None:
        why = failure.getErrorMessage().rstrip(".")
        note = (
            f"the console cannot listen on {endpoint}: {why}. Mail flows without it. Is another"
            " program on that port? Once it is free: m365gw reload"
        )
        self._log.emit("web.unavailable", "web", level="error", note=note)
