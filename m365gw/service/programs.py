"""What programs find on the web beside the console: the API, metrics and probes, wired."""

from __future__ import annotations

from m365gw.admin.api import Api
from m365gw.admin.web.api_door import ApiDoor
from m365gw.admin.web.bearers import Bearers
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.exposition import Snapshot
from m365gw.admin.web.watch import Probe, Scrape
from m365gw.config.web import Web
from m365gw.service.gauges import Gauges
from m365gw.service.lag import Lag
from m365gw.service.parts import Parts
from m365gw.service.readiness import Readiness
from m365gw.service.status import Status


class Programs:
    """The API, /metrics, /livez and /readyz of one gateway."""

    def __init__(
        self, parts: Parts, status: Status, api: Api, console: Console, desk: Desk
    ) -> None:
        self._desk = desk
        readiness = Readiness(parts, status)
        self._gauges = Gauges(parts, desk.rolls, readiness.faults)
        bearers = Bearers(desk.api_tokens, desk.calls, parts.reactor, parts.log)
        arrivals = console.arrivals
        self._scrape = Scrape(self._metrics, bearers, arrivals)
        console.beside("metrics", self._scrape)
        console.beside("livez", Probe("It lives."))
        console.beside("readyz", Probe("It takes mail.", readiness.faults))
        console.beside("api", api.resource(ApiDoor(bearers, console.visits, arrivals).who))
        self._lag = Lag(parts.reactor, parts.log)
        self._lag.start()

    def configure(self, web: Web) -> None:
        """From now on these are the settings."""
        self._scrape.configure(web.metrics_from)

    def stop(self) -> None:
        """Count no more."""
        self._lag.stop()

    async def _metrics(self, accept: str) -> tuple[bytes, str]:
        metrics, gauges = self._desk.metrics, await self._gauges.read()
        snapshot = Snapshot.of(metrics.totals, gauges, metrics.histograms)
        return await self._desk.calls.call(snapshot.encoded, accept)
