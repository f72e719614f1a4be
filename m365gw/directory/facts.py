"""What is known of each entry, as plain values: the same for the API, the console and the commands.

No hash and no secret is among them. Days are text in ISO 8601, and so is the last use, in UTC.
`origin` is "file" for what the configuration declares, which is locked, and "directory" for what a
person made; then `made_by` and its like say who and when (seconds since 1970).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import attrs
from attrs import Attribute, frozen

from m365gw.config.fields import meaning_of
from m365gw.config.logins import Password
from m365gw.config.settable import settable, value_of
from m365gw.config.settings import Client, Listener, Mailbox, Network, Settings
from m365gw.directory import merge
from m365gw.directory.entries import Made
from m365gw.directory.keys import NAMES, key_of
from m365gw.directory.last_use import LastUse, fingerprint
from m365gw.directory.passwords import is_slow

Row = dict[str, Any]


@frozen
class Facts:
    """All entries at one moment: those of the configuration, those made, and both merged."""

    configured: Settings
    made: Made
    settings: Settings

    def mailboxes(self) -> list[Row]:
        """Each mailbox, without what only the running service knows."""
        return self._rows("mailbox")

    def clients(self, uses: LastUse, today: date) -> list[Row]:
        """Each login with its passwords."""
        return [
            row | {"passwords": [_password(client.login, one, uses, today) for one in _all(client)]}
            for row, client in zip(self._rows("client"), self.settings.client, strict=True)
        ]

    def networks(self) -> list[Row]:
        """Each network that may send without a login."""
        return self._rows("network")

    def listeners(self) -> list[Row]:
        """Each place where mail comes in."""
        return self._rows("listener")

    def single_settings(self) -> list[Row]:
        """Each setting that may be made: its value, and where that was given.

        `origin` is "file", "directory" or "default"; `place` says more where it is the file.
        """
        texts = {each.key: each.value for each in self.made.settings}
        return [self._setting(key, texts.get(key)) for key in settable()]

    def _setting(self, key: str, made: str | None) -> Row:
        attribute, place = settable()[key], merge.place_in(self.configured, "setting", key)
        value = _plain(value_of(self.settings, key))
        row = {"key": key, "value": value, "default": _plain(attribute.default)}
        row |= {"place": place, "made": made, "meaning": meaning_of(attribute)}
        row["origin"] = "file" if place else "default" if made is None else "directory"
        maker = self.made.makers.get(("setting", key))
        return row | attrs.asdict(maker) if maker is not None and not place else row

    def _rows(self, table: str) -> list[Row]:
        places = merge.places_in(self.configured, table)
        return [self._row(table, entry, places) for entry in getattr(self.settings, table)]

    def _row(
        self,
        table: str,
        entry: Listener | Mailbox | Client | Network,
        places: Mapping[str, str],
    ) -> Row:
        key = key_of(table, getattr(entry, NAMES[table]))
        row = attrs.asdict(entry, filter=_is_shown, recurse=False)
        row = {name: _plain(value) for name, value in row.items()}
        row["origin"] = "file" if key in places else "directory"
        row["place"] = places.get(key, "")
        maker = self.made.makers.get((table, key))
        if maker is not None and row["origin"] == "directory":
            row |= attrs.asdict(maker)
        return row


def _is_shown(attribute: Attribute[Any], _value: Any) -> bool:
    return attribute.name != "password" and not attribute.metadata.get("secret")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, date) else value


def _all(client: Client) -> list[Password]:
    first = [Password(hash=client.password_hash)] if client.password_hash else []
    return [*first, *client.password]


def _password(login: str, password: Password, uses: LastUse, today: date) -> Row:
    use = uses.of(login, password.hash)
    return {
        "id": fingerprint(password.hash),
        "label": password.label,
        "kind": "chosen" if is_slow(password.hash) else "made",
        "created": str(password.created) if password.created else None,
        "expires": str(password.expires) if password.expires else None,
        "is_expired": password.expires is not None and today > password.expires,
        "networks": list(password.networks),
        "last_used": datetime.fromtimestamp(use.at, UTC).isoformat("T", "seconds") if use else None,
        "last_address": use.address if use else None,
    }
