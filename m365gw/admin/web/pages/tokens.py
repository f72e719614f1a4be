"""Tokens of the API: made, shown once, taken away. They stand on the page of the operators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.changing import caller
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.once import Secret
from m365gw.admin.web.pages.operators import PATH
from m365gw.admin.web.view import Answer, Redirect, View
from m365gw.directory.api_tokens import NAME, NoSuchToken, TokenExists
from m365gw.directory.operators import ROLES


def add(console: Console, desk: Desk) -> None:
    """Put the forms in."""

    async def make(view: View) -> Answer:
        name, role = view.form.get("name"), view.form.get("role")
        if not NAME.fullmatch(name) or role not in ROLES:
            fix = "Letters and figures, at most 128, and no space."
            raise Refusal(422, f'"{name}" is no name for a token.', "", fix)
        ends_at = _end_of(view.form.get("ends"))
        try:
            token = await desk.calls.call(
                desk.api_tokens.add, name, role, caller(view).name, ends_at
            )
        except TokenExists as error:
            raise Refusal(409, str(error), "", "Choose another name.") from None
        words = f"The token {name} is made. Programs send it with each request, as below."
        header = [("Header", "Authorization: Bearer TOKEN"), ("Address", "/api/v1/")]
        return desk.once.show(view, Secret("Token", words, token, PATH, header))

    async def remove(view: View) -> Answer:
        name = view.names["name"]
        try:
            await desk.calls.call(desk.api_tokens.remove, name, caller(view).name)
        except NoSuchToken as error:
            raise Refusal(404, str(error)) from None
        return Redirect(PATH, f"The token {name} is good for nothing any more.")

    console.post("/tokens/add", make)
    console.post("/tokens/<path:name>/remove", remove)


def _end_of(day: str) -> float | None:
    """The end of this day, by UTC, in seconds since 1970; None for "". Raises `Refusal`."""
    if not day:
        return None
    try:
        midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    except ValueError:
        raise Refusal(422, f"{day} is no day.", "", "As 2027-01-31.") from None
    return (midnight + timedelta(days=1)).timestamp()
