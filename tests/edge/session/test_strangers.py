"""Clients that do not speak SMTP."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.session.strangers import recognise


class StrangerTests(SynchronousTestCase):
    """First octets that are something else."""

    def test_known_strangers_are_named(self) -> None:
        """The words say what came to the wrong door, and what to do."""
        for first, words in (
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "STARTTLS"),
            (b"GET / HTTP/1.1\r\n", "HTTP"),
            (b"CONNECT example.com:443 HTTP/1.1\r\n", "HTTP"),
            (b"PRI * HTTP/2.0\r\n", "HTTP"),
            (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY"),
            (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11", "PROXY"),
        ):
            self.assertIn(words, recognise(first))

    def test_mail_clients_are_not_strangers(self) -> None:
        """Whatever begins like SMTP, however badly spelled, is answered as SMTP."""
        for first in (b"EHLO x\r\n", b"helo\r\n", b"\r\n", b"QUIT\n", b"getting nowhere\r\n", b"E"):
            self.assertEqual(recognise(first), "")
