"""Who may connect and send."""

from __future__ import annotations

from ipaddress import ip_address as address

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Client, Listener, Network
from m365gw.edge.admission.admission import (
    Admission,
    Visitor,
    ip_address,
)
from m365gw.edge.admission.rules import Allowed, Denied, client_rule, network_rule

PRINTER = Client(
    login="printer3",
    password_hash="",
    senders=("scan@example.com", "*@devices.example.com"),
    mailbox="relay@example.com",
)
OFFICE = Network(cidr="10.1.0.0/16", senders=("*@example.com",), mailbox="office@example.com")
CELLAR = Network(cidr="10.1.9.0/24", senders=("ups@example.com",), mailbox="cellar@example.com")
SERVER = Network(cidr="10.1.9.7", senders=("*", "<>"), mailbox="server@example.com")


def listener(*networks: str, auth: str = "require") -> Listener:
    return Listener(name="office", endpoint="tcp:25", auth=auth, networks=networks)


def may_send(admission: Admission, visitor: Visitor, sender: str) -> Allowed | Denied:
    rule = admission.rule_for(visitor)
    return rule if isinstance(rule, Denied) else rule.decide(sender)


class AdmissionTests(SynchronousTestCase):
    """May this visitor send as this sender?"""

    def setUp(self) -> None:
        self.admission = Admission([PRINTER], [OFFICE, CELLAR, SERVER])

    def decide(
        self, host: str, sender: str, *networks: str, login: str = "", auth: str = "require"
    ) -> Allowed | Denied:
        visitor = Visitor(listener(*networks, auth=auth), ip_address(host), login)
        return may_send(self.admission, visitor, sender)

    def denied(self, host: str, sender: str, *networks: str, login: str = "") -> str:
        decision = self.decide(host, sender, *networks, login=login)
        assert isinstance(decision, Denied)
        return str(decision.reply)

    def test_without_configuration_nobody_may_send(self) -> None:
        """A gateway nobody configured is closed, to its own host too."""
        visitor = Visitor(listener(), ip_address("127.0.0.1"))
        self.assertIsInstance(may_send(Admission([], []), visitor, "a@example.com"), Denied)

    def test_login_may_send_as_its_senders(self) -> None:
        """A login leaves by the mailbox of its client, as any address its client lists."""
        for sender in ("scan@example.com", "Scan@EXAMPLE.com", "floor2@devices.example.com"):
            decision = self.decide("203.0.113.9", sender, login="printer3")
            self.assertEqual(decision, Allowed("relay@example.com", client_rule(PRINTER), sender))

    def test_foreign_sender_is_denied_with_what_to_change(self) -> None:
        """The refusal names the login, the sender, and the place in the configuration."""
        reply = self.denied("203.0.113.9", "boss@example.com", login="printer3")
        self.assertTrue(reply.startswith('553 5.7.1 login "printer3" may not send as'), reply)
        self.assertIn("<boss@example.com>", reply)
        self.assertIn('senders of login "printer3" (see m365gw client show printer3)', reply)

    def test_network_counts_only_where_the_listener_trusts_it(self) -> None:
        """A [[network]] rule alone opens nothing: the listener must name the network."""
        self.assertIn("530 5.7.0", self.denied("10.1.2.3", "a@example.com"))
        self.assertEqual(
            self.decide("10.1.2.3", "a@example.com", "10.1.0.0/16"),
            Allowed("office@example.com", network_rule(OFFICE), "a@example.com"),
        )

    def test_trusted_network_without_a_rule_opens_nothing(self) -> None:
        """A network the listener trusts but no rule describes may send as nobody."""
        self.assertIn("530 5.7.0", self.denied("10.2.0.1", "a@example.com", "10.2.0.0/16"))

    def test_narrowest_network_decides(self) -> None:
        """A rule for one device beats the rule of the building it stands in."""
        nets = ("10.1.0.0/16", "10.1.9.0/24", "10.1.9.7")
        self.assertEqual(
            self.decide("10.1.9.1", "ups@example.com", *nets),
            Allowed("cellar@example.com", network_rule(CELLAR), "ups@example.com"),
        )
        self.assertIn("network 10.1.9.0/24", self.denied("10.1.9.1", "a@example.com", *nets))
        self.assertEqual(
            self.decide("10.1.9.7", "any@body.org", *nets),
            Allowed("server@example.com", network_rule(SERVER), "any@body.org"),
        )

    def test_network_inside_of_a_trusted_one(self) -> None:
        """A listener that trusts a wide network trusts those in it, each by its own rule."""
        self.assertEqual(
            self.decide("10.1.9.7", "any@body.org", "10.0.0.0/8"),
            Allowed("server@example.com", network_rule(SERVER), "any@body.org"),
        )
        self.assertIn("530 5.7.0", self.denied("10.1.9.1", "a@example.com", "10.1.9.0/25", "::/0"))

    def test_login_beats_network(self) -> None:
        """Who logs in is judged by the login, also inside a trusted network."""
        reply = self.denied("10.1.2.3", "boss@example.com", "10.1.0.0/16", login="printer3")
        self.assertIn('login "printer3"', reply)

    def test_ipv4_mapped_address_is_the_ipv4_address(self) -> None:
        """::ffff:10.1.2.3 is 10.1.2.3, for trust and for distrust."""
        self.assertIsInstance(
            self.decide("::ffff:10.1.2.3", "a@example.com", "10.1.0.0/16"), Allowed
        )

    def test_unknown_address_is_in_no_network(self) -> None:
        """A Unix socket has no address, and so no network to be trusted for."""
        self.assertIn("530 5.7.0", self.denied("", "a@example.com", "0.0.0.0/0"))

    def test_where_no_login_is_taken_none_is_asked_for(self) -> None:
        """On a listener without AUTH the refusal says what would help instead."""
        decision = self.decide("203.0.113.9", "a@example.com", auth="off")
        assert isinstance(decision, Denied)
        self.assertEqual(decision.reply.code, 550)
        self.assertIn("203.0.113.9 is in no trusted network", decision.reply.text)

    def test_null_sender_needs_to_be_listed(self) -> None:
        """Only "<>" lets reports through: "*" is any address, and the null sender is none."""
        self.assertIsInstance(self.decide("10.1.9.7", "", "10.1.9.7"), Allowed)
        self.assertIn("553 5.7.1", self.denied("10.1.2.3", "", "10.1.0.0/16"))
        reports = Network(cidr="10.5.0.0/16", senders=("<>",), mailbox="r@example.com")
        star = Network(cidr="10.6.0.0/16", senders=("*",), mailbox="r@example.com")
        admission = Admission([], [reports, star])
        for host, sender, kind in (
            ("10.5.0.1", "", Allowed),
            ("10.5.0.1", "a@example.com", Denied),
            ("10.6.0.1", "", Denied),
        ):
            visitor = Visitor(listener("10.5.0.0/16", "10.6.0.0/16"), ip_address(host))
            self.assertIsInstance(may_send(admission, visitor, sender), kind)

    def test_removed_login_may_send_nothing(self) -> None:
        """A login that is no longer configured is denied, not taken for a network."""
        reply = self.denied("10.1.2.3", "a@example.com", "10.1.0.0/16", login="gone")
        self.assertTrue(reply.startswith("550 5.7.1"), reply)


class AddressTests(SynchronousTestCase):
    """The address of a peer."""

    def test_addresses_are_normalised(self) -> None:
        """Scope ids go, mapped addresses become what they map, nonsense becomes None."""
        self.assertEqual(ip_address("fe80::1%eth0"), address("fe80::1"))
        self.assertEqual(ip_address("::ffff:192.0.2.1"), address("192.0.2.1"))
        self.assertIsNone(ip_address("/run/socket"))
