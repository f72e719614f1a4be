"""Replies of Microsoft and the reactions to them: each known answer, then the rules of order."""

from collections.abc import Iterator

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.reactions import Action, Reaction, Scope
from m365gw.microsoft.replies import DEFAULTS, ROWS, Phase, diagnose, gist, react, strip_tag
from m365gw.microsoft.rows import BEFORE_MAIL
from m365gw.smtp.replies import Reply
from m365gw.smtp.reply_reader import ReplyReader

TAG = " [AM0PR01CA0001.eurprd01.prod.outlook.com 2026-11-21T04:46:00.123Z 08DE2A1B2C3D4E5F]"
STORE = "554 5.2.0 STOREDRV.Submission.Exception:"


def answer(wire: str) -> Reply:
    """The reply a server gives by this line, with Microsoft's tag; "lost: ..." is no reply."""
    if wire.startswith("lost: "):
        return Reply(0, "", wire.removeprefix("lost: "))
    [reply] = ReplyReader().feed(f"{wire}{TAG}\r\n".encode())
    return reply


def chain(reaction: Reaction) -> Iterator[Reaction]:
    """A reaction and all it leads to."""
    yield reaction
    if reaction.then is not None:
        yield from chain(reaction.then)


def shape(reaction: Reaction) -> str:
    """The chain in short: "stop mailbox 30 > hold mailbox 3600"."""
    return " > ".join(
        f"{each.action.value} {each.scope.value} {each.seconds:g}" for each in chain(reaction)
    )


# What Reaction shapes the keys of the facts stand for.
R = "retry message 0"
FAST = "retry-fast message 5 > retry message 0"
C = "fewer-connections mailbox 5"
HOLD_A = "hold mailbox 3600"
HOLD_S = "hold sender 3600"
HOLD_T = "hold tenant 3600"
AUTH = "refresh-token mailbox 0 > hold mailbox 3600"
B = "bounce message 0"
B2 = "bounce-if-repeated message 0 > bounce message 0"
SPLIT = "split message 0 > retry message 0"
HOST_60 = "stop host 60"
REFUSED = "stop host 300 > stop host 300"

CONNECTING = (
    (Phase.CONNECT, "lost: Connection was refused by other side", HOST_60, "host-unreachable"),
    (Phase.EHLO, "lost: Connection was closed", HOST_60, "host-unreachable"),
    (Phase.TLS, "lost: TLS alert: handshake failure", HOST_60, "host-unreachable"),
    (Phase.EHLO, "lost: STARTTLS is not offered", "stop host 300", "starttls-missing"),
    (Phase.EHLO, "lost: AUTH XOAUTH2 is not offered", "stop host 300", "xoauth2-missing"),
    (Phase.TLS, "lost: certificate verify failed", "stop host 300", "certificate-refused"),
    (Phase.CONNECT, "421 4.3.2 Service not active", "retry-fast host 5", "host-draining"),
    (Phase.AUTH, "421 4.3.2 Service not active", "retry-fast host 5", "host-draining"),
    (
        Phase.CONNECT,
        "421 4.3.2 The maximum number of concurrent server connections has exceeded a limit,"
        " closing transmission channel",
        HOST_60,
        "host-connections",
    ),
    (
        Phase.CONNECT,
        "421 4.3.2 The maximum number of concurrent connections has exceeded a limit",
        HOST_60,
        "host-connections",
    ),
    (
        Phase.AUTH,
        "421 4.7.66 TLS 1.0 and 1.1 are not supported. Visit https://aka.ms/smtp_auth_tls",
        HOLD_A,
        "tls-too-old",
    ),
    (
        Phase.TLS,
        "550 5.7.67 TLS 1.0 and 1.1 are not supported by your organization",
        HOLD_A,
        "tls-too-old",
    ),
    (Phase.EHLO, "550 5.7.506 Access Denied, Bad HELO", "stop host 300", "helo-refused"),
    (Phase.EHLO, "501 5.5.4 Invalid domain name", "stop host 300", "helo-refused"),
    (Phase.EHLO, "554 Go away", "stop host 300", "helo-refused"),
    (Phase.CONNECT, "450 4.9.9 Later", HOST_60, "connecting-temporary"),
    (Phase.TLS, "454 4.7.0 TLS not available", HOST_60, "connecting-temporary"),
    (Phase.CONNECT, "554 5.9.9 No", REFUSED, "unknown-connecting-refused"),
)

SIGNING_IN = (
    ("535 5.7.3 Authentication unsuccessful", AUTH, "auth-unsuccessful"),
    ("334 eyJzdGF0dXMiOiI0MDAifQ==", AUTH, "auth-unsuccessful"),
    ("535 Authentication failed", AUTH, "auth-unsuccessful"),
    (
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the"
        " Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.",
        HOLD_T,
        "smtp-auth-disabled-tenant",
    ),
    (
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the"
        " Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information.",
        HOLD_A,
        "smtp-auth-disabled-mailbox",
    ),
    (
        "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security"
        " defaults policy.",
        HOLD_T,
        "security-defaults",
    ),
    (
        "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be"
        " authenticated successfully. Contact your administrator.",
        HOLD_A,
        "auth-criteria",
    ),
    ("535 5.7.139 Authentication unsuccessful, something new", HOLD_A, "auth-criteria"),
    (
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        HOLD_A,
        "password-refused",
    ),
    (
        "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
        HOLD_A,
        "password-refused",
    ),
    (
        "535 5.7.139 Authentication unsuccessful, the federated STS service was unreachable",
        "stop mailbox 300",
        "federation-unreachable",
    ),
    (
        "535 5.7.139 Authentication unsuccessful, the federated STS endpoint does not support"
        " HTTPS",
        HOLD_A,
        "federation-not-https",
    ),
    (
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        HOLD_A,
        "password-refused",
    ),
    ("550 5.7.30 Not like this", HOLD_A, "password-refused"),
    (
        "451 4.7.0 Temporary server error. Please try again later. PRX4",
        "stop mailbox 30 > refresh-token mailbox 0 > stop mailbox 30 > hold mailbox 3600",
        "mailbox-proxy-error",
    ),
    ("454 4.7.0 Temporary authentication failure", "stop mailbox 30", "auth-temporary"),
    (
        "421 4.3.111 Temporary server error. Please try again later. MRH1",
        "retry-fast mailbox 5",
        "auth-server-blip",
    ),
    ("421 Closing", "retry-fast mailbox 5", "auth-server-blip"),
    ("501 5.5.124 Invalid XOAUTH2 auth data", AUTH, "xoauth2-malformed"),
    (
        "501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon",
        AUTH,
        "token-expires-soon",
    ),
    ("501 5.5.127 Too old", AUTH, "token-expires-soon"),
    ("500 5.3.3 Unrecognized command", AUTH, "auth-unrecognized"),
    ("500 What?", AUTH, "auth-unrecognized"),
    ("504 5.7.4 Unrecognized authentication type", HOLD_A, "xoauth2-not-offered"),
    ("504 Unrecognized authentication type", HOLD_A, "xoauth2-not-offered"),
    ("450 4.9.9 Later", "stop mailbox 30", "auth-temporary"),
    ("550 5.9.9 Never", AUTH, "unknown-auth-refused"),
    ("lost: Connection was closed", "stop mailbox 30", "auth-connection-lost"),
)

AT_MAIL = (
    ("530 5.7.57 SMTP; Client not authenticated to send mail", AUTH, "session-not-signed-in"),
    (
        "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM",
        AUTH,
        "session-not-signed-in",
    ),
    ("530 5.7.0 Authentication required", AUTH, "session-not-signed-in"),
    (
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        HOLD_S,
        "send-as-denied",
    ),
    ("550 5.7.60 No", HOLD_S, "send-as-denied"),
    ("550 5.1.8 Access denied, bad outbound sender", HOLD_A, "mailbox-restricted"),
    (
        "552 5.3.4 Message size exceeds fixed maximum message size",
        B,
        "message-too-large",
    ),
    ("550 5.7.501 Access denied, spam abuse detected", HOLD_A, "sender-banned"),
    ("550 5.7.502 Access denied, banned sender", HOLD_A, "sender-banned"),
    ("550 5.7.503 Access denied, banned sender", HOLD_A, "sender-banned"),
    ("550 5.7.511 Access denied, banned sender", HOLD_A, "sender-banned"),
    (
        "550 5.7.508 Access denied, [10.1.2.3] has exceeded permitted limits",
        "stop host 3600",
        "ip-banned",
    ),
    ("550 5.7.606 Access denied, banned sending IP [10.1.2.3]", "stop host 3600", "ip-banned"),
    ("550 5.7.649 Access denied, banned sending IP [10.1.2.3]", "stop host 3600", "ip-banned"),
    ("550 5.7.705 Access denied, tenant has exceeded threshold", HOLD_T, "tenant-blocked"),
    ("550 5.7.700 Access denied, tenant has exceeded threshold", HOLD_T, "tenant-blocked"),
    ("550 5.7.749 Access denied, tenant has exceeded threshold", HOLD_T, "tenant-blocked"),
    (
        "550 5.7.708 Access denied, traffic not accepted from this IP",
        HOLD_T,
        "tenant-ip-not-accepted",
    ),
    (
        "550 5.7.750 Access denied, unregistered sending domain",
        HOLD_S,
        "sender-domain-unregistered",
    ),
    ("501 5.1.7 Invalid address", B, "sender-address-invalid"),
    ("503 5.5.1 Bad sequence of commands", R, "dialogue-out-of-step"),
)

AT_RCPT = (
    ("501 5.1.3 Invalid address", B, "recipient-address-invalid"),
    ("550 5.1.3 Invalid address", B, "recipient-address-invalid"),
    ("550 5.1.1 User unknown", B, "recipient-unknown"),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found", B, "recipient-unknown"),
    ("550 5.4.1 Recipient address rejected: Access denied", B, "recipient-unknown"),
    ("452 4.5.3 Too many recipients", SPLIT, "too-many-recipients"),
    ("452 Too many recipients", SPLIT, "too-many-recipients"),
    ("550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients", SPLIT, "too-many-recipients"),
    ("550 5.5.3 too many recipients", SPLIT, "too-many-recipients"),
    ("550 5.7.504 Recipient address banned", B, "recipient-refuses"),
    ("550 5.7.505 Access denied, banned recipient", B, "recipient-refuses"),
    ("550 5.7.507 Access denied, rejected by recipient", B, "recipient-refuses"),
    ("550 5.7.510 Access denied, ...does not accept email", B, "recipient-refuses"),
    (
        "550 5.5.105 External sending is not supported for High Volume Email accounts",
        B,
        "high-volume-external",
    ),
    ("550 5.7.1 Unable to relay", HOLD_A, "unable-to-relay"),
    ("450 4.1.1 Later", R, "unknown-temporary"),
    ("550 5.9.9 No", B2, "unknown-refused"),
)

AT_DATA = (
    ("250 2.0.0 OK <1@contoso.com> [Hostname=X.prod.outlook.com]", "done message 0", "accepted"),
    (
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending"
        " for more information.",
        C,
        "mailbox-connections",
    ),
    (
        "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
        C,
        "mailbox-connections",
    ),
    ("432 4.3.2 Something new", C, "mailbox-connections"),
    (
        "451 4.4.2 Message submission rate for this client has exceeded the configured limit",
        "stop mailbox 60",
        "mailbox-rate",
    ),
    (
        "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
        "stop mailbox 60",
        "mailbox-rate",
    ),
    (
        "450 4.5.127 Message rejected. Excessive message rate from sender. Visit"
        " https://aka.ms/EXOSmtpErrors",
        "stop mailbox 60",
        "mailbox-rate",
    ),
    ("450 4.5.0 excessive message rate from sender to recipient", R, "recipient-pair-rate"),
    (
        "451 4.7.500 Server busy. Please try again later from [10.1.2.3]. (S77719)",
        "stop host 300",
        "ip-throttled",
    ),
    ("451 4.7.699 Server busy", "stop host 300", "ip-throttled"),
    ("451 4.7.850 Server busy", "stop host 300", "ip-throttled"),
    ("451 4.3.2 Try later", R, "service-busy"),
    ("452 4.3.1 Insufficient system resources", R, "service-busy"),
    ("451 4.3.1 Insufficient system resources", R, "service-busy"),
    ("554 4.3.2 mailbox busy", "stop mailbox 60", "mailbox-server-busy"),
    (
        "554 4.3.2 STOREDRV.Deliver; the mailbox server is too busy",
        "stop mailbox 60",
        "mailbox-server-busy",
    ),
    (
        "430 4.2.0 STOREDRV; mailbox logon failure; mailbox server is offline; Failed to process"
        " message due to a transient exception with message Cannot open mailbox."
        " ConnectionFailedTransientException.MapiExceptionLogonFailed: Unable to open the store",
        "retry message 0 > hold mailbox 3600",
        "mailbox-logon-failure",
    ),
    ("430 4.2.0 Something new", "retry message 0 > hold mailbox 3600", "mailbox-logon-failure"),
    (
        STORE + "SubmissionQuotaExceededException.MapiExceptionSubmissionQuotaExceeded: Unable to"
        " submit message. 16.55847:E1000000",
        "stop mailbox 3600",
        "mailbox-quota",
    ),
    (
        "550 5.1.90 Your message can't be sent because you've reached your daily limit for"
        " message recipients",
        "stop mailbox 3600",
        "mailbox-quota",
    ),
    ("550 5.1.90 Enough", "stop mailbox 3600", "mailbox-quota"),
    ("550 5.1.90 STOREDRV.Submit; enough", "stop mailbox 3600", "mailbox-quota"),
    (
        "554 5.2.2 Submission quota exceeded",
        "stop mailbox 120 > stop mailbox 3600",
        "mailbox-submission-quota",
    ),
    ("554 5.2.2 Something", "stop mailbox 120 > stop mailbox 3600", "mailbox-submission-quota"),
    ("554 5.2.2 mailbox full", HOLD_A, "mailbox-full"),
    (
        STORE + "QuotaExceededException.MapiExceptionShutoffQuotaExceeded: Unable to submit",
        HOLD_A,
        "mailbox-full",
    ),
    (
        STORE + "SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due"
        " to a permanent exception with message Cannot submit message",
        "retry message 0 > hold sender 3600",
        "send-as-denied",
    ),
    (
        "554 5.2.252 SendAsDenied; a@contoso.com not allowed to send as b@contoso.com",
        "retry message 0 > hold sender 3600",
        "send-as-denied",
    ),
    ("554 5.2.252 Something", "retry message 0 > hold sender 3600", "send-as-denied"),
    *(
        (
            STORE + "OutboundSpamException; Failed to process message due to a permanent exception"
            f" with message WASCL UserAction verdict is not None. Actual verdict is {verdict}",
            expected,
            key,
        )
        for verdict, expected, key in (
            ("RefuseQuota", "stop mailbox 86400", "personal-quota"),
            ("HipSend", HOLD_A, "personal-proof-needed"),
            ("HipNotify", HOLD_A, "personal-proof-needed"),
            ("ShowTierUpgrade", HOLD_A, "personal-proof-needed"),
            ("Suspend", HOLD_A, "personal-suspended"),
            ("TransientError", R, "store-transient"),
        )
    ),
    (STORE + "StorageTransientException; x", R, "store-transient"),
    ("550 5.1.8 Access denied, bad outbound sender", HOLD_A, "mailbox-restricted"),
    ("550 5.7.501 Access denied", HOLD_A, "sender-banned"),
    ("550 5.7.511 Access denied", HOLD_A, "sender-banned"),
    ("550 5.7.705 Access denied", HOLD_T, "tenant-blocked"),
    ("550 5.7.708 Access denied", HOLD_T, "tenant-ip-not-accepted"),
    ("550 5.7.750 Access denied", HOLD_S, "sender-domain-unregistered"),
    ("550 5.7.232 Trial tenant limit", "stop tenant 3600", "tenant-quota"),
    ("550 5.7.233 Tenant limit", "stop tenant 3600", "tenant-quota"),
    (
        "550 5.7.703 Your message can't be delivered because one or more recipients are blocked",
        "split message 0 > bounce message 0",
        "recipient-blocked-by-tenant",
    ),
    (
        "550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy",
        B,
        "transport-rule",
    ),
    ("550 5.7.900 Rule", B, "transport-rule"),
    ("550 5.7.999 Rule", B, "transport-rule"),
    ("552 5.3.4 Message size exceeds fixed maximum message size", B, "message-too-large"),
    ("554 5.2.3 Message too large", B, "message-too-large"),
    ("552 5.2.3 Message too large", B, "message-too-large"),
    ("552 Too much", B, "message-too-large"),
    (
        "554 5.6.211 Invalid MIME Content: Single text value size (32820) exceeded allowed maximum"
        " (32768).",
        B2,
        "message-malformed",
    ),
    ("554 5.6.0 Corrupt message content", B2, "message-malformed"),
    ("550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal", B2, "bare-line-feed"),
    (
        "550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant",
        B,
        "from-missing",
    ),
    ("554 5.4.14 Hop count exceeded - possible mail loop", B, "mail-loop"),
    ("554 5.4.6 Hop count exceeded", B, "mail-loop"),
    ("550 5.2.121 Recipient's mailbox is over its limit", R, "recipient-rate"),
    ("550 5.2.122 Recipient's mailbox is over its limit", R, "recipient-rate"),
    ("451 5.9.9 Hm", R, "unknown-mixed-classes"),
    ("550 4.9.9 Hm", R, "unknown-mixed-classes"),
    ("554 5.2.0 STOREDRV.Submit; unheard of", B2, "unknown-store-error"),
    ("554 5.9.9 Exception:UnheardOf", B2, "unknown-store-error"),
    ("554 5.9.9 No", B2, "unknown-refused"),
    ("554 No", B2, "unknown-refused"),
    ("421 4.4.1 Connection timed out", FAST, "session-closed"),
    ("421 4.3.2 Service not active", FAST, "session-closed"),
    ("450 4.9.9 Later", R, "unknown-temporary"),
    ("lost: Connection was closed", FAST, "connection-lost"),
)

FOR_A_CONNECTOR = (
    ("550 5.7.64 TenantAttribution; Relay Access Denied", HOLD_A, "connector-unknown"),
    ("550 5.7.64 Relay Access Denied", HOLD_A, "connector-unknown"),
    (
        "550 5.7.51 TenantInboundAttribution; There is a partner connector configured that matched"
        " the message's recipient domain. The connector had either the"
        " RestrictDomainsToIPAddresses or RestrictDomainsToCertificate set",
        HOLD_A,
        "connector-restricted",
    ),
    ("550 5.7.51 Rejecting", HOLD_A, "connector-restricted"),
    (
        "550 5.7.68 TenantInboundAttribution; Direct Send not allowed for this organization from"
        " unauthorized sources",
        HOLD_A,
        "direct-send-refused",
    ),
    ("550 5.7.68 Rejecting", HOLD_A, "direct-send-refused"),
    ("451 4.4.62 Mail sent to the wrong Office 365 region. ATTR35", HOLD_A, "connector-region"),
    (
        "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus",
        "stop host 3600",
        "address-listed",
    ),
)

CASES = (
    *CONNECTING,
    *((Phase.AUTH, *case) for case in SIGNING_IN),
    *((Phase.MAIL, *case) for case in AT_MAIL),
    *((Phase.RCPT, *case) for case in (*AT_RCPT, *FOR_A_CONNECTOR)),
    *((Phase.DATA, *case) for case in AT_DATA),
)

# 5yz that heal by themselves or when somebody acts: the summary of the facts.
NEVER_BOUNCE = (
    STORE + "SubmissionQuotaExceededException",
    "550 5.1.90 x",
    "550 5.7.232 x",
    "550 5.7.233 x",
    STORE + "OutboundSpamException; Actual verdict is RefuseQuota",
    "550 5.2.121 x",
    "550 5.2.122 x",
    "554 4.3.2 x",
    STORE + "AnyTransientException",
    "550 5.5.3 too many recipients",
    "530 5.7.57 x",
    "550 5.1.8 x",
    "550 5.7.501 x",
    "550 5.7.502 x",
    "550 5.7.503 x",
    "550 5.7.511 x",
    STORE + "OutboundSpamException; Actual verdict is HipSend",
    STORE + "OutboundSpamException; Actual verdict is Suspend",
    "554 5.2.2 mailbox full",
    "550 5.7.60 x",
    STORE + "SendAsDeniedException",
    "554 5.2.252 x",
    "550 5.7.750 x",
    "550 5.7.1 Unable to relay",
    "550 5.7.705 x",
    "550 5.7.708 x",
    "550 5.7.64 x",
    "550 5.7.51 x",
    "550 5.7.68 x",
    "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus",
)


class KnownAnswerTests(SynchronousTestCase):
    """Each row of the facts, by a sample of the server's own words."""

    def test_each_answer_has_its_reaction(self) -> None:
        """The sample, with Microsoft's tag behind it, gives the reaction and the diagnosis."""
        for phase, wire, expected, key in CASES:
            with self.subTest(phase=phase.value, wire=wire):
                reaction = react(phase, answer(wire))
                self.assertEqual((shape(reaction), reaction.diagnosis.key), (expected, key))

    def test_each_row_is_reached(self) -> None:
        """No row hides behind another one: each is the reaction to some sample."""
        reached = {id(react(phase, answer(wire))) for phase, wire, *_ in CASES}
        for row in ROWS:
            with self.subTest(row=row):
                self.assertIn(id(row.reaction), reached)

    def test_letter_case_does_not_matter(self) -> None:
        """Microsoft changes capitals now and then."""
        for phase, wire, _, key in CASES:
            with self.subTest(wire=wire):
                reply = answer(wire)
                shouted = Reply(reply.code, reply.status, reply.text.upper())
                self.assertEqual(react(phase, shouted).diagnosis.key, key)

    def test_what_is_not_permanent_never_bounces(self) -> None:
        """5yz that are a quota, a switch, a right or a block lead to no bounce, however often."""
        for wire in NEVER_BOUNCE:
            with self.subTest(wire=wire):
                self.assertFalse(react(Phase.DATA, answer(wire)).may_bounce)


class DiagnosisTests(SynchronousTestCase):
    """The words of the tables."""

    def reactions(self) -> Iterator[Reaction]:
        for row in ROWS:
            yield from chain(row.reaction)
        for defaults in DEFAULTS.values():
            for first in (defaults.lost, defaults.temporary, defaults.permanent):
                yield from chain(first)

    def test_each_says_what_why_and_what_to_do(self) -> None:
        """All four sentences are there, end as sentences, and a key means one thing only."""
        known: dict[str, object] = {}
        for reaction in self.reactions():
            diagnosis = reaction.diagnosis
            with self.subTest(key=diagnosis.key):
                self.assertRegex(diagnosis.key, r"\A[a-z0-9]+(-[a-z0-9]+)+\Z|\Aaccepted\Z")
                self.assertIs(known.setdefault(diagnosis.key, diagnosis), diagnosis)
                for sentence in (diagnosis.what, diagnosis.why):
                    self.assertTrue(sentence.endswith("."))
                self.assertTrue(len(diagnosis.fix) > 5)

    def test_what_somebody_must_mend_opens_an_incident(self) -> None:
        """A hold always alarms, and names someone who can end it."""
        for reaction in self.reactions():
            if reaction.action is Action.HOLD:
                with self.subTest(key=reaction.diagnosis.key):
                    self.assertTrue(reaction.alarm)
                    self.assertNotIn(reaction.diagnosis.who, ("nobody", "sender"))


class OrderTests(SynchronousTestCase):
    """Which rule wins when several could."""

    def test_the_phase_comes_first(self) -> None:
        """The same words before MAIL FROM concern the host or the mailbox, later the message."""
        reply = answer("554 5.7.1 TRANSPORT.RULES.RejectMessage")
        self.assertIs(react(Phase.DATA, reply).action, Action.BOUNCE)
        self.assertIs(react(Phase.CONNECT, reply).scope, Scope.HOST)
        self.assertIs(react(Phase.AUTH, reply).scope, Scope.MAILBOX)

    def test_words_come_before_the_status(self) -> None:
        """5.2.3 means too large, but not when the text says that the quota is used up."""
        reply = answer("554 5.2.3 SubmissionQuotaExceededException")
        self.assertEqual(react(Phase.DATA, reply).diagnosis.key, "mailbox-quota")

    def test_the_status_comes_before_the_code(self) -> None:
        """530 means sign in, but not with the status of a quota."""
        reply = answer("530 5.1.90 x")
        self.assertEqual(react(Phase.DATA, reply).diagnosis.key, "mailbox-quota")

    def test_a_temporary_status_beats_a_permanent_code(self) -> None:
        """Enhanced class wins over basic class when they differ, also where a row would bounce."""
        self.assertEqual(
            react(Phase.DATA, answer("552 4.3.4 too large")).diagnosis.key, "unknown-mixed-classes"
        )
        self.assertFalse(
            react(Phase.DATA, answer("550 4.2.0 TRANSPORT.RULES.RejectMessage")).may_bounce
        )

    def test_a_permanent_status_does_not_beat_a_temporary_code(self) -> None:
        """451 5.1.1 is unclear, and what is unclear is temporary."""
        reaction = react(Phase.RCPT, answer("451 5.1.1 unknown"))
        self.assertEqual(shape(reaction), R)

    def test_unknown_refusal_bounces_only_if_repeated_ten_minutes_later(self) -> None:
        """Neither the first answer, nor a quick second, nor a late one alone ends a message."""
        reaction = react(Phase.DATA, answer("554 5.9.9 No"))
        due = {
            (times, since): reaction.after(times, since).action
            for times, since in (
                (1, 0.0),
                (1, 9999.0),
                (2, 0.0),
                (2, 599.0),
                (2, 600.0),
                (7, 599.0),
                (7, 600.0),
            )
        }
        self.assertEqual(
            {key for key, action in due.items() if action is Action.BOUNCE},
            {(2, 600.0), (7, 600.0)},
        )

    def test_an_accepted_message_is_not_judged_by_its_words(self) -> None:
        """The text of 250 holds a Message-ID, which a sender may choose."""
        reply = Reply(250, "2.0.0", "OK <SubmissionQuotaExceeded.mailbox.full@transient>")
        for phase in Phase:
            with self.subTest(phase=phase.value):
                self.assertIs(react(phase, reply).action, Action.DONE)

    def test_a_lost_connection_is_not_judged_by_its_words(self) -> None:
        """The text of code 0 is ours and may quote anything."""
        reply = Reply(0, "", "lost after 554 5.7.1 TRANSPORT.RULES.RejectMessage")
        self.assertEqual(react(Phase.DATA, reply).diagnosis.key, "connection-lost")


class DiagnoseTests(SynchronousTestCase):
    """What a reply means whose phase nobody remembers."""

    def test_a_known_answer_is_found_whatever_its_phase(self) -> None:
        """Rows of any phase are asked; a name of ours for no answer stays one of the network."""
        for wire, key in (
            ("550 5.7.60 SMTP; Client does not have permissions to send as this sender", "send-as"),
            (
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for"
                " the Tenant.",
                "smtp-auth-disabled-tenant",
            ),
        ):
            with self.subTest(wire=wire):
                self.assertIn(key, diagnose(answer(wire)).key)

    def test_what_no_row_knows_is_not_blamed_on_the_sign_in(self) -> None:
        """The usual words of a phase say nothing of an answer that came in another one."""
        usual = react(Phase.AUTH, answer("450 4.2.0 mailbox busy")).diagnosis
        self.assertNotEqual(diagnose(answer("450 4.2.0 mailbox busy")), usual)
        self.assertTrue(diagnose(answer("450 4.2.0 mailbox busy")).is_unknown)


class TagTests(SynchronousTestCase):
    """Microsoft's bracketed tag."""

    def test_tags_are_stripped_and_addresses_are_not(self) -> None:
        """Host tags go in all their forms; an IP address in brackets stays."""
        table = {
            "OK" + TAG: "OK",
            "OK [Hostname=AM0.eurprd01.prod.outlook.com]": "OK",
            "OK [a.b.prod.exchangelabs.com x]": "OK",
            "OK [a.office365.us 1] [10.1.2.3]": "OK  [10.1.2.3]",
            "busy from [10.1.2.3]. (S777)": "busy from [10.1.2.3]. (S777)",
            "[not.outlook.example] x": "[not.outlook.example] x",
        }
        for text, expected in table.items():
            with self.subTest(text=text):
                self.assertEqual(strip_tag(text), expected)

    def test_gist_is_the_same_for_the_same_cause(self) -> None:
        """Session, time and ids differ with each answer; what groups them does not."""
        first = Reply(554, "5.2.0", "STOREDRV; 16.55847:E1000000 [a.prod.outlook.com 1]")
        second = Reply(554, "5.2.0", "STOREDRV; 16.99999:E2000000\n[b.prod.outlook.com 2]")
        self.assertEqual(gist(first), gist(second))
        self.assertEqual(gist(first), "554 5.2.0 STOREDRV; 16.#:#")

    def test_hostile_text_costs_little(self) -> None:
        """Sixty-four kilobytes of brackets or spaces do not stop the reactor."""
        for text in ("[" * 65536, "[a." * 20000, " " * 65536, "[" + "a." * 32000):
            strip_tag(text)
            self.assertEqual(
                react(Phase.DATA, Reply(550, "", text)).diagnosis.key, "unknown-refused"
            )


PHRASES = [word for row in ROWS for word in row.words]
STATUSES = [f"{known.before}.{known.low}" for row in ROWS for known in row.status]

replies = st.builds(
    Reply,
    st.one_of(st.integers(-1, 700), st.sampled_from([0, 250, 421, 451, 550, 554])),
    st.one_of(st.sampled_from([*STATUSES, ""]), st.text(max_size=12)),
    st.one_of(st.sampled_from(PHRASES), st.text(max_size=60)),
)


class AnyReplyTests(SynchronousTestCase):
    """What holds whatever a server says."""

    @settings(deadline=None, max_examples=600)
    @given(st.sampled_from(list(Phase)), replies)
    @example(Phase.DATA, Reply(550, "5.7." + "9" * 5000, ""))
    @example(Phase.DATA, Reply(550, "5.7.²", ""))
    def test_nothing_bounces_that_may_pass(self, phase: Phase, reply: Reply) -> None:
        """react never raises; 4yz, lost and early answers never lead to a bounce."""
        reaction = react(phase, reply)
        if phase in BEFORE_MAIL:
            for each in chain(reaction):
                if each.action is not Action.DONE:
                    self.assertIsNot(each.scope, Scope.MESSAGE)
        if phase in BEFORE_MAIL or not 500 <= reply.code < 600 or reply.status.startswith("4"):
            self.assertFalse(reaction.may_bounce)
        if not reply.is_positive or (phase is Phase.AUTH and reply.code == 334):
            self.assertIsNot(reaction.action, Action.DONE)
