"""A report fit for strangers: who and where is replaced, each the same wherever it stands.

Addresses become user1@domain1.example, tenants and apps become ids of zeros, hosts and networks
names and numbers of documentation (RFC 2606, RFC 5737). What everybody may know stays: Microsoft's
own hosts and apps, codes, diagnoses. Whatever looks like a token or a key is taken out altogether,
although nothing of ours writes one.

Pure. Failures: none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"eyJ[\w-]+(?:\.[\w-]*)*|-----BEGIN .*?(?:-----END [A-Z ]+-----|$)|(?:Bearer|secret=)\s*\S+"
    # Names of commands are long, too, but have one digit at most.
    r"|(?=(?:[A-Za-z+/_~-]*\d){3})[A-Za-z0-9+/_~-]{40,}={0,2}",
    re.DOTALL,
)
_ADDRESS: Final = re.compile(r"[^\s<>@,;:'\"()\[\]]+@([\w-]+(?:\.[\w-]+)*)")
_GUID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_NUMBER: Final = re.compile(
    r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f]*)"
)
_HOST: Final = re.compile(r"(?<![\w.$-])(?:[\w-]+\.)+[a-z]{2,}(?![\w-])", re.IGNORECASE)
_HOME: Final = re.compile(r"/(?:home|Users)/[^/\s]+")

_PUBLIC_HOSTS: Final = re.compile(
    r"(?:^|\.)(?:office365\.(?:com|us)|office\.com|microsoft\.(?:com|us|cloud)|status\.cloud\.\w+"
    r"|microsoftonline\.(?:com|us|cn)|partner\.outlook\.cn|outlook\.com|outlook\.office\w*\.com"
    r"|aka\.ms|azure\.\w+|chinacloudapi\.cn|example\.com|not-yours\.example)$",
    re.IGNORECASE,
)
_PUBLIC_IDS: Final = frozenset(
    {
        "00000002-0000-0ff1-ce00-000000000000",
        "00000003-0000-0000-c000-000000000000",
        "00000000-0000-0000-0000-000000000000",
    }
)
# Not names of hosts although they have dots: files, permissions.
_NO_HOST: Final = re.compile(
    r"\.(?:toml|pem|crt|key|pfx|json|db|sock|py|conf|log|txt|service|d)$"
    r"|^(?:Mail\.Send|SMTP\.SendAsApp|SMTP\.Send)$",
    re.IGNORECASE,
)


class Redaction:
    """One bundle's replacements. `known` are names of the configuration that no pattern finds:
    hostname, tenants, logins."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = sorted({each for each in known if len(each) > 2}, key=len, reverse=True)
        self._replaced: dict[tuple[str, str], str] = {}

    def of(self, value: Any) -> Any:
        """A JSON value with all its texts redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.of(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(each) for each in value]
        return value

    def text(self, text: str) -> str:
        """A text without names. Redacting it once more changes nothing."""
        text = _GUID.sub(self._guid, text)
        text = _TOKEN.sub(lambda match: self._token(match[0]), text)
        text = _ADDRESS.sub(self._address, text)
        text = _NUMBER.sub(self._number, text)
        text = _HOST.sub(self._host, text)
        for name in self._known:
            if name.casefold() in text.casefold():
                new = self._new("name", name, "name{}")
                text = re.sub(re.escape(name), new, text, flags=re.IGNORECASE)
        return _HOME.sub("/home/user", text)

    def _new(self, kind: str, name: str, shape: str) -> str:
        """The replacement of a name: the same one each time."""
        key = (kind, name.casefold())
        if key not in self._replaced:
            number = 1 + sum(one == kind for one, _ in self._replaced)
            self._replaced[key] = shape.format(number)
        return self._replaced[key]

    def _is_ours(self, kind: str, text: str) -> bool:
        return any(one == kind and text == value for (one, _), value in self._replaced.items())

    def _token(self, found: str) -> str:
        return found if _GUID.fullmatch(found) else "[removed]"

    def _guid(self, match: re.Match[str]) -> str:
        found = match[0].lower()
        if found in _PUBLIC_IDS or self._is_ours("id", found):
            return match[0]
        return self._new("id", found, "00000000-0000-4000-8000-{:012d}")

    def _address(self, match: re.Match[str]) -> str:
        found = match[0]
        if self._is_ours("address", found):
            return found
        domain = self._domain(match[1])
        return self._new("address", found, "user{}@" + domain)

    def _domain(self, name: str) -> str:
        if _PUBLIC_HOSTS.search(name) or self._is_ours("host", name):
            return name
        return self._new("host", name, "host{}.example")

    def _host(self, match: re.Match[str]) -> str:
        return match[0] if _NO_HOST.search(match[0]) else self._domain(match[0])

    def _number(self, match: re.Match[str]) -> str:
        found = match[0]
        try:
            number = ip_address(found)
        except ValueError:
            return found
        if number.is_loopback or number.is_unspecified or self._is_ours("ip", found):
            return found
        shape = "2001:db8::{}" if number.version == 6 else "192.0.2.{}"
        return self._new("ip", found, shape)
