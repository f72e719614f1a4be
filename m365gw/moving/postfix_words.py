"""Words of Postfix in ours: a trusted network, a sender in a map, a host of Microsoft.

Failures: ValueError, whose text says why it cannot be said here.
"""

from __future__ import annotations

import ipaddress
import re

from m365gw.microsoft.clouds import PRESETS, split_host_port
from m365gw.smtp.addresses import parse_pattern
from m365gw.smtp.replies import Refused

_OUTLOOK_COM = "smtp-mail.outlook.com"  # personal accounts; the world-wide host takes them too


def network_of(word: str) -> str:
    """The cidr of a word of `mynetworks`: `10.0.0.0/8`, `[2001:db8::]/32`, `[::1]`."""
    if word.startswith("!"):
        raise ValueError("an exception from a network cannot be said; make smaller networks")
    if re.match(r"[a-z]+:|[/$]", word, re.I) and not re.fullmatch(r"[0-9A-Fa-f:.]+(/\d+)?", word):
        raise ValueError("a file or table is not looked into; name its networks")
    plain = word.replace("[", "").replace("]", "")
    try:
        return str(ipaddress.ip_network(plain))
    except ValueError as error:
        raise ValueError(f"{error}") from None


def pattern_of(sender: str, domain: str) -> str:
    """The pattern of a sender in a map: `joe@d`, `@d` (all of it), `joe` (of `domain`)."""
    if "*" in sender:
        raise ValueError("a star meant nothing to Postfix; it would let too much through here")
    text = f"*{sender}" if sender.startswith("@") else sender
    if "@" not in text:
        if not domain:
            raise ValueError("has no domain")
        text = f"{text}@{domain}"
    try:
        parse_pattern(text)
    except Refused as refused:
        raise ValueError(refused.reply.text) from None
    return text


def cloud_of(relayhost: str) -> str:
    """The cloud of a relay host, `[smtp.office365.com]:587`."""
    host = split_host_port(relayhost.strip())[0].lower().rstrip(".")
    for cloud in PRESETS.values():
        if host == cloud.smtp_host or (host == _OUTLOOK_COM and cloud.name == "worldwide"):
            return cloud.name
    raise ValueError("is no host of Microsoft that is known here")
