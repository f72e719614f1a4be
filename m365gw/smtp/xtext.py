"""xtext: how ESMTP parameters carry text that has spaces, "+" or "=" in it (RFC 3461 4).

Decoding is strict: what comes out is printable, so that a line end or a NUL hidden as "+0A" or
"+00" never reaches a log line, a header or a report. Original recipients of type utf-8 have an
encoding of their own (RFC 6533 3).

Failures: Refused with 501 5.5.4 when decoding; ValueError when text cannot be encoded.
"""

from __future__ import annotations

import re
from typing import Final

from m365gw.smtp.addresses import UNPRINTABLE
from m365gw.smtp.replies import Refused, Reply

_PLAIN: Final = re.compile(r"[!-*,-<>-~]")
_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})++")
_HEX: Final = re.compile(r"\+([0-9A-F]{2})")
_ADDRESS_TYPE: Final = re.compile(r"[A-Za-z0-9-]++")
_UTF8_ADDRESS: Final = re.compile(rf"(?:[^{UNPRINTABLE} +=\\]|\\x\{{[0-9A-F]{{2,6}}\}})++")
_UTF8_PLAIN: Final = re.compile(r"[!-*,-<>-\[\]-~]")
_POINT: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_PRINTABLE: Final = re.compile(r"[ -~]++")
_UTF8_PRINTABLE: Final = re.compile(rf"[^{UNPRINTABLE}]++")


def encode(text: str) -> str:
    """Printable ASCII text as xtext. Raises ValueError for anything else, and for ""."""
    if not _PRINTABLE.fullmatch(text):
        raise ValueError("xtext carries printable ASCII only")
    return "".join(c if _PLAIN.match(c) else f"+{ord(c):02X}" for c in text)


def decode(text: str) -> str:
    """The printable ASCII text that xtext stands for. Raises Refused."""
    decoded = ""
    if _XTEXT.fullmatch(text):
        decoded = _HEX.sub(lambda match: chr(int(match[1], 16)), text)
    if not _PRINTABLE.fullmatch(decoded):
        raise _refused("a value is not xtext of printable characters (RFC 3461)")
    return decoded


def encode_recipient(orcpt: str) -> str:
    """An original recipient, "rfc822;user@example.com", as the value of ORCPT.

    Raises ValueError when it has no address type or cannot be encoded.
    """
    kind, _, address = orcpt.partition(";")
    if not _ADDRESS_TYPE.fullmatch(kind):
        raise ValueError("an original recipient begins with its address type")
    if kind.lower() != "utf-8":
        return f"{kind};{encode(address)}"
    if not _UTF8_PRINTABLE.fullmatch(address):
        raise ValueError("an original recipient holds printable characters only")
    return f"{kind};" + "".join(
        c if _UTF8_PLAIN.match(c) else f"\\x{{{ord(c):02X}}}" for c in address
    )


def decode_recipient(value: str) -> str:
    """The value of ORCPT decoded: address type, ";", address. Raises Refused."""
    kind, _, address = value.partition(";")
    if not _ADDRESS_TYPE.fullmatch(kind):
        raise _refused("ORCPT needs an address type, as in ORCPT=rfc822;user@example.com")
    if kind.lower() != "utf-8":
        international = _utf8_as_xtext(address)
        return f"utf-8;{international}" if international else f"{kind};{decode(address)}"
    decoded = ""
    if _UTF8_ADDRESS.fullmatch(address):
        decoded = _POINT.sub(_point, address)
    if not _UTF8_PRINTABLE.fullmatch(decoded):
        raise _refused("ORCPT of type utf-8 is not as RFC 6533 wants it")
    return f"{kind};{decoded}"


def _utf8_as_xtext(address: str) -> str:
    """The text beyond ASCII that Postfix writes as xtext, with the type rfc822; "" for other."""
    if not _XTEXT.fullmatch(address):
        return ""
    octets = _HEX.sub(lambda match: chr(int(match[1], 16)), address).encode("latin-1")
    text = octets.decode("utf-8", "replace")
    is_text = "\N{REPLACEMENT CHARACTER}" not in text and _UTF8_PRINTABLE.fullmatch(text)
    return text if is_text and not text.isascii() else ""


def _point(match: re.Match[str]) -> str:
    """The character of one \\x{...}; NUL, which is refused afterwards, when there is none."""
    number = int(match[1], 16)
    return chr(number) if number <= 0x10FFFF else "\0"


def _refused(why: str) -> Refused:
    return Refused(Reply(501, "5.5.4", f"Parameter syntax: {why}"))
