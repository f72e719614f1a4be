"""Files of sasl-xoauth2: its configuration, and the token file of each mailbox.

A token file may name an app of its own; else that of the configuration counts. Source:
sasl-xoauth2.conf(5) and the token store of tarickb/sasl-xoauth2.

Failures: `Unreadable`; no value is quoted.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from m365gw.moving.json_values import object_in, text_at
from m365gw.moving.places import Unreadable

_HOSTS = {
    "login.microsoftonline.com": "worldwide",
    "login.microsoftonline.us": "gcc-high",
    "login.partner.microsoftonline.cn": "china",
}


@frozen
class App:
    """The app registration a token belongs to."""

    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    tenant: str = ""
    cloud: str = ""  # "": not known


@frozen
class Token:
    """What a token file holds. `user` is who signs in, when it is not the name in the map."""

    refresh_token: str = field(repr=False)
    app: App
    user: str = ""


def app_of(text: str, name: str) -> App:
    """The app of `/etc/sasl-xoauth2.conf`, as far as it is said there. Raises `Unreadable`."""
    return _over(App(), text, name)


def token_of(text: str, name: str, app: App) -> Token:
    """A token file; `app` is that of the configuration. Raises `Unreadable`."""
    values = object_in(text, name)
    refresh_token = text_at(values, "refresh_token")
    if not refresh_token:
        raise Unreadable(name, "holds no refresh_token, so nobody is signed in by it")
    return Token(refresh_token, _over(app, text, name), text_at(values, "user"))


def _over(app: App, text: str, name: str) -> App:
    values = object_in(text, name)
    endpoint = text_at(values, "token_endpoint")
    if endpoint:
        parts = urlsplit(endpoint)
        cloud, tenant = _HOSTS.get(parts.netloc, ""), parts.path.strip("/").split("/")[0]
        if not re.fullmatch(r"[0-9A-Za-z.-]+", tenant):
            raise Unreadable(name, "token_endpoint names no tenant, so it is not Microsoft's")
        app = evolve(app, tenant=tenant, cloud=cloud)
    said = {key: text_at(values, key) for key in ("client_id", "client_secret")}
    return evolve(app, **{key: value for key, value in said.items() if value})
