"""The fields behind the addresses of a PROXY header, version 2 (type, length, value).

Source: the PROXY protocol, 2.2 "Binary header format (version 2)", of HAProxy's documentation.
Fields of other types are passed over, as it asks for. Text is for people only (logs), so octets
that are none are shown escaped and refuse nothing; lengths and the checksum are taken strictly.

Failures: ProxyFault, in words.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

_CRC32C, _UNIQUE_ID, _SSL = 0x03, 0x05, 0x20
_TEXTS: Final = {0x01: "alpn", 0x02: "authority", _UNIQUE_ID: "unique_id", 0x30: "netns"}
_LONGEST_UNIQUE_ID: Final = 128  # octets
_TLS_TEXTS: Final = {
    0x21: "version",
    0x22: "common_name",
    0x23: "cipher",
    0x24: "signature",
    0x25: "key",
}
_BY_TLS, _SHOWED_CERTIFICATE = 0x01, 0x06  # bits of the client octet
_POLYNOMIAL: Final = 0x82F63B78  # CRC-32C (Castagnoli), reflected


class ProxyFault(Exception):
    """A PROXY header that is none; the text says what is wrong with it."""


@frozen(kw_only=True)
class BalancerTls:
    """What the balancer says of the TLS between the client and itself."""

    is_used: bool  # the client came by TLS
    has_certificate: bool = False  # the client showed a certificate of its own
    is_verified: bool = False  # and the balancer found it good
    version: str = ""  # "TLSv1.3"
    cipher: str = ""  # "TLS_AES_256_GCM_SHA384"
    common_name: str = ""  # of the client's certificate
    signature: str = ""  # algorithm of the balancer's certificate: "RSA-SHA256"
    key: str = ""  # of the balancer's certificate: "RSA2048"


@frozen(kw_only=True)
class Fields:
    """What a header tells beside the addresses; "" or None where it does not."""

    alpn: str = ""
    authority: str = ""  # the name the client asked for (SNI)
    unique_id: str = ""  # of the connection, as the balancer's own log names it
    netns: str = ""
    tls: BalancerTls | None = None


def parse_fields(header: bytes, start: int) -> Fields:
    """The fields of a whole header that begin at `start`. Raises ProxyFault."""
    found: dict[str, Any] = {}
    for kind, at, value in _each(header, start):
        if kind == _CRC32C:
            _check_sum(header, at, value)
        elif kind == _SSL:
            _add(found, "tls", _tls(value))
        elif kind in _TEXTS:
            if kind == _UNIQUE_ID and len(value) > _LONGEST_UNIQUE_ID:
                raise ProxyFault(f"its unique id is longer than {_LONGEST_UNIQUE_ID} octets")
            _add(found, _TEXTS[kind], _text(value))
    return Fields(**found)


def crc32c(octets: bytes) -> int:
    """The checksum of RFC 3720 B.4, bit by bit in a table."""
    crc = 0xFFFFFFFF
    for octet in octets:
        crc = _TABLE[(crc ^ octet) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _row(octet: int) -> int:
    for _ in range(8):
        octet = (octet >> 1) ^ (_POLYNOMIAL if octet & 1 else 0)
    return octet


_TABLE: Final = tuple(_row(octet) for octet in range(256))


def _each(octets: bytes, at: int) -> Iterator[tuple[int, int, bytes]]:
    """Type, place of the value, and value of each field."""
    while at < len(octets):
        if at + 3 > len(octets):
            raise ProxyFault("its last field is cut off")
        kind, length = struct.unpack_from("!BH", octets, at)
        at += 3
        if at + length > len(octets):
            raise ProxyFault(f"its field 0x{kind:02x} is longer than the header")
        yield kind, at, octets[at : at + length]
        at += length


def _add(found: dict[str, Any], name: str, value: object) -> None:
    """Two answers to one question are none: which of them another reader takes is not known."""
    if name in found:
        raise ProxyFault(f"it names {name} twice")
    found[name] = value


def _check_sum(header: bytes, at: int, value: bytes) -> None:
    """The checksum is that of the whole header with zeros in its own place."""
    if len(value) != 4:
        raise ProxyFault("its checksum is not four octets long")
    if crc32c(header[:at] + bytes(4) + header[at + 4 :]) != int.from_bytes(value, "big"):
        raise ProxyFault("its checksum is wrong: it was damaged or changed on the way")


def _tls(value: bytes) -> BalancerTls:
    if len(value) < 5:
        raise ProxyFault("its TLS field is cut off")
    client, verify = struct.unpack_from("!BL", value)
    texts: dict[str, Any] = {}
    for kind, _, text in _each(value, 5):
        if kind in _TLS_TEXTS:
            _add(texts, _TLS_TEXTS[kind], _text(text))
    has_certificate = bool(client & _SHOWED_CERTIFICATE)
    return BalancerTls(
        is_used=bool(client & _BY_TLS),
        has_certificate=has_certificate,
        is_verified=has_certificate and verify == 0,
        **texts,
    )


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")
