"""The doctor against a rehearsal Microsoft that is broken in each of the ways that happen."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from twisted.internet.defer import Deferred

from m365gw.config.doctor import Doctor as DoctorSettings
from m365gw.doctor.doctor import unconfigured
from m365gw.doctor.finding import Finding, Seen
from m365gw.doctor.lookups import Lookup
from m365gw.doctor.tools import Facts
from m365gw.rehearsal.faults import Fault
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET
from tests.doctor.ward import RELAY, SCANNER, DoctorCase, resolving

AFTER_NETWORK = ("D09", "D10", "D11")
AFTER_TOKEN = ("D08", "D09", "D10", "D11")

Test = Callable[[Any], Coroutine[Any, Any, None]]


def key_of(finding: Finding) -> str:
    """The key of what a finding means."""
    return key_of_seen(finding.seen)


def key_of_seen(seen: Seen) -> str:
    """The same of what one check saw."""
    assert seen.diagnosis is not None
    return seen.diagnosis.key


def asynchronous(test: Test) -> Callable[[Any], Deferred[None]]:
    """A test that is a coroutine."""

    @wraps(test)
    def begun(self: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(test(self))

    return begun


class HealthyTests(DoctorCase):
    @asynchronous
    async def test_all_is_well(self) -> None:
        """Nothing fails, one session signs in, and nothing is sent."""
        found = await self.findings()
        self.assertEqual([one.id for one in found.values() if one.result == "fail"], [])
        self.assertEqual(len(found), 18)
        self.assertEqual(
            found["D11"].seen.skipped_because, "nothing is sent unless --send is given"
        )
        self.assertEqual(self.rehearsal.record.count, 0)
        self.assertEqual(self.rehearsal.tokens.issued, 1)

    @asynchronous
    async def test_send_sends_from_each_sender(self) -> None:
        """A real message to the mailbox itself from each address of the rules."""
        found = await self.findings(send=True)
        self.assertEqual(found["D11"].result, "ok")
        senders = [each.sender for each in self.rehearsal.record.messages(0, 9)]
        self.assertEqual(senders, [RELAY, SCANNER])

    @asynchronous
    async def test_no_secret_is_in_the_report(self) -> None:
        """Neither token nor client secret stands in it, nor in the log at its most talkative."""
        report = await self.examine(send=True)
        text = json.dumps(report.plain()) + self.log.getvalue() + repr(report)
        self.assertNotIn(APP_SECRET, text)
        self.assertNotIn("eyJ", text)
        self.assertNotIn("Bearer", text)


class NetworkTests(DoctorCase):
    @asynchronous
    async def test_closed_port(self) -> None:
        """Nobody listens."""
        self.cloud = {"smtp": "127.0.0.1:1"}
        found = self.assert_fails(
            await self.findings(), "D04", "port-closed", "D05", "D06", *AFTER_NETWORK
        )
        self.assertIn("refused", found.seen.came_back)
        self.assertIn("127.0.0.1, TCP port 1", found.seen.remedies[0].portal)

    @asynchronous
    async def test_dropped_at_once(self) -> None:
        """The connection stands, and nobody greets."""
        self.rehearsal.faults.order(Fault(phase="connect", action="drop", times=0))
        self.assert_fails(await self.findings(), "D04", "no-banner", "D05", "D06", *AFTER_NETWORK)

    @asynchronous
    async def test_refused_by_the_greeting(self) -> None:
        """What the greeting says is looked up in the table of replies."""
        self.rehearsal.faults.order(
            Fault(phase="connect", answer="421 4.3.2 Service not active", times=0)
        )
        self.assert_fails(
            await self.findings(), "D04", "host-draining", "D05", "D06", *AFTER_NETWORK
        )

    @asynchronous
    async def test_no_starttls(self) -> None:
        """A firewall takes the offer away."""
        self.rehearsal.middlebox.ehlo = "without-starttls"
        self.assert_fails(await self.findings(), "D05", "starttls-missing", "D06", *AFTER_NETWORK)

    @asynchronous
    async def test_blanked_out_ehlo(self) -> None:
        """A Cisco ASA writes XXXXXXXX over what it does not know, and is named."""
        self.rehearsal.middlebox.ehlo = "blanked-out"
        found = self.assert_fails(
            await self.findings(), "D05", "smtp-rewritten", "D06", *AFTER_NETWORK
        )
        self.assertIn("no inspect esmtp", found.seen.remedies[0].portal)

    @asynchronous
    async def test_no_xoauth2(self) -> None:
        """Another server answers in Microsoft's place."""
        self.rehearsal.middlebox.ehlo = "without-xoauth2"
        self.assert_fails(await self.findings(), "D05", "xoauth2-missing", "D06", *AFTER_NETWORK)

    @asynchronous
    async def test_certificate_of_another_name(self) -> None:
        """The certificate is good, but for somebody else."""
        self.cloud = {"authority": self.authority_of_its_own()}
        self.rehearsal.middlebox.certificate = "other-name"
        found = await self.findings()
        self.assertEqual(key_of(found["D06"]), "certificate-name")
        self.assertIn("mail.elsewhere.example", found["D06"].seen.came_back)

    @asynchronous
    async def test_tls_inspection(self) -> None:
        """Who issued the certificate is named; no token was sent to find out."""
        self.rehearsal.middlebox.certificate = "other-issuer"
        found = await self.findings()
        diagnosis = found["D06"].seen.diagnosis
        assert diagnosis is not None
        self.assertEqual(diagnosis.key, "tls-inspection")
        self.assertIn("Contoso Firewall CA", diagnosis.what)
        self.assertEqual(self.rehearsal.tokens.issued, 0)
        self.assertIn(found["D09"].seen.skipped_because, ["skipped because D06 failed"])
        self.assertEqual(key_of(found["D02"]), "login-host-certificate")
        failed = [one.id for one in found.values() if one.result == "fail"]
        self.assertEqual(failed, ["D02", "D06"])

    def authority_of_its_own(self) -> str:
        return f"https://127.0.0.1:{self.rehearsal.https_port}/TENANT"


class NameTests(DoctorCase):
    def setUp(self) -> Any:
        self.login = Lookup(("127.0.0.1",), "login.contoso.test")
        return super().setUp()

    def broken(self, mail: Lookup, **more: Any) -> None:
        """The submission host resolves so; it counts as Microsoft's, and no rehearsal."""
        self.cloud = {
            "smtp": "smtp.contoso.test:587",
            "authority": "https://login.contoso.test/TENANT",
            "rehearsal": False,
        }
        self.tools |= resolving(smtp_contoso_test=mail, login_contoso_test=self.login)
        self.tools |= more

    AFTER = ("D02", "D04", "D05", "D06", "D07", *AFTER_TOKEN)

    @asynchronous
    async def test_unknown_name(self) -> None:
        """What the resolver said, and which it is."""
        conf = self.folder / "resolv.conf"
        conf.write_text("nameserver 192.0.2.53  # ours\n")
        self.broken(Lookup(fault="Name or service not known"), resolv_conf=conf)
        found = self.assert_fails(await self.findings(), "D03", "name-unresolved", *self.AFTER)
        self.assertIn("192.0.2.53", found.seen.came_back)

    @asynchronous
    async def test_hosts_file(self) -> None:
        """An address of one's own network is none of Microsoft's; the line is shown."""
        hosts = self.folder / "hosts"
        hosts.write_text("# old relay\n10.1.2.3  relay SMTP.contoso.test\n")
        self.broken(Lookup(("10.1.2.3",), "smtp.contoso.test"), hosts_file=hosts)
        found = self.assert_fails(await self.findings(), "D03", "name-overridden", *self.AFTER)
        assert found.seen.diagnosis is not None
        self.assertIn("10.1.2.3 relay SMTP.contoso.test", found.seen.diagnosis.why)

    @asynchronous
    async def test_search_domain(self) -> None:
        """A wildcard of the own domain answers."""
        conf = self.folder / "resolv.conf"
        conf.write_text("search corp.example\n")
        answer = Lookup(("192.0.2.7",), "smtp.contoso.test.corp.example")
        self.broken(answer, resolv_conf=conf)
        self.assert_fails(await self.findings(), "D03", "name-search-domain", *self.AFTER)


class ClockTests(DoctorCase):
    @asynchronous
    async def test_minutes_behind(self) -> None:
        """Five minutes and more stop sign-ins."""
        self.rehearsal.middlebox.clock_off = 420.0
        found = self.assert_fails(await self.findings(), "D02", "clock-wrong", "D07", *AFTER_TOKEN)
        self.assertEqual(found.seen.came_back, "this host is 7 minutes behind")

    @asynchronous
    async def test_a_minute_ahead(self) -> None:
        """A minute is a warning."""
        self.rehearsal.middlebox.clock_off = -90.0
        found = await self.findings()
        self.assertEqual(found["D02"].result, "warn")
        self.assertEqual(found["D09"].result, "ok")


class TokenTests(DoctorCase):
    @asynchronous
    async def test_wrong_secret(self) -> None:
        """AADSTS7000215, with the way to a new secret."""
        self.mailbox = {"client_secret": "wrong"}
        found = self.assert_fails(await self.findings(), "D07", "secret-wrong", *AFTER_TOKEN)
        remedy = found.seen.remedies[0]
        self.assertIn(APP_ID, remedy.portal)
        self.assertIn(f"'{APP_ID}'", remedy.powershell)

    @asynchronous
    async def test_unknown_app(self) -> None:
        """AADSTS700016."""
        self.mailbox = {"client_id": "00000000-0000-4000-8000-0000000000ff"}
        self.assert_fails(await self.findings(), "D07", "app-unknown", *AFTER_TOKEN)

    @asynchronous
    async def test_graph_token(self) -> None:
        """A token for Graph opens no mailbox by SMTP."""
        self.rehearsal.middlebox.audience = "https://graph.microsoft.com"
        found = self.assert_fails(await self.findings(), "D08", "token-audience", *AFTER_NETWORK)
        assert found.seen.diagnosis is not None
        self.assertIn("for Graph", found.seen.diagnosis.what)

    @asynchronous
    async def test_another_audience(self) -> None:
        """Nor does one for anything else."""
        self.rehearsal.middlebox.audience = "https://management.azure.com"
        self.assert_fails(await self.findings(), "D08", "token-audience", *AFTER_NETWORK)

    @asynchronous
    async def test_wrong_role(self) -> None:
        """A role that is not for SMTP."""
        self.rehearsal.tenant.change_app(APP_ID, roles=frozenset({"IMAP.AccessAsApp"}))
        self.assert_fails(await self.findings(), "D08", "token-permission", *AFTER_NETWORK)


class SignInTests(DoctorCase):
    AFTER = ("D10", "D11")

    @asynchronous
    async def test_without_roles(self) -> None:
        """No role at all may be right, so only Exchange tells; its scope is the first suspect."""
        self.rehearsal.tenant.change_app(APP_ID, roles=frozenset())
        found = self.assert_fails(await self.findings(), "D09", "auth-unsuccessful", *self.AFTER)
        self.assertIn("Test-ServicePrincipalAuthorization", found.seen.remedies[0].powershell)

    @asynchronous
    async def test_no_right_on_the_mailbox(self) -> None:
        """With the role in the token the right on the mailbox is the first suspect."""
        self.rehearsal.tenant.change_app(APP_ID, mailboxes=())
        found = self.assert_fails(await self.findings(), "D09", "auth-unsuccessful", *self.AFTER)
        first = found.seen.remedies[0]
        self.assertIn(f"Add-MailboxPermission -Identity '{RELAY}'", first.powershell)
        self.assertEqual(first.who, "exchange-admin")
        self.assertEqual(len(found.seen.remedies), 4)

    @asynchronous
    async def test_each_535(self) -> None:
        """SMTP AUTH off for tenant or mailbox, security defaults, Conditional Access."""
        tenant = self.rehearsal.tenant
        for switch, key in (
            ("smtp_auth_disabled", "smtp-auth-disabled-tenant"),
            ("security_defaults", "security-defaults"),
            ("conditional_access", "auth-criteria"),
        ):
            setattr(tenant, switch, True)
            found = self.assert_fails(await self.findings(), "D09", key, *self.AFTER)
            self.assertTrue(found.seen.remedies[0].portal)
            self.assertTrue(found.seen.remedies[0].powershell)
            setattr(tenant, switch, False)
        tenant.change_mailbox(RELAY, smtp_auth_disabled=True)
        found = self.assert_fails(
            await self.findings(), "D09", "smtp-auth-disabled-mailbox", *self.AFTER
        )
        line = f"Set-CASMailbox -Identity '{RELAY}' -SmtpClientAuthenticationDisabled $false"
        self.assertEqual(found.seen.remedies[0].powershell, line)

    @asynchronous
    async def test_patience_is_asked_for_once_it_failed_before(self) -> None:
        """The second failure may be a permission that has not arrived; the first is remembered."""
        self.rehearsal.tenant.smtp_auth_disabled = True
        found = await self.findings()
        self.assertEqual(found["D14"].result, "info")
        found = await self.findings()
        self.assertEqual(key_of(found["D14"]), "permission-too-young")
        self.rehearsal.tenant.smtp_auth_disabled = False
        found = await self.findings()
        self.assertEqual(found["D14"].seen.came_back, "D09 failed then and does no more")


class SenderTests(DoctorCase):
    @asynchronous
    async def test_foreign_sender(self) -> None:
        """MAIL FROM of an address without Send As."""
        self.settings = {"network": self.made_network("boss@contoso.example")}
        found = self.assert_fails(await self.findings(), "D10", "send-as-denied", "D11")
        line = found.seen.remedies[0].powershell
        self.assertIn("Add-RecipientPermission -Identity 'boss@contoso.example'", line)
        self.assertIn("SendFromAliasEnabled", found.seen.remedies[1].powershell)

    @asynchronous
    async def test_denied_after_the_message(self) -> None:
        """MAIL FROM is taken and the message is not: only --send shows it."""
        denied = f"554 5.2.252 SendAsDenied; {RELAY} not allowed to send as {SCANNER}"
        self.rehearsal.faults.order(Fault(phase="dot", answer=denied, match=SCANNER))
        found = await self.findings(send=True)
        self.assert_fails(found, "D11", "send-as-denied")
        self.assertIn(f"'{SCANNER}'", found["D11"].seen.remedies[0].powershell)

    @asynchronous
    async def test_rule_for_anybody(self) -> None:
        """A rule with "*" is a warning."""
        self.settings = {"network": self.made_network("*")}
        found = await self.findings()
        self.assertEqual(key_of(found["D12"]), "rule-for-anybody")

    @asynchronous
    async def test_mailboxes_out_of_scope(self) -> None:
        """Exchange refuses the one the app has no right on, and opens the one it has."""
        alice, shared = "alice@contoso.example", "shared@contoso.example"
        self.settings = {"doctor": DoctorSettings(out_of_scope=(alice,))}
        found = (await self.findings())["D12"]
        self.assertEqual(
            (found.result, found.seen.came_back),
            ("ok", f"refused by every rule; {alice} by Exchange"),
        )
        self.settings = {"doctor": DoctorSettings(out_of_scope=(alice, shared))}
        found = (await self.findings())["D12"]
        self.assertEqual((found.result, key_of(found)), ("warn", "app-opens-out-of-scope"))
        self.assertIn(shared, found.seen.came_back)

    def made_network(self, *senders: str) -> Any:
        from m365gw.config.settings import Network

        return (Network(cidr="10.0.0.0/8", senders=senders, mailbox=RELAY),)


class GraphTests(DoctorCase):
    @asynchronous
    async def test_mail_by_graph(self) -> None:
        """Nothing of SMTP is tried; the token is for Graph, and --send sends by it."""
        self.mailbox = {"exit": "graph"}
        self.cloud = {"graph": f"https://127.0.0.1:{self.rehearsal.https_port}/graph/v1.0"}
        found = await self.findings(send=True)
        self.assertEqual([one.id for one in found.values() if one.result == "fail"], [])
        not_needed = [one.id for one in found.values() if one.result == "skipped"]
        self.assertEqual(not_needed, ["D04", "D05", "D06", "D09", "D10"])
        self.assertIn("202 Accepted", found["D11"].seen.came_back)
        self.assertEqual(self.rehearsal.record.count, 2)

    @asynchronous
    async def test_a_right_on_all_mailboxes_is_said(self) -> None:
        """Mail.Send in Entra is for everybody's mailbox."""
        self.mailbox = {"exit": "graph"}
        self.cloud = {"graph": f"https://127.0.0.1:{self.rehearsal.https_port}/graph/v1.0"}
        found = await self.findings()
        self.assertEqual(key_of(found["D12"]), "app-sends-as-anyone")


class ConnectorTests(DoctorCase):
    """A mailbox that leaves by an inbound connector."""

    def setUp(self) -> Deferred[None]:
        started = super().setUp()
        self.mailbox = {
            "exit": "connector",
            "flow": "certificate",
            "client_id": "",
            "client_secret": "",
            "certificate_file": str(self.rehearsal.certificates.gateway.absolute()),
        }
        return started.addCallback(self.set_host)

    def set_host(self, _: None) -> None:
        self.cloud["mx"] = f"127.0.0.1:{self.rehearsal.mx_port}"

    async def test_all_is_well(self) -> None:
        """Nothing is asked for a token; the host is asked for a recipient elsewhere."""
        found = await self.findings()
        skipped = [one.id for one in found.values() if one.result == "skipped"]
        self.assertEqual(skipped, ["D02", "D07", "D08", "D11"])
        self.assertEqual([one.id for one in found.values() if one.result == "fail"], [])
        self.assertIn("the certificate of gateway.contoso.example", found["D09"].seen.came_back)
        self.assertIn("the connector knows them", found["D10"].seen.came_back)
        self.assertIn("the client certificate ends on", found["D13"].seen.came_back)
        self.assertEqual(self.rehearsal.record.count, 0)

    async def test_by_address(self) -> None:
        """No certificate is shown; its recipients are not counted, and it has no end."""
        self.mailbox |= {"flow": "address", "certificate_file": ""}
        self.rehearsal.tenant.connector_addresses = ("127.0.0.1",)
        found = await self.findings()
        self.assertIn("no certificate, as the connector goes", found["D09"].seen.came_back)
        self.assertEqual((found["D10"].result, found["D13"].result), ("ok", "info"))

    async def test_a_connector_that_does_not_know_us(self) -> None:
        """Nothing is wrong until a recipient elsewhere is named: it is said what to compare."""
        self.rehearsal.tenant.connector = "other.contoso.example"
        failed = self.assert_fails(await self.findings(), "D10", "connector-unknown")
        self.assertIn("TlsSenderCertificateName", str(failed.seen.remedies))

    async def test_a_certificate_that_cannot_be_read(self) -> None:
        """Its file is named; what needs the session is skipped."""
        self.mailbox["certificate_file"] = str(self.folder / "nothing.pem")
        found = await self.findings()
        self.assertEqual(found["D09"].result, "fail")
        self.assertEqual(found["D10"].result, "skipped")


class GatewayTests(DoctorCase):
    @asynchronous
    async def test_spool_that_is_missing(self) -> None:
        """The line that makes it is given."""
        self.settings = {"spool_dir": str(self.folder / "gone")}
        found = self.assert_fails(
            await self.findings(), "D01", "host-unusable", "D07", *AFTER_TOKEN
        )
        self.assertIn(f"install -d -m 0700 -o root {self.folder}", found.seen.remedies[0].portal)

    @asynchronous
    async def test_open_relay(self) -> None:
        """A listener that trusts the whole internet, as whomever it lets that send."""
        from m365gw.config.settings import Listener, Network

        for everybody, sender in (("0.0.0.0/0", RELAY), ("::/0", "scanner@contoso.example")):
            self.settings = {
                "listener": (Listener(name="in", endpoint="tcp:0", networks=(everybody,)),),
                "network": (Network(cidr=everybody, senders=(sender,), mailbox=RELAY),),
            }
            self.assert_fails(await self.findings(), "D16", "open-relay")

    @asynchronous
    async def test_strangers_as_load_balancers(self) -> None:
        """Nobody's own network is as wide: not the internet, nor each of its halves."""
        from m365gw.config.settings import Listener

        for strangers in (("0.0.0.0/0",), ("0.0.0.0/1", "128.0.0.0/1"), ("unix", "2000::/3")):
            self.settings = {
                "listener": (Listener(name="in", endpoint="tcp:0", proxy_from=strangers),)
            }
            self.assert_fails(await self.findings(), "D16", "proxy-from-anybody")
        own = ("10.0.0.0/8", "fc00::/7")
        self.settings = {"listener": (Listener(name="in", endpoint="tcp:0", proxy_from=own),)}
        self.assertEqual((await self.findings())["D16"].result, "info")

    @asynchronous
    async def test_listener_that_is_silent(self) -> None:
        """The service says that it listens, and nobody answers."""
        self.facts = Facts(True, ({"listener": "in", "address": "127.0.0.1:1"},))
        self.assert_fails(await self.findings(), "D16", "listener-silent")

    def test_configuration_that_cannot_be_read(self) -> None:
        """D01 says why; all else is skipped for it."""
        report = unconfigured("m365gw.toml:3: no such key", 0.0)
        self.assertFalse(report.is_good)
        self.assertEqual([one.result for one in report.gateway], ["fail"] + ["skipped"] * 17)
