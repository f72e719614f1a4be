"""Password files of Dovecot: `login:{SCHEME}password`, a line each.

`{PLAIN}` (also said by no scheme at all) and `{ARGON2ID}` can be taken over; of all other schemes
only the login is known, as they cannot be checked here. Source: Dovecot, passwd-file and password
schemes.

Failures: what is wrong with a line is said of that line, and never quotes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import field, frozen

from m365gw.config.checks.clients import LOGIN, is_usable

_SCHEME = re.compile(r"\{([A-Za-z0-9.-]+)\}")
_CLEAR = ("PLAIN", "CLEARTEXT")


@frozen
class Line:
    """One login. With `fault` it could not be read; `why_new`: its password cannot be used."""

    number: int
    login: str = ""
    clear: str = field(default="", repr=False)
    hash: str = field(default="", repr=False)
    why_new: str = ""
    fault: str = ""


def lines_of(text: str) -> Iterator[Line]:
    """The logins of a file, in its order; empty lines and comments are none."""
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield _line(number, line)


def _line(number: int, line: str) -> Line:
    login, colon, rest = line.partition(":")
    login = login.strip()
    if not colon:
        return Line(number, fault="has no colon between login and password")
    if not LOGIN.fullmatch(login):
        return Line(number, fault="has no usable login before its first colon")
    stored = rest.split(":", 1)[0].strip()  # user and group ids and the like come after it
    match = _SCHEME.match(stored)
    scheme = match[1].upper() if match else "PLAIN"
    secret = stored[match.end() :] if match else stored
    if not secret:
        return Line(number, login, why_new="has an empty password")
    if scheme in _CLEAR:
        return Line(number, login, clear=secret)
    if scheme == "ARGON2ID":
        if is_usable(secret):
            return Line(number, login, hash=secret)
        return Line(number, login, why_new="has a damaged hash, or one too costly to check")
    return Line(number, login, why_new=f"has a password of scheme {scheme}, unknown here")
