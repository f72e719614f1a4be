"""The mailboxes Postfix signs in to, by `smtp_sasl_password_maps`, and which sender uses which.

A row is `[smtp.office365.com]:587 user:/etc/tokens/user`; with sender-dependent authentication its
key may be a sender too. `sender_dependent_relayhost_maps` leads a sender to a host, and the host to
a mailbox. A token file is looked for as it is named, and below the queue directory, where a Postfix
in its jail has it.
"""

from __future__ import annotations

import re

from attrs import Factory, define, field

from m365gw.moving.found import Found, Table
from m365gw.moving.main_cf import MainCf, rows_of_table, table_files
from m365gw.moving.places import Place, Unreadable, text_of
from m365gw.moving.postfix_words import cloud_of
from m365gw.moving.sasl_xoauth2 import App, Token, app_of, token_of
from m365gw.smtp.addresses import matches, parse_mailbox
from m365gw.smtp.replies import Refused

XOAUTH2 = "etc/sasl-xoauth2.conf"


@define
class Mailboxes:
    """Finds them; afterwards says which one a sender leaves by."""

    _root: Place
    _config: MainCf
    _cloud: str
    found: Found
    default: str = field(default="", init=False)  # the address of that of `relayhost`
    _by_key: dict[str, str] = field(init=False, default=Factory(dict))  # addresses
    _hosts: dict[str, str] = field(init=False, default=Factory(dict))  # relay hosts by sender

    def read(self) -> None:
        """Gather them. Raises `Unreadable` where their app cannot be read."""
        text = text_of(self._root, XOAUTH2)
        app = app_of(text, f"/{XOAUTH2}") if text is not None else App()
        for file, number, key, value in self._rows("smtp_sasl_password_maps"):
            self._mailbox(f"{file}, line {number}", key, value, app)
        for _, _, key, value in self._rows("sender_dependent_relayhost_maps"):
            self._hosts[key.lower()] = value
        self.default = self._of_host(self._value("relayhost"))
        if not self.found.mailboxes and not self.found.broken:
            why = "names no mailbox with a token file; is sasl-xoauth2 in use?"
            self.found.breaks("main.cf, smtp_sasl_password_maps", why)

    def of_sender(self, sender: str) -> str:
        """The address of the mailbox a sender, or all of a pattern, leaves by; "" for none."""
        found = {self._found(sender)}
        if sender.startswith("*"):
            inside = {**self._by_key, **self._hosts}
            found |= {self._found(key) for key in inside if _is_part(key, sender)}
        return found.pop() if len(found) == 1 else ""

    def _found(self, sender: str) -> str:
        address = sender.lower().removeprefix("*")
        keys = (address, address[address.find("@") :]) if "@" in address else ()
        for key in keys:
            if self._is_by_sender() and key in self._by_key:
                return self._by_key[key]
        hosts = [self._hosts[key] for key in keys if key in self._hosts]
        return self._of_host(hosts[0]) if hosts else self.default

    def _is_by_sender(self) -> bool:
        return self._value("smtp_sender_dependent_authentication") == "yes"

    def _of_host(self, host: str) -> str:
        """The mailbox of a relay host, as it stands or by its name alone."""
        bare = re.sub(r"^\[|\](?=:|$)|:\d+$", "", host.lower())
        return self._by_key.get(host.lower(), self._by_key.get(bare, ""))

    def _rows(self, name: str) -> list[tuple[str, int, str, str]]:
        """File, line, key and value of each row of the tables of a setting."""
        rows: list[tuple[str, int, str, str]] = []
        try:
            files = table_files(self._value(name))
        except ValueError as error:
            self.found.breaks(f"main.cf, {name}", str(error))
            return rows
        for file in files:
            text = text_of(self._root, file.lstrip("/"))
            if text is None:
                self.found.breaks(file, "is not there")
            rows += [(file, *row) for row in rows_of_table(text or "")]
        return rows

    def _value(self, name: str) -> str:
        try:
            return self._config.value(name)
        except ValueError as error:
            raise Unreadable(f"main.cf, {name}", str(error)) from None

    def _mailbox(self, place: str, key: str, value: str, app: App) -> None:
        user, _, path = value.partition(":")
        try:
            parse_mailbox(user)
        except Refused:
            self.found.breaks(place, "has no mail address before its colon")
            return
        if not path.startswith("/"):
            self.found.leaves_out(place, f"{user} signs in by a password, and not by a token")
            return
        token = self._token(path, app)
        if token is None:
            why = f"{path} is not there; add it by hand: m365gw mailbox add {user} --flow device"
            self.found.leaves_out(place, why)
            return
        if not token.app.client_id or not token.app.tenant:
            why = (
                f"its app is named neither in {path} nor in /{XOAUTH2} (client_id, token_endpoint)"
            )
            self.found.breaks(place, why)
            return
        self._by_key[key.lower()] = user
        values: Table = {"address": user, "tenant": token.app.tenant}
        values |= {"client_id": token.app.client_id, "flow": "device"}
        if token.app.client_secret:
            values |= {"flow": "web", "client_secret": token.app.client_secret}
        if token.user and token.user.lower() != user.lower():
            values["sign_in_as"] = token.user
        values["cloud"] = self._cloud or token.app.cloud or self._known_cloud(place, key)
        self.found.add_mailbox(values, token.refresh_token)

    def _token(self, path: str, app: App) -> Token | None:
        jail = self._value("queue_directory").strip("/")
        for name in (path.lstrip("/"), f"{jail}/{path.lstrip('/')}"):
            try:
                text = text_of(self._root, name)
                if text is not None:
                    return token_of(text, f"/{name}", app)
            except Unreadable as problem:
                self.found.breaks(problem.name, problem.why)
        return None

    def _known_cloud(self, place: str, key: str) -> str:
        try:
            return cloud_of(self._value("relayhost") if "@" in key else key)
        except ValueError as error:
            self.found.leaves_out(place, f'its host {error}; "worldwide" is taken, or say --cloud')
            return "worldwide"


def _is_part(key: str, pattern: str) -> bool:
    """Whether senders of this key of a table are among those of a pattern."""
    return "@" in key and matches(pattern, f"x{key}" if key.startswith("@") else key)
