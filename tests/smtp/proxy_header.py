"""Writes PROXY headers as a load balancer does, for the tests of whoever reads them."""

from __future__ import annotations

import struct
from typing import Any

from m365gw.smtp.proxy import SIGNATURE_V2, Header
from m365gw.smtp.proxy_fields import BalancerTls, crc32c

TEXTS = {"alpn": 0x01, "authority": 0x02, "unique_id": 0x05, "netns": 0x30}
TLS_TEXTS = {"version": 0x21, "common_name": 0x22, "cipher": 0x23, "signature": 0x24, "key": 0x25}


def version_1(header: Header) -> bytes:
    """The text form."""
    if header.source is None or header.destination is None:
        return b"PROXY UNKNOWN\r\n"
    (source, source_port), (destination, destination_port) = header.source, header.destination
    words = f"TCP{source.version} {source} {destination} {source_port} {destination_port}"
    return f"PROXY {words}\r\n".encode()


def version_2(header: Header, *, checksum: bool = False, extra: bytes = b"") -> bytes:
    """The binary form; `extra` goes behind the fields as it is."""
    family, addresses = 0, b""
    if header.source is not None and header.destination is not None:
        (source, source_port), (destination, destination_port) = header.source, header.destination
        family = 0x11 if source.version == 4 else 0x21
        ports = struct.pack("!HH", source_port, destination_port)
        addresses = source.packed + destination.packed + ports
    elif header.unix_path is not None:
        family = 0x31
        addresses = struct.pack("!108s108s", header.unix_path.encode(), b"")
    fields = b"".join(
        field(kind, getattr(header.fields, name).encode())
        for name, kind in TEXTS.items()
        if getattr(header.fields, name)
    )
    if header.fields.tls is not None:
        fields += field(0x20, tls(header.fields.tls))
    rest = addresses + fields + extra
    if not checksum:
        return raw(0x20 if header.is_local else 0x21, family, rest)
    before = raw(0x21, family, rest + field(0x03, bytes(4)))
    return before[:-4] + crc32c(before).to_bytes(4, "big")


def raw(command: int, family: int, rest: bytes) -> bytes:
    """Any octets behind a good signature, with their length."""
    return SIGNATURE_V2 + struct.pack("!BBH", command, family, len(rest)) + rest


def field(kind: int, value: bytes) -> bytes:
    """One field: type, length, value."""
    return struct.pack("!BH", kind, len(value)) + value


def tls(said: BalancerTls) -> bytes:
    """The value of the TLS field."""
    client = said.is_used * 0x01 | said.has_certificate * 0x02
    verify = 0 if said.is_verified or not said.has_certificate else 18
    texts: Any = (
        field(kind, getattr(said, name).encode())
        for name, kind in TLS_TEXTS.items()
        if getattr(said, name)
    )
    return struct.pack("!BL", client, verify) + b"".join(texts)
