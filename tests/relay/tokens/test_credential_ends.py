"""Tests for `m365gw.relay.tokens.credential_ends`."""

from __future__ import annotations

import json
from datetime import date
from typing import Any, get_args

from m365gw.alerts.forecast import Kind as Told
from m365gw.config.key_pairs import read_pairs
from m365gw.directory.certificates import new_certificate
from m365gw.relay.tokens.credential_ends import REFRESH_LIFE, CredentialEnd, Kind, credential_ends
from m365gw.relay.tokens.sign_in import used_at, vault_name
from m365gw.service.gauges import KINDS
from tests.relay.entra import ADDRESS, Store, mailbox
from tests.relay.signed_in import MAILBOX, SignedInCase


class CredentialEndTests(SignedInCase):
    """What each flow knows of its end."""

    def ends(self, **changes: Any) -> list[CredentialEnd]:
        return credential_ends(mailbox(**changes), self.store)

    def test_certificate(self) -> None:
        """It stands in the certificate; of two the first end counts, as it may be the one used."""
        short, long = new_certificate("a", 10), new_certificate("b", 20)
        text = (long + short).decode()
        self.assertEqual(
            self.ends(flow="certificate", client_secret="", certificate=text),
            [CredentialEnd(ADDRESS, "certificate", read_pairs(short)[0].ends_at, "known")],
        )

    def test_certificate_of_a_connector(self) -> None:
        """The first of two is shown; and each kind of end has its words and its label."""
        first, other = new_certificate("a", 20), new_certificate("b", 10)
        settings = {"flow": "certificate", "client_secret": "", "exit": "connector"}
        [end] = self.ends(certificate=(first + other).decode(), **settings)
        self.assertEqual(
            (end.kind, end.ends_at), ("client-certificate", read_pairs(first)[0].ends_at)
        )
        self.assertEqual(self.ends(flow="address", client_secret="", exit="connector"), [])
        self.assertEqual(set(get_args(Kind)), set(KINDS))
        self.assertLess(set(get_args(Kind)), set(get_args(Told)))

    def test_secret(self) -> None:
        """Only the operator can say when it ends; it may be at the first moment of that day."""
        self.assertEqual(self.ends(), [CredentialEnd(ADDRESS, "secret", None, "unknown")])
        self.assertEqual(
            self.ends(client_secret_expires=date(2027, 1, 2)),
            [CredentialEnd(ADDRESS, "secret", 1798848000.0, "stated")],
        )

    def test_sign_in(self) -> None:
        """Ninety days after the last use, which stands in the vault and so outlives a restart."""
        self.sign_in()
        used = used_at(self.store, MAILBOX)
        self.assertEqual(
            credential_ends(MAILBOX, self.store),
            [CredentialEnd(ADDRESS, "sign-in", used + REFRESH_LIFE, "hint")],
        )
        cache = self.stored()
        for token in cache["RefreshToken"].values():
            token["last_modification_time"] = "1000"
        self.store.kept[vault_name(MAILBOX)] = json.dumps(cache).encode()
        self.assertEqual(used_at(self.store, MAILBOX), 1000.0)
        self.flow.acquire(fresh=True)
        self.assertGreaterEqual(used_at(self.store, MAILBOX), used)

    def test_confidential_web_app(self) -> None:
        """A sign-in and a secret: either may end."""
        self.sign_in()
        kinds = [end.kind for end in self.ends(flow="web")]
        self.assertEqual(kinds, ["secret", "sign-in"])

    def test_none(self) -> None:
        """Federated and managed identities have no end, and what is missing has none either."""
        for changes in (
            {"flow": "federated", "client_secret": "", "federated_token_file": "x"},
            {"flow": "managed-identity", "client_secret": ""},
            {"flow": "certificate", "client_secret": "", "certificate_file": "not-there"},
            {"flow": "device", "client_secret": ""},
        ):
            self.assertEqual(credential_ends(mailbox(**changes), Store()), [])

    def test_sign_in_that_cannot_be_read(self) -> None:
        """Damaged in the vault: nothing is known, and nothing fails."""
        for kept in (b"{half", b"{}", b'{"RefreshToken": 1}', b"\xff"):
            self.store.kept[vault_name(MAILBOX)] = kept
            self.assertEqual(
                credential_ends(MAILBOX, self.store),
                [CredentialEnd(ADDRESS, "sign-in", None, "unknown")],
            )
