"""Tests of reports for strangers."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.doctor.redaction import Redaction
from m365gw.microsoft.remedies import STEPS

NAME = st.integers(0, 999_999).map("n{}x".format)
SHAPES = ("{}", "<{}>", "from {}: no", "'{}',", "({})", "a/{} b", "{}.")


class RedactionTests(SynchronousTestCase):
    def test_who_and_where_is_replaced(self) -> None:
        """Addresses, tenants, hosts, networks, folders; the same each time."""
        text = (
            "relay@contoso.com at mail.contoso.com[10.1.2.3]:587, tenant"
            " 72f988bf-86f1-41af-91ab-2d7cd011db47, /home/ann/gw, 2001:db9::25, relay@contoso.com"
        )
        self.assertEqual(
            Redaction().text(text),
            "user1@host1.example at host2.example[192.0.2.1]:587, tenant"
            " 00000000-0000-4000-8000-000000000001, /home/user/gw, 2001:db8::2,"
            " user1@host1.example",
        )

    def test_what_everybody_may_know_stays(self) -> None:
        """Microsoft's hosts and apps, codes, commands, files."""
        text = (
            "smtp.office365.com https://login.microsoftonline.com 535 5.7.139 AADSTS7000215"
            " 00000002-0000-0ff1-ce00-000000000000 m365gw.toml SMTP.SendAsApp 127.0.0.1 10:59:58"
            " Set-CASMailbox -SmtpClientAuthenticationDisabled $false"
        )
        self.assertEqual(Redaction().text(text), text)

    def test_commands_can_still_be_read(self) -> None:
        """However long they are."""
        for key, steps in STEPS.items():
            with self.subTest(key=key):
                self.assertEqual(Redaction().text(steps.powershell), steps.powershell)

    def test_keys_and_tokens_are_taken_out(self) -> None:
        """Nothing of ours writes one; should it ever be so, it goes no further."""
        token = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.c2lnbmF0dXJl"
        for text in (token, f"Bearer {token}", "x1" * 32, "-----BEGIN PRIVATE KEY-----\nMIIE"):
            with self.subTest(text=text):
                self.assertEqual(Redaction().text(text).replace("[removed]", "").strip(), "")

    # The first example may take a second on a busy machine, whatever it is.
    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.tuples(NAME, NAME, st.sampled_from(SHAPES)), min_size=1, max_size=3))
    def test_no_address_gets_through(self, names: list[tuple[str, str, str]]) -> None:
        """In whatever text it stands; and a redacted text is as it would be redacted again."""
        report = {
            "texts": [shape.format(f"{local}@{domain}.com") for local, domain, shape in names]
        }
        hidden = Redaction()
        found = json.dumps(hidden.of(report))
        for local, domain, _ in names:
            self.assertNotIn(f"{local}@{domain}", found)
            self.assertNotIn(f"{domain}.com", found)
        self.assertEqual(hidden.text(found), found)

    def test_names_no_pattern_finds(self) -> None:
        """A host without a dot, a login: who knows them names them."""
        self.assertEqual(Redaction(["mailgw"]).text("on MAILGW"), "on name1")
