r"""The PROXY header: what a load balancer says before the client's first octet, versions 1 and 2.

Source: the PROXY protocol, 2.1 and 2.2, of HAProxy's documentation. A reader takes octets in any
pieces and has a header or a fault as soon as that can be known; it never holds more than a header
may have. Only TCP and UNIX streams are taken.

A header that names nobody (LOCAL: the balancer speaks for itself, as in health checks; UNKNOWN and
UNSPEC: it does not know) has no source. Whom that makes the client is decided by who reads it.

Failures: ProxyFault, in words that go on from "The PROXY header cannot be read: ".
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from attrs import frozen

from m365gw.smtp.proxy_fields import Fields, ProxyFault, parse_fields

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

SIGNATURE_V1: Final = b"PROXY "
SIGNATURE_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"
LONGEST_V1: Final = 107  # octets with CRLF: the worst case of the text form
LONGEST_V2: Final = 4096  # octets in all; HAProxy with all options stays below 700
_FIXED: Final = 16  # octets of version 2 up to its length
_UNSPEC, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31  # address family and transport
_ADDRESSES: Final = {_TCP4: "!4s4sHH", _TCP6: "!16s16sHH", _UNIX: "!108s108s"}


@frozen(kw_only=True)
class Header:
    """What the header says. `source` and `destination` are None where it names no addresses."""

    is_local: bool = False  # the balancer itself has connected, no client
    source: tuple[IpAddress, int] | None = None  # address and port of the client
    destination: tuple[IpAddress, int] | None = None  # where it connected to
    unix_path: str | None = None  # the client came by this UNIX socket (of the balancer)
    fields: Fields = Fields()


class HeaderReader:
    """Reads one header at the beginning of a stream."""

    def __init__(self) -> None:
        self._octets = b""

    def feed(self, octets: bytes) -> tuple[Header, bytes] | None:
        """The header and what came behind it, once it is whole. Raises ProxyFault."""
        self._octets += octets
        have = self._octets
        if have.startswith(SIGNATURE_V2[: len(have)]):
            end = _end_of_v2(have)
            return None if end is None else (_parse_v2(have[:end]), have[end:])
        if have.startswith(SIGNATURE_V1[: len(have)]):
            end = _end_of_v1(have)
            return None if end is None else (_parse_v1(have[: end - 2]), have[end:])
        raise ProxyFault("the connection does not begin with one")


def _end_of_v1(have: bytes) -> int | None:
    end = have.find(b"\r\n", 0, LONGEST_V1)
    if end >= 0:
        return end + 2
    if len(have) >= LONGEST_V1:
        raise ProxyFault(f"its line is longer than {LONGEST_V1} octets")
    return None


def _parse_v1(line: bytes) -> Header:
    words = line.split(b" ")[1:]
    if words[0] == b"UNKNOWN":
        return Header()  # what stands behind it is to be passed over
    try:
        kind, source, destination, source_port, destination_port = line.decode("ascii").split(" ")[
            1:
        ]
    except ValueError:
        raise ProxyFault("its line does not consist of a protocol, addresses and ports") from None
    if kind not in ("TCP4", "TCP6"):
        raise ProxyFault("its protocol is not TCP4, TCP6 or UNKNOWN")
    return Header(
        source=(_address(kind, source), _port(source_port)),
        destination=(_address(kind, destination), _port(destination_port)),
    )


def _address(kind: str, text: str) -> IpAddress:
    try:
        if kind == "TCP4":
            return ipaddress.IPv4Address(text)
        if "%" not in text:  # a scope has no meaning elsewhere
            return ipaddress.IPv6Address(text)
    except ValueError:
        pass
    raise ProxyFault(f"one of its addresses is not of {kind}")


def _port(text: str) -> int:
    if text.isdecimal() and len(text) <= 5 and str(int(text)) == text and int(text) <= 65535:
        return int(text)
    raise ProxyFault("one of its ports is no port")


def _end_of_v2(have: bytes) -> int | None:
    """Where it ends. What can be refused by its first octets is refused at once."""
    if len(have) > 12 and have[12] not in (0x20, 0x21):
        raise ProxyFault(f"its version and command 0x{have[12]:02x} are not known")
    if len(have) < _FIXED:
        return None
    length = int.from_bytes(have[14:_FIXED], "big")
    if _FIXED + length > LONGEST_V2:
        raise ProxyFault(f"it is longer than {LONGEST_V2} octets")
    return _FIXED + length if len(have) >= _FIXED + length else None


def _parse_v2(header: bytes) -> Header:
    if header[12] == 0x20:
        return Header(is_local=True)  # all else is to be passed over
    family = header[13]
    if family == _UNSPEC:
        return Header()  # its addresses are of a kind nobody here knows, nor how long they are
    form = _ADDRESSES.get(family)
    if form is None:
        raise ProxyFault(f"its family 0x{family:02x} is no TCP and no UNIX stream")
    end = _FIXED + struct.calcsize(form)
    if end > len(header):
        raise ProxyFault("its addresses are cut off")
    parts = struct.unpack_from(form, header, _FIXED)
    fields = parse_fields(header, end)
    if family == _UNIX:
        path = parts[0].partition(b"\0")[0].decode("utf-8", "backslashreplace")
        return Header(unix_path=path, fields=fields)
    source, destination = (ipaddress.ip_address(each) for each in parts[:2])
    return Header(source=(source, parts[2]), destination=(destination, parts[3]), fields=fields)
