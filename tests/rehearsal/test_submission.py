"""Tests of the dialogue: greeting, EHLO, STARTTLS, AUTH, envelope."""

from __future__ import annotations

import base64
import json

from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.limits import Limits
from m365gw.rehearsal.tenant import Mailbox
from tests.rehearsal.dialogue import MESSAGE, RELAY, Service, xoauth2


class SessionTests(SynchronousTestCase):
    """From the greeting to QUIT."""

    def setUp(self) -> None:
        self.service = Service()

    def test_greeting_and_ehlo_say_that_this_is_a_rehearsal(self) -> None:
        """Nobody can mistake it for Microsoft."""
        dialogue = self.service.open()
        greeting = dialogue.heard()
        self.assertTrue(greeting.startswith("220 "), greeting)
        self.assertIn("rehearsal, not Microsoft", greeting)
        self.assertIn("rehearsal", dialogue.say("EHLO gateway.example").splitlines()[0])

    def test_ehlo_lists_before_and_after_tls(self) -> None:
        """AUTH is offered under TLS only, STARTTLS before it only, the rest always."""
        dialogue = self.service.open()
        before = set(dialogue.say("EHLO gateway.example").splitlines()[1:])
        dialogue.say("STARTTLS")
        after = set(dialogue.say("EHLO gateway.example").splitlines()[1:])
        self.assertEqual(before - after, {"250-STARTTLS"})
        self.assertEqual(after - before, {"250-AUTH LOGIN XOAUTH2"})
        self.assertLessEqual(
            {"250-SIZE 157286400", "250-PIPELINING", "250-CHUNKING", "250 SMTPUTF8"}, before
        )

    def test_octets_ahead_of_the_handshake_end_the_session(self) -> None:
        """Commands injected behind STARTTLS are never run."""
        dialogue = self.service.open()
        dialogue.say("EHLO gateway.example")
        self.assertEqual(dialogue.send(b"STARTTLS\r\nNOOP\r\n"), "")
        self.assertTrue(dialogue.is_closed)
        self.assertFalse(dialogue.wire.secured)

    def test_starttls_forgets_the_client(self) -> None:
        """After the handshake a new EHLO is needed."""
        dialogue = self.service.open()
        dialogue.say("EHLO gateway.example")
        dialogue.say("STARTTLS")
        self.assertTrue(dialogue.say("MAIL FROM:<relay@contoso.example>").startswith("503"))
        self.assertTrue(dialogue.say("AUTH XOAUTH2").startswith("500 5.3.3"))

    def test_unknown_commands_are_slow_and_end_the_session(self) -> None:
        """Five seconds for each, and after ten it is enough."""
        service = Service(limits=Limits())
        dialogue = service.open()
        for _ in range(10):
            self.assertEqual(dialogue.say("FOO"), "")
            service.clock.advance(5)
            self.assertTrue(dialogue.heard().startswith("500 5.3.3 Unrecognized command"))
        self.assertTrue(dialogue.say("FOO").startswith("421"))
        self.assertTrue(dialogue.is_closed)

    def test_commands_behind_a_slow_answer_wait(self) -> None:
        """The order of answers is the order of commands."""
        service = Service(limits=Limits())
        dialogue = service.open()
        self.assertEqual(dialogue.send(b"FOO\r\nNOOP\r\n"), "")
        service.clock.advance(5)
        codes = [line[:3] for line in dialogue.heard().splitlines()]
        self.assertEqual(codes, ["500", "250"])

    def test_flood_behind_a_slow_answer_is_not_read(self) -> None:
        """The client is paused until the answer has gone."""
        service = Service(limits=Limits())
        dialogue = service.open()
        dialogue.send(b"FOO\r\n" + b"NOOP\r\n" * 20_000)
        self.assertEqual(dialogue.wire.producerState, "paused")
        service.clock.advance(5)
        self.assertEqual(dialogue.wire.producerState, "producing")
        self.assertEqual(dialogue.heard().count("250 2.0.0"), 20_000)

    def test_idle_session_is_ended(self) -> None:
        """After five minutes of silence: 421 4.4.1."""
        dialogue = self.service.signed_in()
        self.service.clock.advance(301)
        self.assertTrue(dialogue.heard().startswith("421 4.4.1 Connection timed out"))
        self.assertTrue(dialogue.is_closed)

    def test_helo_gives_no_login(self) -> None:
        """Without EHLO there are no extensions, so no AUTH either."""
        dialogue = self.service.open().secure()
        dialogue.say("HELO gateway.example")
        self.assertTrue(dialogue.say("AUTH XOAUTH2").startswith("500"))

    def test_its_own_name_in_ehlo_is_refused(self) -> None:
        """A client that says it is the server is lying."""
        answer = self.service.open().say("EHLO rehearsal.outlook.office365.com")
        self.assertTrue(answer.startswith("554 5.7.506"), answer)

    def test_refusals_carry_the_tag(self) -> None:
        """Host, time and session id stand behind refusals, as Microsoft has it."""
        answer = self.service.open().say("FOO")
        self.assertRegex(answer, r" \[REHEARSAL\.namprd00\.prod\.outlook\.com \S+ [0-9A-F]{16}\]")

    def test_quit(self) -> None:
        """A polite end."""
        dialogue = self.service.open()
        self.assertTrue(dialogue.say("QUIT").startswith("221 2.0.0"))
        self.assertTrue(dialogue.is_closed)


class SignInTests(SynchronousTestCase):
    """AUTH."""

    def setUp(self) -> None:
        self.service = Service()
        self.dialogue = self.service.open().secure()

    def test_two_steps(self) -> None:
        """An empty challenge, the response, 235."""
        self.assertEqual(self.dialogue.say("AUTH XOAUTH2"), "334 \r\n")
        answer = self.dialogue.say(xoauth2(RELAY, self.service.token()))
        self.assertTrue(answer.startswith("235 2.7.0"), answer)

    def test_initial_response_is_taken(self) -> None:
        """One line works too, though it is longer than the standard allows, which is noted."""
        answer = self.dialogue.say("AUTH XOAUTH2 " + xoauth2(RELAY, self.service.token()))
        self.assertTrue(answer.startswith("235"), answer)
        self.dialogue.mail()
        complaints = self.service.record.messages()[0].complaints
        self.assertEqual(complaints, ("an AUTH line of more than 512 octets",))

    def test_long_token_is_taken(self) -> None:
        """Tokens of nine thousand characters fit."""
        self.service.tenant.token_length = 9000
        answer = self.dialogue.sign_in(RELAY, self.service.token())
        self.assertTrue(answer.startswith("235"), answer)

    def test_malformed_responses_are_refused(self) -> None:
        """Bad base64, missing separators and control characters are no login."""
        good = f"user={RELAY}\x01auth=Bearer {self.service.token()}\x01\x01"
        for text in (good[:-1], good.replace("Bearer ", ""), good.replace("user=", ""), good + "x"):
            self.dialogue.say("AUTH XOAUTH2")
            answer = self.dialogue.say(base64.b64encode(text.encode()).decode())
            self.assertTrue(answer.startswith("535 5.7.3"), answer)
        self.dialogue.say("AUTH XOAUTH2")
        self.assertTrue(self.dialogue.say("no base64!").startswith("535 5.7.3"))

    def test_cancel(self) -> None:
        """A star ends the exchange."""
        self.dialogue.say("AUTH XOAUTH2")
        self.assertTrue(self.dialogue.say("*").startswith("501"))

    def test_second_login_is_refused(self) -> None:
        """One login a session (RFC 4954 4)."""
        self.dialogue.sign_in(RELAY, self.service.token())
        self.assertTrue(self.dialogue.say("AUTH XOAUTH2").startswith("503"))

    def test_password_is_refused(self) -> None:
        """LOGIN is offered, asked for, and refused: basic authentication is off."""
        self.assertEqual(self.dialogue.say("AUTH LOGIN"), "334 VXNlcm5hbWU6\r\n")
        self.assertEqual(self.dialogue.say("eA=="), "334 UGFzc3dvcmQ6\r\n")
        self.assertIn("basic authentication is disabled", self.dialogue.say("eA=="))

    def test_other_mechanisms_are_unknown(self) -> None:
        """PLAIN is not offered by Microsoft."""
        self.assertTrue(self.dialogue.say("AUTH PLAIN AHgAeA==").startswith("504 5.7.4"))

    def test_auth_before_tls_is_unknown(self) -> None:
        """Without TLS the command does not exist."""
        dialogue = self.service.open()
        dialogue.say("EHLO gateway.example")
        self.assertTrue(dialogue.say("AUTH XOAUTH2").startswith("500 5.3.3"))

    def test_refusal_takes_its_time(self) -> None:
        """A failed login is answered after five seconds."""
        self.service.limits.tarpit_seconds = 5.0
        self.assertEqual(self.dialogue.sign_in(RELAY, "wrong"), "")
        self.service.clock.advance(5)
        self.assertTrue(self.dialogue.heard().startswith("535 5.7.3"))

    def test_error_challenge(self) -> None:
        """When so switched, the error comes as a challenge first, as Google does it."""
        self.service.tenant.error_challenge = True
        challenge = self.dialogue.sign_in(RELAY, "wrong")
        self.assertEqual(json.loads(base64.b64decode(challenge[4:]))["status"], "401")
        self.assertTrue(self.dialogue.send(b"\r\n").startswith("535"))


class EnvelopeTests(SynchronousTestCase):
    """MAIL and RCPT."""

    def setUp(self) -> None:
        self.service = Service()
        self.dialogue = self.service.signed_in()

    def test_no_mail_without_login(self) -> None:
        """530 5.7.57 before AUTH, with TLS or without."""
        dialogue = self.service.open()
        dialogue.say("EHLO gateway.example")
        answer = dialogue.say("MAIL FROM:<relay@contoso.example>")
        self.assertTrue(answer.startswith("530 5.7.57"), answer)
        answer = self.service.open().secure().say("MAIL FROM:<relay@contoso.example>")
        self.assertTrue(answer.startswith("530 5.7.57"), answer)

    def test_order_is_demanded(self) -> None:
        """RCPT without MAIL, MAIL twice, DATA without recipients."""
        self.assertTrue(self.dialogue.say("RCPT TO:<b@x.example>").startswith("503"))
        self.assertTrue(self.dialogue.say("DATA").startswith("503"))
        self.dialogue.say(f"MAIL FROM:<{RELAY}>")
        self.assertTrue(self.dialogue.say(f"MAIL FROM:<{RELAY}>").startswith("503"))
        self.assertTrue(self.dialogue.say("DATA").startswith("503"))

    def test_senders(self) -> None:
        """Own address, alias and Send As go; others and the null sender do not."""
        for sender, code in (
            ("Relay@Contoso.example", "250"),
            ("scanner@contoso.example", "250"),
            ("fax7@devices.contoso.example", "250"),
            ("alice@contoso.example", "550 5.7.60"),
            ("", "550 5.7.60"),
        ):
            answer = self.dialogue.say(f"MAIL FROM:<{sender}>")
            self.assertTrue(answer.startswith(code), (sender, answer))
            self.dialogue.say("RSET")

    def test_declared_size_is_looked_at(self) -> None:
        """The limit of the mailbox holds, not the one EHLO says."""
        answer = self.dialogue.say(f"MAIL FROM:<{RELAY}> SIZE=36700161")
        self.assertTrue(answer.startswith("552 5.3.4"), answer)
        self.assertTrue(self.dialogue.say(f"MAIL FROM:<{RELAY}> SIZE=36700160").startswith("250"))

    def test_blocked_sender(self) -> None:
        """A restricted entity may not send."""
        self.service.tenant.change_mailbox(RELAY, blocked=True)
        self.assertTrue(self.dialogue.say(f"MAIL FROM:<{RELAY}>").startswith("550 5.1.8"))

    def test_too_many_recipients(self) -> None:
        """452 at RCPT above the limit; those before stay."""
        self.service.limits.recipients_at_rcpt = 2
        self.dialogue.say(f"MAIL FROM:<{RELAY}>")
        answers = [self.dialogue.say(f"RCPT TO:<b{n}@x.example>")[:9] for n in range(3)]
        self.assertEqual(answers, ["250 2.1.5", "250 2.1.5", "452 4.5.3"])

    def test_pipelined_envelope(self) -> None:
        """Several commands in one piece are answered in one piece, in order."""
        answers = self.dialogue.send(
            b"MAIL FROM:<relay@contoso.example>\r\nRCPT TO:<bad>\r\n"
            b"RCPT TO:<b@x.example>\r\nDATA\r\n"
        )
        codes = [line[:3] for line in answers.splitlines()]
        self.assertEqual(codes, ["250", "501", "250", "354"])
        self.assertTrue(self.dialogue.send(MESSAGE + b".\r\n").startswith("250 2.0.0 OK"))

    def test_mailbox_that_vanishes_is_not_logged_in(self) -> None:
        """A mailbox deleted meanwhile sends no more."""
        del self.service.tenant.mailboxes[RELAY]
        self.assertTrue(self.dialogue.say(f"MAIL FROM:<{RELAY}>").startswith("530"))

    def test_session_outlives_its_token_unless_switched(self) -> None:
        """It is not known what Microsoft does; both can be rehearsed."""
        self.service.tenant.token_lifetime = 100.0
        dialogue = self.service.signed_in()
        self.service.clock.advance(100)
        self.assertTrue(dialogue.say(f"MAIL FROM:<{RELAY}>").startswith("250"))
        dialogue.say("RSET")
        self.service.tenant.sessions_end_with_token = True
        self.assertTrue(dialogue.say(f"MAIL FROM:<{RELAY}>").startswith("530 5.7.57"))

    def test_messages_of_one_connection_may_be_bounded(self) -> None:
        """When so set, the connection ends after some messages."""
        self.service.limits.messages_per_connection = 1
        self.dialogue.mail()
        self.assertTrue(self.dialogue.say(f"MAIL FROM:<{RELAY}>").startswith("421 4.4.2"))


class MailboxTests(SynchronousTestCase):
    """Which token opens which mailbox."""

    def setUp(self) -> None:
        self.service = Service()

    def outcome(self, mailbox: str, token: str) -> str:
        """The answer to a login on a new connection."""
        return self.service.open().secure().sign_in(mailbox, token)

    def assert_refused(self, mailbox: str, token: str, answer: str = "535 5.7.3 ") -> None:
        """The login fails with this answer."""
        self.assertTrue(self.outcome(mailbox, token).startswith(answer))

    def test_expired_and_revoked_tokens(self) -> None:
        """A token ends by time or by revocation."""
        token = self.service.token()
        self.service.clock.advance(4501)
        self.assert_refused(RELAY, token)
        token = self.service.token()
        self.service.tokens.revoke_access()
        self.assert_refused(RELAY, token)

    def test_wrong_audience(self) -> None:
        """A token for Graph opens no mailbox at SMTP."""
        self.assert_refused(RELAY, self.service.token(audience="https://graph.microsoft.com"))

    def test_app_without_permission(self) -> None:
        """A token is issued all the same; it is good for nothing."""
        self.assert_refused(RELAY, self.service.token(permissions=()))

    def test_app_without_right_on_the_mailbox(self) -> None:
        """The permission in Entra is not the right in Exchange."""
        self.assert_refused("alice@contoso.example", self.service.token())

    def test_alias_is_no_login(self) -> None:
        """The user is the primary address."""
        self.assert_refused("scanner@contoso.example", self.service.token())

    def test_unlicensed_mailbox(self) -> None:
        """No licence, no login."""
        self.service.tenant.change_mailbox(RELAY, licensed=False)
        self.assert_refused(RELAY, self.service.token())

    def test_users_and_shared_mailboxes(self) -> None:
        """A user opens the own mailbox and those with full access, no other."""
        token = self.service.token("alice@contoso.example", permissions=("SMTP.Send",))
        self.assertTrue(self.outcome("alice@contoso.example", token).startswith("235"))
        self.assertTrue(self.outcome("shared@contoso.example", token).startswith("235"))
        self.assert_refused(RELAY, token)
        without = self.service.token("alice@contoso.example", permissions=("IMAP",))
        self.assert_refused("alice@contoso.example", without)

    def test_switches_of_the_admin(self) -> None:
        """Each policy has its own words; the mailbox's setting wins over the tenant's."""
        token, tenant = self.service.token(), self.service.tenant
        tenant.smtp_auth_disabled = True
        self.assertIn("disabled for the Tenant", self.outcome(RELAY, token))
        tenant.change_mailbox(RELAY, smtp_auth_disabled=False)
        self.assertTrue(self.outcome(RELAY, token).startswith("235"))
        tenant.change_mailbox(RELAY, smtp_auth_disabled=True)
        self.assertIn("disabled for the Mailbox", self.outcome(RELAY, token))
        tenant.change_mailbox(RELAY, smtp_auth_disabled=False)
        tenant.security_defaults = True
        self.assertIn("security defaults", self.outcome(RELAY, token))
        tenant.security_defaults, tenant.conditional_access = False, True
        self.assertIn("did not meet the criteria", self.outcome(RELAY, token))

    def test_roles_in_exchange_instead_of_entra(self) -> None:
        """RBAC for Applications opens the mailboxes of its scope without a role in the token."""
        service = self.service
        service.tenant.add_mailbox(Mailbox(address="fax@contoso.example"))
        service.tenant.change_app(
            next(iter(service.tenant.apps)), rbac=True, mailboxes=("fax@*",), roles=frozenset()
        )
        token = service.token(permissions=())
        self.assertTrue(self.outcome("fax@contoso.example", token).startswith("235"))
        self.assert_refused(RELAY, token)
