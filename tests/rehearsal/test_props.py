"""Tests for `m365gw.rehearsal.props`."""

from __future__ import annotations

from pathlib import Path

import jwt
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.aadsts import Declined
from m365gw.rehearsal.assertion import check_assertion
from m365gw.rehearsal.props import (
    CERTIFICATE,
    LIFETIME,
    RENEWED_EVERY,
    TOKEN,
    TokenFile,
    lay_out_certificate,
)
from m365gw.rehearsal.tenant import APP_ID, default_tenant


class PropsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.tenant = default_tenant()
        self.clock = Clock()
        self.clock.advance(1_800_000_000)


class CertificateTests(PropsCase):
    def test_it_is_made_once(self) -> None:
        """The app knows it, it is private, and a restart finds it again."""
        lay_out_certificate(self.folder, self.tenant)
        made = (self.folder / CERTIFICATE).read_bytes()
        self.assertEqual((self.folder / CERTIFICATE).stat().st_mode & 0o077, 0)
        again = default_tenant()
        lay_out_certificate(self.folder, again)
        self.assertEqual(again.apps[APP_ID].certificates, (made,))


class TokenFileTests(PropsCase):
    def setUp(self) -> None:
        super().setUp()
        self.tokens = TokenFile(self.folder, self.tenant, self.clock)
        self.tokens.start()

    def declined(self) -> int:
        """The AADSTS number the token in the file is refused with; 0: it is taken."""
        token = (self.folder / TOKEN).read_text()
        try:
            check_assertion(self.tenant.apps[APP_ID], token, frozenset(), self.clock.seconds())
        except Declined as declined:
            return declined.number
        return 0

    def test_it_is_good_and_renewed(self) -> None:
        """The app trusts it, now and much later; the file is its owner's alone."""
        self.assertEqual(self.declined(), 0)
        first = (self.folder / TOKEN).read_text()
        for _ in range(100):
            self.clock.advance(RENEWED_EVERY)
        self.assertNotEqual((self.folder / TOKEN).read_text(), first)
        self.assertEqual(self.declined(), 0)
        self.assertEqual((self.folder / TOKEN).stat().st_mode & 0o077, 0)

    def test_each_wrong_claim(self) -> None:
        """Entra names what is wrong, also after the next renewal; {} puts it right."""
        for claims, number in (
            ({"iss": "https://elsewhere.example"}, 700211),
            ({"sub": "system:serviceaccount:other:one"}, 700213),
            ({"aud": "somebody else"}, 700212),
            ({"lifetime": -3600}, 700024),
        ):
            with self.subTest(claims=claims):
                self.tokens.write(claims)
                self.assertEqual(self.declined(), number)
                self.clock.advance(RENEWED_EVERY)
                self.assertEqual(self.declined(), number)
        self.tokens.write({})
        self.assertEqual(self.declined(), 0)

    def test_a_claim_it_does_not_have(self) -> None:
        """Nothing is written."""
        with self.assertRaises(ValueError):
            self.tokens.write({"audience": "x"})
        self.assertEqual(self.declined(), 0)

    def test_stopped(self) -> None:
        """The last token stays, and ends."""
        self.tokens.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        claims = jwt.decode((self.folder / TOKEN).read_text(), options={"verify_signature": False})
        self.assertEqual(claims["exp"], self.clock.seconds() + LIFETIME)
