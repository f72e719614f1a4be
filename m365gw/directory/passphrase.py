"""Octets sealed by a passphrase: what a backup is on disk.

A line that says what it is, a line with the terms of the key derivation (argon2id, RFC 9106), then
a Fernet token (AES-128-CBC with HMAC-SHA256) of the compressed octets. Nothing in it can be read or
changed unnoticed without the passphrase.
"""

from __future__ import annotations

import base64
import json
import secrets
import zlib
from typing import Final

from argon2.low_level import Type, hash_secret_raw
from cryptography.fernet import Fernet, InvalidToken

from m365gw.directory.passwords import composed

SHORTEST: Final = 12  # characters of a new one
_FORMAT: Final = b"m365gw backup 1"
_PASSES: Final = 3
_MEMORY: Final = 64 * 1024  # KiB; the second choice of RFC 9106 4
_LANES: Final = 4
_MOST_MEMORY: Final = 1024 * 1024  # KiB a file may ask for
_MOST_PASSES: Final = 100


class NotOpened(Exception):
    """The file is no backup of ours, damaged, or the passphrase is another one."""


def sealed(passphrase: str, octets: bytes) -> bytes:
    """The octets sealed by a passphrase, with all it takes to open them but that."""
    terms = {
        "salt": base64.b64encode(secrets.token_bytes(16)).decode(),
        "passes": _PASSES,
        "memory": _MEMORY,
        "lanes": _LANES,
    }
    token = _key(passphrase, terms).encrypt(zlib.compress(octets))
    return b"\n".join([_FORMAT, json.dumps(terms).encode(), token, b""])


def opened(passphrase: str, octets: bytes) -> bytes:
    """What was sealed. Raises `NotOpened`."""
    head, _, rest = octets.partition(b"\n")
    if head != _FORMAT:
        said = "made by a newer m365gw" if head.startswith(_FORMAT[:-1]) else "no backup of m365gw"
        raise NotOpened(f"This file is {said}.")
    terms, _, token = rest.partition(b"\n")
    try:
        key = _key(passphrase, json.loads(terms))
        return zlib.decompress(key.decrypt(token.strip()))
    except InvalidToken:
        raise NotOpened("The passphrase is another one, or the file is damaged.") from None
    except (ValueError, LookupError, TypeError, AttributeError, zlib.error):
        raise NotOpened("The file is damaged.") from None


def _key(passphrase: str, terms: dict[str, object]) -> Fernet:
    passes, memory, lanes = (int(str(terms[name])) for name in ("passes", "memory", "lanes"))
    if not (0 < passes <= _MOST_PASSES and 0 < memory <= _MOST_MEMORY and 0 < lanes <= 64):
        raise ValueError
    key = hash_secret_raw(
        composed(passphrase).encode(),
        base64.b64decode(str(terms["salt"])),
        passes,
        memory,
        lanes,
        32,
        Type.ID,
    )
    return Fernet(base64.urlsafe_b64encode(key))
