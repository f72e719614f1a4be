"""What is known of a client, and what follows from it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Client, Listener
from m365gw.edge.admission.admission import Admission, Visitor, ip_address
from m365gw.edge.admission.rules import Allowed, Denied, client_rule
from m365gw.edge.session.doorway import Peer
from m365gw.edge.session.identity import Identity
from tests.edge.conversation import HOST, TRUSTED

FAX = Client(login="fax", password_hash="", senders=("fax@example.com",), mailbox="f@example.com")
LISTENER = Listener(name="test", endpoint="tcp:0", networks=(TRUSTED.cidr,))


def identity(tls: str = "") -> Identity:
    visitor = Visitor(LISTENER, ip_address(HOST))
    return Identity(Admission([FAX], [TRUSTED]), visitor, Peer(HOST, 4025, tls, {"client": HOST}))


class IdentityTests(SynchronousTestCase):
    """Greeting, TLS and login, as trace fields and rules see them."""

    def test_protocol_words(self) -> None:
        """RFC 3848 and RFC 6531 4.3: one word for each combination."""
        for tls, login, words in (
            ("", "", ("ESMTP", "UTF8SMTP")),
            ("TLSv1.3", "", ("ESMTPS", "UTF8SMTPS")),
            ("", "fax", ("ESMTPA", "UTF8SMTPA")),
            ("TLSv1.3", "fax", ("ESMTPSA", "UTF8SMTPSA")),
        ):
            client = identity(tls)
            client.greet("x", is_esmtp=True)
            if login:
                client.log_in(login, "PLAIN")
            said = tuple(client.protocol(smtputf8=utf8) for utf8 in (False, True))
            self.assertEqual(said, words)
        client.greet("x", is_esmtp=False)
        self.assertEqual(client.protocol(smtputf8=False), "SMTP")

    def test_login_takes_the_place_of_the_network(self) -> None:
        """Who logs in stands under the rule of the login, for better or worse."""
        client = identity()
        self.assertIsInstance(client.may_send("me@example.com"), Allowed)
        client.log_in("fax", "LOGIN")
        self.assertIsInstance(client.may_send("me@example.com"), Denied)
        self.assertEqual(
            client.may_send("fax@example.com"),
            Allowed("f@example.com", client_rule(FAX), "fax@example.com"),
        )
        origin = client.origin("f@example.com", smtputf8=False)
        self.assertEqual((origin.login, origin.client, origin.port), ("fax", HOST, 4025))

    def test_new_rules_hold_in_the_middle_of_a_session(self) -> None:
        """A reload takes away what is no longer allowed, from those connected too."""
        admission = Admission([FAX], [TRUSTED])
        client = Identity(
            admission, Visitor(LISTENER, ip_address(HOST)), Peer(HOST, 4025, "", {"client": HOST})
        )
        client.log_in("fax", "PLAIN")
        self.assertIsInstance(client.may_send("fax@example.com"), Allowed)
        admission.replace([], [TRUSTED])
        self.assertIsInstance(client.may_send("fax@example.com"), Denied)

    def test_newcomer_until_it_may_do_something(self) -> None:
        """A login or an accepted sender; a refused one is nothing."""
        client = identity()
        client.greet("x", is_esmtp=True)
        client.may_send("me@example.org")
        self.assertTrue(client.is_newcomer)
        client.may_send("me@example.com")
        self.assertFalse(client.is_newcomer)
        client = identity()
        client.log_in("fax", "PLAIN")
        self.assertFalse(client.is_newcomer)
