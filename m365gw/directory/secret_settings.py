"""Secrets among the settings of a mailbox: they go to the vault, never into its document."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

import attrs
from sqlalchemy import Connection

from m365gw.config.settings import Mailbox
from m365gw.directory.vault import Vault

# The setting, and what its secret is called in the vault.
SECRETS: Final = MappingProxyType(
    {
        "client_secret": "client-secret",
        "certificate": "certificate",
        "certificate_passphrase": "certificate-passphrase",
    }
)
SIGN_IN: Final = "sign-in"


def secret_name(kind: str, key: str) -> str:
    """What a secret of a mailbox is called in the vault: `client-secret relay@contoso.com`."""
    return f"{kind} {key}"


def put_away(connection: Connection, vault: Vault, key: str, mailbox: Mailbox) -> Mailbox:
    """The mailbox without its secrets, which are in the vault now. Raises `VaultError`."""
    for setting, kind in SECRETS.items():
        secret = getattr(mailbox, setting)
        if secret:
            vault.put(connection, secret_name(kind, key), secret.encode())
        else:
            vault.drop(connection, secret_name(kind, key))
    without: dict[str, Any] = dict.fromkeys(SECRETS, "")
    return attrs.evolve(mailbox, **without)


def forget(connection: Connection, vault: Vault, key: str) -> None:
    """Remove all secrets of a mailbox, its sign-in too."""
    for kind in (*SECRETS.values(), SIGN_IN):
        vault.drop(connection, secret_name(kind, key))
