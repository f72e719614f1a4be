"""SASL exchanges: PLAIN (RFC 4616) and LOGIN on the server side, XOAUTH2 on the client side.

The server machines take the client's lines as they come, in base64, and give challenges as octets
(the session encodes them) until they give credentials. They check form only, never a password.

Refused: 501 5.7.0 when the client cancels with "*", 501 5.5.2 for what is not base64 or not of the
mechanism's form, 535 5.7.8 for PLAIN on behalf of somebody else.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from attrs import field, frozen

from m365gw.smtp.replies import Refused, Reply

CANCELLED: Final = Reply(501, "5.7.0", "Authentication cancelled")
NOT_BASE64: Final = Reply(501, "5.5.2", "Cannot decode the response: it is not base64")
MALFORMED: Final = Reply(501, "5.5.2", "Malformed login or password")
FOR_SOMEBODY_ELSE: Final = Reply(535, "5.7.8", "A login cannot act for another one")

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@frozen
class Challenge:
    """What the server says next, not yet in base64."""

    octets: bytes


@frozen
class Credentials:
    """What a client claims. The password shows in no representation."""

    login: str
    password: str = field(repr=False)


class PlainServer:
    """PLAIN: all in one response, with or without the command."""

    def step(self, response: bytes | None) -> Challenge | Credentials:
        """Take a line; None when AUTH came without initial response."""
        if response is None:
            return Challenge(b"")
        parts = _decoded(response).split(b"\0")
        if len(parts) != 3:
            raise Refused(MALFORMED)
        acts_for, login, password = (_text(part) for part in parts)
        if acts_for not in ("", login):
            raise Refused(FOR_SOMEBODY_ELSE)
        return _credentials(login, password)


class LoginServer:
    """LOGIN: login and password, each asked for by the prompt old clients compare literally."""

    def __init__(self) -> None:
        self._login: str | None = None

    def step(self, response: bytes | None) -> Challenge | Credentials:
        """Take a line; None when AUTH came without initial response (which is the login)."""
        if response is None:
            return Challenge(b"Username:")
        text = _text(_decoded(response))
        if self._login is None:
            self._login = text
            return Challenge(b"Password:")
        return _credentials(self._login, text)


def xoauth2(user: str, token: str) -> bytes:
    """The client's XOAUTH2 response in base64, on one line.

    Refused with 501 5.5.2 when user or token is empty or holds an octet that could end a part of
    the response early; the text names neither.
    """
    if not user or not token or _CONTROL.search(user + token):
        raise Refused(Reply(501, "5.5.2", "The user or the token cannot be sent by XOAUTH2"))
    return base64.b64encode(f"user={user}\1auth=Bearer {token}\1\1".encode())


def _decoded(response: bytes) -> bytes:
    """The octets of one base64 line. "=" stands for nothing (RFC 4954 4).

    The "=" at the end may be missing, as some devices leave it out and nothing else can be meant.
    """
    response = response.strip()
    if response == b"*":
        raise Refused(CANCELLED)
    if response == b"=":
        return b""
    try:
        missing = b"" if b"=" in response else b"=" * (-len(response) % 4)
        return base64.b64decode(response + missing, validate=True)
    except binascii.Error:
        raise Refused(NOT_BASE64) from None


def _text(octets: bytes) -> str:
    """UTF-8, or else what an old device means by its 8-bit characters."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _credentials(login: str, password: str) -> Credentials:
    """Credentials that can exist: a login without controls, a password without NUL."""
    if not login or _CONTROL.search(login) or "\0" in password:
        raise Refused(MALFORMED)
    return Credentials(login, password)
