"""The passwords of a login: one more, or one less. Each is shown once, when it is made."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from m365gw.admin.refusal import Refusal
from m365gw.admin.web import rule_form
from m365gw.admin.web.changing import carried_out
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.once import Secret
from m365gw.admin.web.pages.clients import own, path_of
from m365gw.admin.web.view import Answer, Redirect, View
from m365gw.config.problems import Problem
from m365gw.config.settings import Settings
from m365gw.directory import passwords
from m365gw.directory.operators import SHORTEST
from m365gw.directory.orders import AddPassword, RemovePassword
from m365gw.directory.registry import Rejected


def add(console: Console, desk: Desk) -> None:
    """Put the forms in; the page of the login has them."""

    async def one_more(view: View) -> Answer:
        login = own(desk, view.names["login"])["login"]
        expires = view.form.get("expires")
        try:
            password, stored = await new_password(desk, view)
            ends = date.fromisoformat(expires).isoformat() if expires else None
        except Rejected as rejected:
            raise Refusal(422, "The password was not made.", str(rejected)) from None
        except ValueError:
            raise Refusal(422, f"{expires} is no day.", "", "As 2027-01-31.") from None
        values: dict[str, Any] = {
            "hash": stored,
            "label": view.form.get("label"),
            "created": time.strftime("%Y-%m-%d", time.gmtime(view.now)),
            "expires": ends,
            "networks": rule_form.members(view.form.get("networks")),
        }
        known = {name: value for name, value in values.items() if value}
        await carried_out(desk, AddPassword(login, known), view)
        words = f"{login} has one more password; the others stay good."
        if not password:
            return Redirect(path_of(login), words)
        return handed_over(desk, view, login, password, words)

    async def one_less(view: View) -> Answer:
        login = own(desk, view.names["login"])["login"]
        await carried_out(desk, RemovePassword(login, view.form.get("password")), view)
        return Redirect(path_of(login), "That password is good no more.")

    console.post("/clients/<path:login>/passwords/add", one_more)
    console.post("/clients/<path:login>/passwords/remove", one_less)


async def new_password(desk: Desk, view: View) -> tuple[str, str]:
    """One that is made, or the one that was chosen: what is shown of it ("" for that), its hash.

    Raises `Rejected`.
    """
    chosen = view.form.raw("password")
    if not chosen:
        return passwords.generate()
    if not SHORTEST <= len(chosen) <= passwords.LONGEST_PASSWORD:
        fault = f"has to have at least {SHORTEST} characters"
        raise Rejected([Problem("password", fault, "Or leave it empty, and one is made.")])
    return "", await desk.calls.call(passwords.hash_chosen, chosen)


def handed_over(desk: Desk, view: View, login: str, password: str, words: str) -> Redirect:
    """The way to the page that shows it once, with what a device has to be told beside it."""
    settings = desk.settings()
    told = [("Server", settings.hostname), ("Login", login)]
    for port, encryption in ways_in(settings)[:1]:
        told[1:1] = [("Port", port), ("Encryption", encryption)]
    secret = Secret("Password", words, password, path_of(login), [one for one in told if one[1]])
    return desk.once.show(view, secret)


def ways_in(settings: Settings) -> list[tuple[str, str]]:
    """Port and encryption of each listener that takes logins: what a device is to be told.

    Port 25 comes last, as it is shut in many networks; "" for a port that is not known here.
    """
    ways = []
    for listener in settings.listener:
        if listener.auth != "off":
            port = listener.endpoint.partition(":")[2].partition(":")[0]
            ways.append((port if port.isdigit() else "", _encryption(listener.tls)))
    return sorted(ways, key=lambda way: way[0] == "25")


def _encryption(tls: str) -> str:
    return {"implicit": "TLS", "auto": "TLS or STARTTLS", "none": ""}.get(tls, "STARTTLS")
