"""What TLS at the load balancer is worth, by what its header says."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Listener
from m365gw.smtp.proxy import Header
from m365gw.smtp.proxy_fields import BalancerTls, Fields
from tests.edge.conversation import Conversation, Gateway
from tests.edge.listening.test_arrival import BALANCER, BEHIND, CLIENT, LIMITS, with_tls
from tests.smtp.proxy_header import version_2


class TlsAtTheBalancerTests(SynchronousTestCase):
    """TLS that ended at the load balancer."""

    def ehlo(self, header: Header, listener: Listener = BEHIND) -> tuple[Conversation, list[str]]:
        client = Gateway(self, listener=listener, limits=LIMITS).connect(BALANCER)
        client.send(version_2(header))
        return client, client.say("EHLO x")

    def test_it_counts_as_tls(self) -> None:
        """A login is offered and STARTTLS is not; the trace and the log name version and cipher."""
        required = evolve(BEHIND, tls="require")
        client, offers = self.ehlo(with_tls("TLSv1.3"), required)
        self.assertIn("250-AUTH PLAIN LOGIN", offers)
        self.assertNotIn("250-STARTTLS", offers)
        self.assertEqual(client.message()[0][:3], "250")
        [(_, octets)] = client.gateway.messages()
        self.assertIn(b"(using TLSv1.3 AES256-SHA)", octets)
        told = "unique_id=0A01:1, sni=gw.example.com, via_tls=TLSv1.3 AES256-SHA, from="
        self.assertIn(told, client.gateway.output.getvalue())

    def test_without_it_no_login_is_offered(self) -> None:
        """The balancer says nothing of TLS, or that there was none."""
        no_tls = evolve(CLIENT, fields=Fields(tls=BalancerTls(is_used=False, version="TLSv1.3")))
        for header in (CLIENT, no_tls, with_tls("")):
            _, offers = self.ehlo(header)
            self.assertNotIn("250-AUTH PLAIN LOGIN", offers)

    def test_old_versions_count_only_where_they_are_taken(self) -> None:
        """As if TLS ended here: legacy-tls, and only for its networks."""
        quirky = evolve(BEHIND, quirks=("legacy-tls",), quirk_networks=("192.0.2.0/24",))
        others = evolve(quirky, quirk_networks=("198.51.100.0/24",))
        for listener, expected in ((BEHIND, False), (quirky, True), (others, False)):
            _, offers = self.ehlo(with_tls("TLSv1.1"), listener)
            self.assertEqual("250-AUTH PLAIN LOGIN" in offers, expected)

    def test_name_of_a_certificate_is_shown_when_it_was_verified(self) -> None:
        """It is for the log, and lets nobody in."""
        for is_verified in (True, False):
            tls = BalancerTls(is_used=True, has_certificate=True, is_verified=is_verified)
            tls = evolve(tls, version="TLSv1.3", common_name="fax 3")
            client, _ = self.ehlo(evolve(CLIENT, fields=Fields(tls=tls)))
            client.say("MAIL FROM:<a@other.example>")
            shown = "client_cn=fax 3" in client.gateway.output.getvalue()
            self.assertEqual(shown, is_verified)
