"""Many messages at once: what would be done is shown first, then somebody says so."""

from __future__ import annotations

import secrets
from typing import Final

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.bulk_order import BulkOrder
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.pages.queue import asked
from m365gw.admin.web.view import Answer, Redirect, View, page
from m365gw.admin.web.words import ACTIONS
from m365gw.spool.operations import Action

KEPT: Final = 3600.0  # seconds an order is kept to be looked at
MOST: Final = 20  # orders at a time


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.post("/queue/bulk", pages.begin)
    console.get("/queue/bulk/<order>", pages.show)
    console.post("/queue/bulk/<order>/do", pages.do)
    console.post("/queue/bulk/<order>/cancel", pages.cancel)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._orders: dict[str, BulkOrder] = {}

    async def begin(self, view: View) -> Answer:
        name = view.form.get("all") or view.form.get("action")
        if name not in [each.value for each in ACTIONS]:
            raise Refusal(400, "Nothing was said to be done.", "", "Use one of the buttons.")
        order = BulkOrder(self._desk, Action(name), view.by, view.now)
        key = self._keep(order)
        if not view.form.get("all"):
            order.choose(view.form.all("id"))
        else:
            wish = asked(view.form, view.now)
            roll = await self._desk.rolls.latest(patience=10.0)
            if roll is None:
                raise Refusal(503, "The queue is still being read.", "", "Try again in a minute.")
            order.find(roll, wish)
        return Redirect(f"/queue/bulk/{key}")

    def show(self, view: View) -> Answer:
        return page("bulk.html", order=self._order(view))

    def do(self, view: View) -> Answer:
        self._order(view).do()
        return Redirect(f"/queue/bulk/{view.names['order']}")

    def cancel(self, view: View) -> Answer:
        order = self._order(view)
        was_acting = order.state == "acting"
        order.stop()
        return Redirect(f"/queue/bulk/{view.names['order']}" if was_acting else "/queue")

    def _keep(self, order: BulkOrder) -> str:
        for key, each in list(self._orders.items()):
            if order.began_at - each.began_at > KEPT and not each.is_busy:
                del self._orders[key]
        if len(self._orders) >= MOST:
            oldest = next((key for key, each in self._orders.items() if not each.is_busy), None)
            if oldest is None:
                raise Refusal(503, "Too many orders are under way.", "", "Wait for one to end.")
            del self._orders[oldest]
        key = secrets.token_hex(8)
        self._orders[key] = order
        return key

    def _order(self, view: View) -> BulkOrder:
        order = self._orders.get(view.names["order"])
        if order is None or order.by != view.by:
            raise Refusal(404, "There is no such order any more.", "", "Choose the messages again.")
        return order
