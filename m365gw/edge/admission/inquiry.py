"""What would happen to a message, as plain values: for `m365gw explain`, the API and the console.

Failures: `ValueError`, in words, for a listener, an address or a local user that is none.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from m365gw.config.settings import Client, Listener, Network, Settings
from m365gw.directory import merge
from m365gw.directory.keys import NAMES
from m365gw.edge.admission.admission import IpAddress, ip_address
from m365gw.edge.admission.explanation import Explanation, Question, explain, explain_local
from m365gw.edge.admission.rules import Rule
from m365gw.edge.local.local_users import LocalUsers, number_of


@frozen
class Inquiry:
    """A message in its outlines, and how it comes; what is "" is not said.

    `header_from`: None where From is what the sender is. `user` is one of this machine that calls
    sendmail, in place of a client.
    """

    sender: str
    recipients: tuple[str, ...]
    header_from: str | None = None
    login: str = ""
    ip: str = ""
    listener: str = ""
    user: str = ""


def inquire(settings: Settings, configured: Settings, asked: Inquiry) -> dict[str, Any]:
    """What each listener would make of it: {"allowed": ..., "listeners": [...]}.

    `configured` are the settings of the configuration alone, which say where a rule was made.
    """
    question = Question(
        "" if asked.sender == "<>" else asked.sender,
        asked.recipients,
        asked.header_from,
        asked.login,
        _address(asked.ip),
    )
    if asked.user:
        uid = number_of(asked.user)
        if uid is None:
            raise ValueError(f'there is no user "{asked.user}" on this machine.')
        said = [explain_local(LocalUsers(settings.local).user(uid), question)]
    else:
        said = [explain(settings, question, one) for one in _listeners(settings, asked.listener)]
    return {
        "allowed": any(one.is_allowed for one in said),
        "listeners": [_row(one, configured) for one in said],
    }


def _listeners(settings: Settings, name: str) -> Sequence[Listener]:
    found = [one for one in settings.listener if name in ("", one.name)]
    if not found:
        known = ", ".join(one.name for one in settings.listener)
        raise ValueError(f'there is no listener "{name}". Known: {known}.')
    return found


def _address(ip: str) -> IpAddress | None:
    if not ip:
        return None
    address = ip_address(ip)
    if address is None:
        raise ValueError(f'"{ip}" is not an address, as 10.1.2.3 or 2001:db8::7.')
    return address


def _row(said: Explanation, configured: Settings) -> dict[str, Any]:
    rule = said.rule
    place, origin, command = _origin(rule, configured) if rule else (None, None, "")
    made = f"The rule was made by a command or in the console. To change it: {command}"
    return {
        "listener": said.listener,
        "allowed": said.is_allowed,
        "rule": rule.name if rule else None,
        "place": place,
        "origin": origin,
        "mailbox": rule.mailbox if rule else None,
        "sender": said.sender if rule else None,
        "header_from": said.header_from or None,
        "changes": said.changes,
        "refusals": [{"at": one.at, "reply": str(one.reply)} for one in said.refusals],
        "notes": [*said.notes, *([made] if command else [])],
    }


def _origin(rule: Rule, configured: Settings) -> tuple[str, str, str]:
    """Which table a rule is, where it was made, and the command that changes it, or "".

    A table in words, as '[[client]] login = "printer3"'; made in "file" or "directory".
    """
    match rule.permissions:
        case Client(login=name):
            table = "client"
        case Network(cidr=name):
            table = "network"
        case _:
            return rule.place, "file", ""  # of a local user: those are made in the file alone
    place = f'[[{table}]] {NAMES[table]} = "{name}"'
    if merge.origin(configured, table, name) == "file":
        return place, "file", ""
    return place, "directory", f"m365gw {table} change {shlex.quote(name)}"
