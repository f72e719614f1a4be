"""SMTP passwords: made, stored as hashes, and checked.

Two kinds of hash, told apart by their prefix:

* `$hmac-sha256$...` for passwords generated here. They have 160 random bits, so a slow hash would
  buy nothing, and devices log in for every message: a check costs microseconds.
* `$argon2id$...` for passwords a person chose. A check costs tens of milliseconds and 19 MiB
  (OWASP's small parameter set): do it off the reactor, and bound how many run at a time.

A password is compared in Unicode's composed form: the same keys give composed letters on one
machine and decomposed ones on another (RFC 8265 4.2.2).

The salt of the first kind stands in the hash, so a configuration file can be moved to another
machine as it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Sequence

import argon2

LONGEST_PASSWORD = 1024  # octets; checked before any hashing
_GENERATED = "$hmac-sha256$"
_CHOSEN = "$argon2id$"
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 letters, none easily mistaken for another
_LENGTH = 32  # letters of 5 bits: 160 bits

_NO_MEMORY = argon2.low_level.error_to_str(-22)  # ARGON2_MEMORY_ALLOCATION_ERROR of its argon2.h
_argon2 = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


def generate() -> tuple[str, str]:
    """A new random password and its hash."""
    password = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    salt = secrets.token_bytes(16)
    return password, f"{_GENERATED}{_text(salt)}${_text(_digest(salt, password))}"


def hash_chosen(password: str) -> str:
    """The hash of a password that a person chose."""
    return _argon2.hash(composed(password))


def is_slow(stored: str) -> bool:
    """Whether a check against this hash takes long enough to belong in a thread."""
    return stored.startswith(_CHOSEN)


def matching(hashes: Sequence[str], password: str) -> int | None:
    """The place of the hash the password belongs to. All are tried: time tells nothing."""
    matches = [verify(stored, password) for stored in hashes]
    return matches.index(True) if True in matches else None


def verify(stored: str, password: str) -> bool:
    """Whether the password belongs to the hash. A hash of no known kind matches nothing.

    Raises MemoryError when there is no memory to find out.
    """
    if len(password.encode("utf-8", "surrogatepass")) > LONGEST_PASSWORD:
        return False
    password = composed(password)
    if stored.startswith(_GENERATED):
        parts = _generated_parts(stored)
        return parts is not None and hmac.compare_digest(_digest(parts[0], password), parts[1])
    if not (stored.isascii() and stored.startswith(_CHOSEN)):
        return False
    try:
        return _argon2.verify(stored, password)
    except argon2.exceptions.InvalidHashError:
        return False
    except argon2.exceptions.VerificationError as error:
        if str(error) == _NO_MEMORY:
            raise MemoryError from None
        return False


def composed(text: str) -> str:
    """Text as logins and passwords are compared."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _digest(salt: bytes, password: str) -> bytes:
    return hmac.digest(salt, password.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _generated_parts(stored: str) -> tuple[bytes, bytes] | None:
    """Salt and digest of a generated password's hash, or None when it is damaged."""
    salt, _, digest = stored.removeprefix(_GENERATED).partition("$")
    try:
        parts = base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
    except ValueError:
        return None
    return parts if len(parts[0]) == 16 and len(parts[1]) == 32 else None


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
