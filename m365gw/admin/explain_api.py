"""`POST /explain`: what would happen to a message, by the settings that hold now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from m365gw.admin.api import Api
from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.directory.facts import Facts
from m365gw.edge.admission.inquiry import Inquiry, inquire


def add_explain(api: Api, facts: Callable[[], Facts]) -> None:
    """Register the endpoint. `facts` gives the settings as they are."""

    def explained(asked: Inquiry, caller: Caller) -> dict[str, Any]:
        known = facts()
        try:
            return inquire(known.settings, known.configured, asked)
        except ValueError as error:
            raise Refusal(400, "This cannot be explained.", str(error)) from None

    api.ask("/explain", Inquiry, explained)
