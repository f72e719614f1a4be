"""Mail addresses: the grammar of paths, the form for comparing them, the patterns of rules.

The grammar is that of RFC 5321 4.1.2 and 4.1.3 with UTF-8 as RFC 6531 3.3 adds it, and nothing
beside it: quoted local parts, address literals, source routes (read and dropped). One leniency,
because devices need it: a path may lack its angle brackets. An address without a domain is never
completed. Whether UTF-8 is allowed here and now is for the caller to say (`str.isascii`).

All patterns are possessive, so time grows with the length of the text and no faster.

Failures: Refused with 501 and 5.1.7 (sender) or 5.1.3 (recipient, and wherever else).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import lru_cache
from typing import Final

import idna
from attrs import frozen

from m365gw.smtp.replies import Refused, Reply

LOCAL_LIMIT: Final = 64  # octets, RFC 5321 4.5.3.1.1
DOMAIN_LIMIT: Final = 255  # octets, RFC 5321 4.5.3.1.2
LABEL_LIMIT: Final = 63  # octets, RFC 1035 2.3.4

# What no text from outside may hold, for the inside of [^...]: controls, lone surrogates, and the
# two separators that other programs take for the end of a line. RFC 6532 3.1 allows all else.
UNPRINTABLE: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"

_ATOM = rf'[^{UNPRINTABLE} "(),.:;<>@\[\\\]]++'
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*+"
_QUOTED = rf'"(?:[^{UNPRINTABLE}"\\]|\\[ -~])*+"'
_LETTERS = rf"[^{UNPRINTABLE} -/:-@\[-`{{-~]++"  # letters and digits, and all beyond ASCII
_LABEL = rf"{_LETTERS}(?:-++{_LETTERS})*+"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*+"
_LITERAL = r"\[[!-Z^-~]++\]"
_ROUTE = rf"@{_DOMAIN}(?:,@{_DOMAIN})*+:"

_ATOMS = re.compile(_DOT_STRING)
_MAILBOX = re.compile(rf"({_DOT_STRING}|{_QUOTED})@({_DOMAIN}|{_LITERAL})")
_ROUTES = re.compile(_ROUTE)
_TAGGED = re.compile(r"([A-Za-z0-9-]*[A-Za-z0-9]):(.+)")


@frozen
class Address:
    """A mailbox as it stands on the wire; `domain` is "" only for <Postmaster> and for <>."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local


NULL: Final = Address("", "")


def parse_mailbox(text: str, status: str = "5.1.3") -> Address:
    """The address that is the whole of the text. Raises Refused, with this enhanced status."""
    address, rest = _mailbox(text, status)
    if rest:
        raise _refused(status, "the address has something behind its end")
    return address


def reverse_path(text: str) -> tuple[Address, str]:
    """The sender at the start of the text, NULL for <>, and the text behind it."""
    if text.startswith("<>"):
        return NULL, text[2:]
    return _path(text, "5.1.7")


def forward_path(text: str) -> tuple[Address, str]:
    """The recipient at the start of the text and the text behind it.

    <Postmaster>, in any letter case, is the one without a domain (RFC 5321 4.5.1).
    """
    if text[:12].lower() == "<postmaster>":
        return Address(text[1:11], ""), text[12:]
    return _path(text, "5.1.3")


def _path(text: str, status: str) -> tuple[Address, str]:
    """A path with or without brackets, its source route dropped (RFC 5321 4.1.1.3)."""
    if not text.startswith("<"):
        return _mailbox(text, status)
    route = _ROUTES.match(text, 1)
    address, rest = _mailbox(text[route.end() if route else 1 :], status)
    if not rest.startswith(">"):
        raise _refused(status, 'a ">" is missing, or the address has something behind its end')
    return address, rest[1:]


def _mailbox(text: str, status: str) -> tuple[Address, str]:
    match = _MAILBOX.match(text)
    if not match:
        raise _refused(status, "expected an address like user@example.com")
    local, domain = match.groups()
    if len(local.encode()) > LOCAL_LIMIT:
        raise _refused(status, f"the part before the @ is longer than {LOCAL_LIMIT} octets")
    if len(domain.encode()) > DOMAIN_LIMIT:
        raise _refused(status, f"the domain is longer than {DOMAIN_LIMIT} octets")
    try:
        _canonical_domain(domain)
    except ValueError as error:
        raise _refused(status, "the domain is not a valid name or address literal") from error
    return Address(local, domain), text[match.end() :]


def _refused(status: str, why: str) -> Refused:
    return Refused(Reply(501, status, f"Bad address syntax: {why}"))


def canonical(address: str) -> str:
    """The form of an address for comparing: two that name one mailbox have the same.

    Quotes are kept only where they are needed, letter case is folded, the domain is in its ASCII
    form (RFC 5890 A-labels), an IP address in its shortest. "" stays "". Only simple lower case
    and Unicode's canonical equivalence are used: full case folding would take "ss" for a sharp s,
    and so one person's address for another's. Raises Refused when it is no address.
    """
    if not address or address.lower() == "postmaster":
        return address.lower()
    parsed = parse_mailbox(address)
    local = parsed.local
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    local = _folded(local)
    if not _ATOMS.fullmatch(local):
        local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
    return f"{local}@{_canonical_domain(parsed.domain)}"


@frozen
class Pattern:
    """Who a rule is about: canonical parts of an address, "*" for any, "*." for any below."""

    local: str
    domain: str

    def matches(self, address: str) -> bool:
        """Whether an address falls under it. Raises Refused when it is no address."""
        local, _, domain = canonical(address).rpartition("@")
        if not address or not self.local:
            return not address and not self.local
        if self.local not in ("*", local):
            return False
        if self.domain.startswith("*."):
            return domain.endswith(self.domain[1:])
        return self.domain in ("*", domain)  # "*" only from the pattern "*"


@lru_cache(maxsize=4096)
def parse_pattern(text: str) -> Pattern:
    """The pattern that a rule writes as text.

    "user@example.com", "*@example.com", "*@*.example.com" (any depth below, not example.com
    itself), "*" (any address), "<>" (the null sender, which is no address: nothing else stands
    for it, so that no rule lets it through by accident). Raises Refused for anything else; a star
    elsewhere is a mistake, not the letter it may be in an address.
    """
    if text in ("*", "<>"):
        return Pattern("*", "*") if text == "*" else Pattern("", "")
    local, _, domain = text.rpartition("@")
    below = "*." if domain.startswith("*.") else ""
    exact = domain.removeprefix(below)
    if "*" in exact or (local != "*" and "*" in local):
        raise _refused(
            "5.1.3", "a star stands for a whole local part, or for what is below a domain"
        )
    wanted = canonical(f"{local}@{exact}").rpartition("@")
    return Pattern(wanted[0], below + wanted[2])


def matches(pattern: str, address: str) -> bool:
    """Whether an address, as it stands in an envelope, falls under the pattern of a rule."""
    return parse_pattern(pattern).matches(address)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def _canonical_domain(domain: str) -> str:
    """The domain in ASCII and lower case. Raises ValueError when its labels are not valid."""
    if domain.startswith("["):
        return f"[{_canonical_literal(domain[1:-1])}]"
    name = ".".join(
        label.lower() if label.isascii() else idna.alabel(_folded(label)).decode("ascii")
        for label in domain.split(".")
    )
    if len(name) > DOMAIN_LIMIT or any(len(label) > LABEL_LIMIT for label in name.split(".")):
        raise ValueError("a label or the name is too long")
    return name


def _canonical_literal(literal: str) -> str:
    """An address literal without its brackets (RFC 5321 4.1.3)."""
    tagged = _TAGGED.fullmatch(literal)
    if not tagged:
        return str(ipaddress.IPv4Address(literal))
    tag, content = tagged.groups()
    if tag.lower() != "ipv6":
        return literal.lower()
    if "%" in content:
        raise ValueError("a zone has no meaning outside its host")
    return f"ipv6:{ipaddress.IPv6Address(content)}"
