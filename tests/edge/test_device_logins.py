"""AUTH as devices and programs in the field hold it, each dialogue by the name of who does.

The dialogues are taken from reports and sources of the clients; a listener that takes passwords in
the clear stands for one inside TLS, which a handshake would only make longer.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.logins import Logins
from m365gw.config.settings import Client, Listener
from m365gw.directory import passwords
from tests.edge.conversation import HOST, MESSAGE, TRUSTED, Conversation, Gateway

PASSWORD, HASH = passwords.generate()
PRINTER = Client(
    login="printer3",
    password_hash=HASH,
    senders=("scan@example.com",),
    mailbox="scan@example.com",
    realms=("contoso.com", "CONTOSO"),
)
LISTENER = Listener(name="devices", endpoint="tcp:0", tls="none", quirks=("plaintext-auth",))


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def plain(login: str, password: str = PASSWORD, authzid: str = "") -> str:
    return b64(f"{authzid}\0{login}\0{password}")


USERNAME, PROMPT = f"334 {b64('Username:')}", f"334 {b64('Password:')}"
OK = "235 2.7.0 Authentication successful"


class DialogueTestCase(SynchronousTestCase):
    """A client that has greeted."""

    def setUp(self) -> None:
        self.gateway = Gateway(self, listener=LISTENER, clients=[PRINTER])
        self.client = self.greeted()

    def greeted(self, gateway: Gateway | None = None) -> Conversation:
        client = (gateway or self.gateway).connect()
        client.say("EHLO device")
        return client

    def assert_dialogue(self, *turns: tuple[str, str], client: Conversation | None = None) -> None:
        """Each line of a client is answered by a reply that begins so."""
        for said, reply in turns:
            heard = (client or self.client).say(said)
            self.assertEqual([line[: len(reply)] for line in heard], [reply], said)

    @property
    def log(self) -> str:
        return self.gateway.output.getvalue()


class ProgramTests(DialogueTestCase):
    """Programs and their libraries."""

    def test_dotnet_smtpclient(self) -> None:
        """In small letters, with the login behind it (System.Net.Mail)."""
        self.assert_dialogue((f"AUTH login {b64('printer3')}", PROMPT), (b64(PASSWORD), OK))

    def test_veeam_and_minolta(self) -> None:
        """AUTH LOGIN with the login behind it; their settings leave no other choice."""
        self.assert_dialogue((f"AUTH LOGIN {b64('printer3')}", PROMPT), (b64(PASSWORD), OK))

    def test_python_smtplib_plain(self) -> None:
        """All in one line."""
        self.assert_dialogue((f"AUTH PLAIN {plain('printer3')}", OK))

    def test_python_smtplib_login(self) -> None:
        """The login behind the command, as .NET does."""
        self.test_veeam_and_minolta()

    def test_java_login(self) -> None:
        """Jakarta Mail: LOGIN first of all, step by step, no initial response."""
        self.assert_dialogue(
            ("AUTH LOGIN", USERNAME), (b64("printer3"), PROMPT), (b64(PASSWORD), OK)
        )

    def test_java_plain(self) -> None:
        """Jakarta Mail acts for itself: the login is its authorization id too."""
        self.assert_dialogue((f"AUTH PLAIN {plain('printer3', authzid='printer3')}", OK))

    def test_java_greets_again_behind_starttls(self) -> None:
        """EHLO, STARTTLS, EHLO, AUTH: what EHLO offers first holds no AUTH."""
        listener = Listener(name="submission", endpoint="tcp:0")
        client = Gateway(self, listener=listener, clients=[PRINTER]).connect()
        self.assertNotIn("AUTH", " ".join(client.say("EHLO java.example.com")))
        client.say("STARTTLS")
        client.pump.handshakeCompleted()
        self.assertIn("250-AUTH PLAIN LOGIN", client.say("EHLO java.example.com"))
        self.assert_dialogue((f"AUTH PLAIN {plain('printer3')}", OK), client=client)

    def test_mailkit_and_others_greet_again_behind_auth(self) -> None:
        """EHLO after AUTH changes nothing: the login holds, and AUTH is offered no more."""
        self.assert_dialogue((f"AUTH PLAIN {plain('printer3')}", OK))
        self.assertNotIn("AUTH", " ".join(self.client.say("EHLO device")))
        self.assert_dialogue(("MAIL FROM:<scan@example.com>", "250"))

    def test_nodemailer_curl_msmtp_plain(self) -> None:
        """nodemailer and msmtp in one line, curl in two."""
        self.assert_dialogue(("AUTH PLAIN", "334 "), (plain("printer3"), OK))

    def test_pipelined_behind_the_exchange(self) -> None:
        """What follows in the same segment is answered after it, in order."""
        replies = self.client.say(f"AUTH PLAIN {plain('printer3')}", "MAIL FROM:<scan@example.com>")
        self.assertEqual([reply[:3] for reply in replies], ["235", "250"])


class DeviceTests(DialogueTestCase):
    """Printers, scanners and what else is old."""

    def test_xerox_wants_the_exact_prompts(self) -> None:
        """It hangs up at "User Name" with a NUL, as the draft has it."""
        self.assert_dialogue(
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"), (b64("printer3"), "334 UGFzc3dvcmQ6")
        )

    def test_konica_minolta_adds_its_domain(self) -> None:
        """The login is printer3, and the device says printer3@contoso.com."""
        self.assert_dialogue((f"AUTH PLAIN {plain('printer3@contoso.com')}", OK))
        [use] = self.gateway.uses
        self.assertEqual(use, ("printer3", HASH, HOST))
        self.client.say("MAIL FROM:<scan@example.com>", "RCPT TO:<you@example.net>", "DATA")
        self.client.send(MESSAGE + b".\r\n")
        self.assertIn("sasl_username=printer3,", self.log)

    def test_windows_puts_its_domain_before(self) -> None:
        """As MailKit and others do in a domain."""
        self.assert_dialogue(
            ("AUTH LOGIN", USERNAME), (b64("CONTOSO\\printer3"), PROMPT), (b64(PASSWORD), OK)
        )

    def test_foreign_realm_is_wrong_and_the_log_says_what_to_set(self) -> None:
        """A realm is taken only where the client says so."""
        self.client.say(f"AUTH PLAIN {plain('printer3@relay.local')}")
        self.gateway.clock.advance(1)
        self.assertEqual(self.client.codes(), ["535"])
        self.assertIn(
            'add "relay.local" to realms of login "printer3" (see m365gw client show printer3)',
            self.log,
        )

    def test_ricoh_and_fortinet_are_not_offered_cram_md5(self) -> None:
        """They would take it, and fail; those that ask all the same hear 504 and may go on."""
        offers = " ".join(self.client.say("EHLO device"))
        self.assertNotIn("CRAM", offers)
        self.assert_dialogue(
            ("AUTH CRAM-MD5", "504 5.5.4"),
            (f"AUTH NTLM {b64('NTLMSSP')}", "504 5.5.4"),
            ("AUTH GSSAPI", "504 5.5.4"),
            (f"AUTH PLAIN {plain('printer3')}", OK),
        )

    def test_old_device_with_helo(self) -> None:
        """It was never told of AUTH and uses it all the same."""
        client = self.gateway.connect()
        self.assert_dialogue(
            ("HELO device", "250"), (f"AUTH PLAIN {plain('printer3')}", OK), client=client
        )

    def test_before_any_greeting(self) -> None:
        """Told to greet first, and then it goes on."""
        client = self.gateway.connect()
        self.assert_dialogue((f"AUTH PLAIN {plain('printer3')}", "503 5.5.1"), client=client)
        client.say("EHLO device")
        self.assert_dialogue((f"AUTH PLAIN {plain('printer3')}", OK), client=client)

    def test_outlook_express_wants_an_equals_sign(self) -> None:
        """Programs of before 1999 look for "AUTH=": only where the listener has that quirk."""
        self.assertNotIn("AUTH=", " ".join(self.client.say("EHLO device")))
        quirky = Listener(
            name="old", endpoint="tcp:0", tls="none", quirks=("plaintext-auth", "auth-equals")
        )
        client = Gateway(self, listener=quirky, clients=[PRINTER]).connect()
        offers = client.say("EHLO device")
        self.assertIn("250-AUTH PLAIN LOGIN", offers)
        self.assertIn("250-AUTH=PLAIN LOGIN", offers)

    def test_spaces_behind_a_line(self) -> None:
        """Behind the command, and behind a response."""
        self.assert_dialogue(
            ("auth  LoGiN  ", USERNAME), (f"{b64('printer3')}  ", PROMPT), (f"{b64(PASSWORD)} ", OK)
        )

    def test_no_padding(self) -> None:
        """The "=" at the end is left out."""
        unpadded = plain("printer3", authzid="printer3").rstrip("=")
        self.assertNotEqual(unpadded, plain("printer3", authzid="printer3"))
        self.assert_dialogue((f"AUTH PLAIN {unpadded}", OK))

    def test_empty_initial_response(self) -> None:
        """An equals sign is a response of nothing: the client is asked."""
        self.assert_dialogue(
            ("AUTH LOGIN =", USERNAME), (b64("printer3"), PROMPT), (b64(PASSWORD), OK)
        )
        self.assert_dialogue(
            ("AUTH PLAIN =", "334 "), (plain("printer3"), OK), client=self.greeted()
        )

    def test_umlauts(self) -> None:
        """Login and password in UTF-8, composed or not, or in Latin-1 as old devices send them."""
        stored = passwords.hash_chosen("geheimn\u00efs")
        fax = Client(
            login="f\u00e4x", password_hash=stored, senders=("*",), mailbox="m@example.com"
        )
        gateway = Gateway(self, listener=LISTENER, clients=[fax])
        for octets in (
            "\0f\u00e4x\0geheimn\u00efs".encode(),
            "\0fa\u0308x\0geheimni\u0308s".encode(),
            "\0f\u00e4x\0geheimn\u00efs".encode("latin-1"),
        ):
            response = base64.b64encode(octets).decode()
            self.assert_dialogue((f"AUTH PLAIN {response}", OK), client=self.greeted(gateway))

    def test_mailsend_breaks_long_responses(self) -> None:
        """A response in two lines cannot be told from two responses: refused, and nothing shown."""
        first, rest = "x" * 45, "s3cret" * 5
        self.client.say("AUTH LOGIN", b64(first))
        self.client.say(b64(rest))
        self.gateway.clock.advance(1)
        self.assertEqual(self.client.codes(), ["535"])
        self.assert_dialogue((b64("password"), "500 5.5.2"), ("NOOP", "250"))
        for secret in (b64(rest), rest, b64("password")):
            self.assertNotIn(secret, self.log)

    def test_response_that_is_not_base64(self) -> None:
        """A device that sends its login as it is: told so, and the log too, but not the login."""
        self.assert_dialogue(
            ("AUTH LOGIN printer3@contoso.com", "501 5.5.4"),
            ("AUTH LOGIN", USERNAME),
            ("printer3@contoso.com", "501 5.5.2"),
            ("NOOP", "250"),
        )
        self.assertNotIn("printer3", self.log)

    def test_cancelled(self) -> None:
        """An asterisk at any step."""
        self.assert_dialogue(
            *(("AUTH LOGIN", USERNAME), ("*", "501 5.7.0")),
            *(("AUTH LOGIN", USERNAME), (b64("printer3"), PROMPT), ("*", "501 5.7.0")),
            *(("AUTH PLAIN", "334 "), ("*", "501 5.7.0"), ("NOOP", "250")),
        )

    def test_for_somebody_else(self) -> None:
        """An authorization id that is not the login is refused with words."""
        self.assert_dialogue(
            (
                f"AUTH PLAIN {plain('printer3', authzid='boss')}",
                "535 5.7.8 A login cannot act for another one",
            )
        )

    def test_longest_line(self) -> None:
        """12,288 octets with the line end are read (RFC 4954 4); one more is no line."""
        longest = "A" * (12288 - len("AUTH PLAIN \r\n"))
        self.assert_dialogue((f"AUTH PLAIN {longest}", "501 5.5.2"), ("AUTH PLAIN", "334 "))
        self.assert_dialogue(("A" * (12288 - 2), "501 5.5.2"), ("AUTH PLAIN", "334 "))
        self.assert_dialogue(("A" * (12288 - 1), "500"), ("NOOP", "250"))


class ManyFailuresTests(DialogueTestCase):
    """What an address that fails may still do, and what the log says of it."""

    def fail(self, client: Conversation, password: str) -> list[str]:
        client.say(f"AUTH PLAIN {plain('printer3', password)}")
        self.gateway.clock.advance(Logins().longest_wait)
        return client.codes()

    def test_device_with_an_old_password_in_a_trusted_network(self) -> None:
        """It may send without a login, so it does: a failed login never keeps it out."""
        listener = Listener(
            name="printers",
            endpoint="tcp:0",
            tls="none",
            auth="offer",
            networks=(TRUSTED.cidr,),
            quirks=("plaintext-auth",),
        )
        self.gateway = Gateway(self, listener=listener, clients=[PRINTER])
        for _ in range(20):
            client = self.greeted()
            self.assertEqual(self.fail(client, "old"), ["535"])
            self.assert_dialogue(("MAIL FROM:<me@example.com>", "250"), client=client)

    def test_trusted_network_is_not_exempt_from_passwords(self) -> None:
        """A login is a claim: a wrong one is wrong from everywhere."""
        self.test_device_with_an_old_password_in_a_trusted_network()
        self.assertEqual(self.gateway.uses, [])

    def test_only_the_client_address_counts(self) -> None:
        """Who fails at one address is not slowed down at another."""
        for number in range(4):
            self.fail(self.client, f"guess {number}")
        other = self.gateway.connect("198.51.100.9")
        other.say("EHLO device")
        self.assert_dialogue((f"AUTH PLAIN {plain('printer3')}", OK), client=other)
        other = self.gateway.connect("198.51.100.10")
        other.say("EHLO device", f"AUTH PLAIN {plain('fax', 'wrong')}")
        self.gateway.clock.advance(1)
        self.assertEqual(other.codes(), ["535"])

    def test_behind_a_balancer_the_client_counts(self) -> None:
        """Not the balancer, whose address all of them share; the log names the client."""
        self.gateway = Gateway(
            self, listener=evolve(LISTENER, proxy_from=(f"{HOST}/32",)), clients=[PRINTER]
        )

        def proxied(address: str) -> Conversation:
            client = self.gateway.connect()
            client.say(f"PROXY TCP4 {address} 192.0.2.1 4025 25", "EHLO device")
            return client

        guesser = proxied("203.0.113.5")
        for number in range(4):
            self.fail(guesser, f"guess {number}")
        self.assertIn("unknown[203.0.113.5]: SASL PLAIN authentication failed: ", self.log)
        other = proxied("203.0.113.6")
        other.say(f"AUTH PLAIN {plain('fax', 'wrong')}")
        self.gateway.clock.advance(1)
        self.assertEqual(other.codes(), ["535"])

    def test_settings_bound_the_attempts(self) -> None:
        """Wrong logins of a session, waits and answers that wait are all settings."""
        logins = Logins(wrong_limit=2, shortest_wait=3.0, longest_wait=4.0, address_wait_limit=1)
        self.gateway = Gateway(self, listener=LISTENER, clients=[PRINTER], logins=logins)
        client, other = self.greeted(), self.greeted()
        client.say(f"AUTH PLAIN {plain('printer3', 'one')}")
        self.assert_dialogue((f"AUTH PLAIN {plain('printer3', 'x')}", "454 4.7.0"), client=other)
        self.gateway.clock.advance(3.0)
        self.assertEqual(client.codes(), ["535"])
        client.say(f"AUTH PLAIN {plain('printer3', 'two')}")
        self.gateway.clock.advance(4.0)
        self.assertEqual(client.codes(), ["421"])


class Fail2banTests(DialogueTestCase):
    """The lines of failed logins, and the filter that Debian's fail2ban brings for Postfix."""

    # filter.d/postfix.conf of fail2ban 1.0.2-2: prefregex and failregex of mode "auth", as
    # `fail2ban-client -d` shows them for etc/fail2ban.conf, without the parts that may be missing;
    # <HOST> as fail2ban puts it in, shortened.
    PREFIX = re.compile(r"^\s*(?:\S+\s+)?m365gw/smtpd(?:\[\d+\])?:?\s+warning: (?P<content>.+)$")
    FAILED = re.compile(
        r"^[^[]*\[(?P<host>[\d.]+|[\da-fA-F:]+)\](?::\d+)?: "
        r"SASL (LOGIN|PLAIN|(?:CRAM|DIGEST)-MD5) authentication failed:"
        r"(?! Connection lost to authentication server| Invalid authentication mechanism)"
    )

    def matched(self) -> list[str]:
        """The addresses that the filter would count, line by line."""
        found = []
        for line in self.log.splitlines():
            said = self.PREFIX.search(line[len("Nov 21 04:15:34 ") :])
            failed = said and self.FAILED.search(said["content"])
            if failed:
                found.append(failed["host"])
        return found

    def test_wrong_login_is_counted(self) -> None:
        """Once for each new wrong password, by either mechanism, for known and unknown logins."""
        self.client.say(f"AUTH PLAIN {plain('printer3', 'wrong')}")
        self.gateway.clock.advance(60)
        self.client.say("AUTH LOGIN", b64("nobody"), b64("wrong"))
        self.gateway.clock.advance(60)
        self.assertEqual(self.client.codes()[-1], "535")
        self.assertEqual(self.matched(), [HOST, HOST])
        self.assertIn(
            f"unknown[{HOST}]: SASL PLAIN authentication failed: the password is wrong, "
            "sasl_username=printer3\n",
            self.log,
        )

    def test_device_that_repeats_an_old_password_is_not_banned(self) -> None:
        """The second time it is logged with other words."""
        for _ in range(3):
            self.client.say(f"AUTH PLAIN {plain('printer3', 'old')}")
            self.gateway.clock.advance(60)
        self.assertEqual(self.matched(), [HOST])
        self.assertEqual(self.log.count("failed again with the same password"), 2)

    def test_nobody_gets_another_address_banned(self) -> None:
        """A login that looks like such a line is at its end, where nothing is looked for."""
        evil = "x]: unknown[198.51.100.1]: SASL PLAIN authentication failed: y"
        self.client.say(f"AUTH PLAIN {plain(evil)}", f"AUTH CRAM-MD5 {b64(evil)}")
        self.gateway.clock.advance(60)
        self.assertEqual(self.matched(), [HOST])

    def test_good_logins_and_other_refusals_are_not_counted(self) -> None:
        """Neither what came to no password."""
        self.client.say("AUTH CRAM-MD5", "AUTH PLAIN x", f"AUTH PLAIN {plain('printer3')}")
        self.assertEqual(self.matched(), [])

    def test_jail_names_our_program(self) -> None:
        """The jail that is shipped tells the filter which lines are ours."""
        jail = (Path(__file__).parents[2] / "etc" / "fail2ban.conf").read_text()
        self.assertIn('filter  = postfix[mode=auth, _daemon="m365gw/smtpd"]', jail)
