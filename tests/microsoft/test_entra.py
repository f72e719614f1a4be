"""Errors of Entra: each known one, then the rules of order."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.entra import ROWS, explain
from m365gw.microsoft.entra_apps import SERVICE, THROTTLED, UNKNOWN, UNREACHABLE
from m365gw.microsoft.replies import ROWS as REPLY_ROWS

# reaction, diagnosis, and the codes, errors and suberrors that ask for it
KNOWN = (
    ("poll", "signin-pending", ("authorization_pending", 70016)),
    ("poll", "signin-slow-down", ("slow_down",)),
    ("restart", "signin-code-expired", ("expired_token", 70019, 70020)),
    ("restart", "signin-code-wrong", ("bad_verification_code",)),
    ("restart", "signin-code-used", (54005,)),
    ("restart", "signin-verifier", (501481,)),
    ("stop", "signin-declined", ("authorization_declined", "access_denied", 65004)),
    ("login", "signin-interaction", ("interaction_required", 16000, 50058, 700020)),
    ("login", "signin-interaction", ("login_required", "/basic_action")),
    ("login", "signin-second-factor", (50076, 50079, 50072, 50074, 50078, 50158)),
    ("login", "signin-second-factor", ("/additional_action",)),
    ("login", "signin-not-valid", ("invalid_grant", 70000, "/bad_token")),
    ("login", "signin-revoked", (50173,)),
    ("login", "signin-too-old", (700082, 70008, 700084, "/token_expired")),
    ("login", "signin-frequency", (70043,)),
    ("login", "signin-session-changed", (50089, 50132, 50133, 50131)),
    ("login", "signin-message", ("/message_only",)),
    ("login", "password-expired", (50055, "/user_password_expired")),
    ("admin", "consent-missing", (65001, "consent_required", "/consent_required")),
    ("admin", "admin-consent-needed", (90094,)),
    ("admin", "conditional-access-blocked", (53003,)),
    ("admin", "device-not-compliant", (53000, 53001, 53002, 53011)),
    ("admin", "security-policy-blocked", (530032, 530035)),
    ("admin", "account-locked", (50053,)),
    ("admin", "account-disabled", (50057,)),
    ("admin", "user-not-assigned", (50105,)),
    ("config", "app-permission-missing", (65005, 650056, 650057)),
    ("config", "user-unknown", (50034,)),
    ("config", "account-type", (50020, 500208, 90130, 9002332)),
    ("config", "app-single-tenant", (50194,)),
    ("config", "tenant-unknown", (90002, 900023)),
    ("config", "tenant-in-other-cloud", (90038,)),
    ("config", "app-unknown", (700016,)),
    ("config", "app-disabled", (70001, 7000112)),
    ("config", "secret-wrong", (7000215,)),
    ("config", "secret-expired", (7000222,)),
    ("config", "app-not-public", (7000218,)),
    ("config", "app-is-public", (700025,)),
    ("config", "certificate-unknown", (700027,)),
    ("config", "clock-wrong", (700024, 500133)),
    ("config", "exchange-missing", (500011,)),
    ("config", "scope-malformed", (70011, 28002, 28003, 700022)),
    ("config", "scope-malformed", ("invalid_scope", "invalid_resource")),
    ("admin", "federation-unknown", (70021, 700211, 700212, 700213)),
    ("config", "federation-signature", (50013,)),
    ("config", "redirect-mismatch", (50011,)),
    ("config", "app-credential-refused", (70002, "invalid_client")),
    ("config", "flow-not-allowed", ("unauthorized_client", "unsupported_grant_type")),
    ("retry", "request-loop", (50196,)),
    ("retry", "entra-unavailable", ("temporarily_unavailable", "server_error")),
    ("retry", "entra-unavailable", (90033, 50033, 50087, 70012, 90006, 90012, 90024, 90055)),
    ("retry", "entra-unavailable", (90090, 40010, 80005)),
)

REPLY_KEYS = {row.reaction.diagnosis.key for row in REPLY_ROWS}


class KnownErrorTests(SynchronousTestCase):
    """Each row of the facts."""

    def test_each_error_has_its_verdict(self) -> None:
        """Codes, errors and suberrors ("/...") alone give the reaction and the diagnosis."""
        for reaction, key, causes in KNOWN:
            for cause in causes:
                with self.subTest(cause=cause):
                    if isinstance(cause, int):
                        verdict = explain("invalid_request", "", (cause,), 400)
                    elif cause.startswith("/"):
                        verdict = explain("invalid_grant", cause[1:], (), 400)
                    else:
                        verdict = explain(cause, "", (), 400)
                    self.assertEqual((verdict.reaction, verdict.diagnosis.key), (reaction, key))

    def test_each_key_is_in_one_row_only(self) -> None:
        """No row hides another, and none is missing from the table above."""
        keys = [
            key
            for row in ROWS
            for key in (*row.codes, *row.errors, *row.vague, *(f"/{sub}" for sub in row.suberrors))
        ]
        self.assertEqual(len(keys), len(set(keys)))
        self.assertEqual(set(keys), {cause for _, _, causes in KNOWN for cause in causes})

    def test_each_says_what_why_and_what_to_do(self) -> None:
        """The words are there, and a key means one thing only."""
        known: dict[str, object] = {}
        verdicts = [row.verdict for row in ROWS] + [SERVICE, THROTTLED, UNREACHABLE, UNKNOWN]
        for verdict in verdicts:
            diagnosis = verdict.diagnosis
            with self.subTest(key=diagnosis.key):
                self.assertIs(known.setdefault(diagnosis.key, diagnosis), diagnosis)
                self.assertTrue(diagnosis.what.endswith(".") and diagnosis.why.endswith("."))
                self.assertTrue(len(diagnosis.fix) > 7)
                self.assertNotIn(diagnosis.key, REPLY_KEYS)
                if verdict.reaction in ("login", "admin", "config"):
                    self.assertNotIn(diagnosis.who, ("nobody", "sender"))


class OrderTests(SynchronousTestCase):
    """What wins when several things are said."""

    def test_trouble_of_the_service_comes_first(self) -> None:
        """A 5xx or 429 says nothing about the account, whatever its text claims."""
        for status, verdict in ((500, SERVICE), (503, SERVICE), (429, THROTTLED)):
            self.assertIs(explain("invalid_grant", "bad_token", (50173,), status), verdict)

    def test_no_answer_is_temporary(self) -> None:
        """Name service, TLS, time out, or a page that is not JSON."""
        self.assertIs(explain("", "", (), 0), UNREACHABLE)
        self.assertIs(explain("", "", (), 404), UNREACHABLE)

    def test_a_telling_error_beats_the_code(self) -> None:
        """The device flow goes on although a code is given."""
        self.assertEqual(explain("authorization_pending", "", (50173,), 400).reaction, "poll")

    def test_the_code_beats_the_suberror_and_vague_errors(self) -> None:
        """invalid_grant with a policy's code is for the administrator, not for a sign-in."""
        self.assertEqual(explain("invalid_grant", "basic_action", (53003,), 400).reaction, "admin")
        self.assertEqual(
            explain("invalid_client", "", (7000222,), 401).diagnosis.key, "secret-expired"
        )
        self.assertEqual(explain("access_denied", "", (53003,), 400).reaction, "admin")

    def test_unknown_codes_are_passed_over(self) -> None:
        """The first code that is known counts."""
        self.assertEqual(explain("invalid_grant", "", (1, 50057), 400).reaction, "admin")

    def test_unknown_errors_are_temporary(self) -> None:
        """And they are marked as unknown."""
        verdict = explain("brand_new", "also_new", (99999999,), 400)
        self.assertEqual(verdict.reaction, "retry")
        self.assertTrue(verdict.diagnosis.is_unknown)

    def test_a_bare_invalid_grant_must_be_repeated(self) -> None:
        """One bad answer does not end a sign-in; three over a quarter of an hour do."""
        verdict = explain("invalid_grant", "", (), 400)
        self.assertEqual((verdict.attempts, verdict.patience), (2, 900))
        self.assertEqual(explain("invalid_grant", "", (50173,), 400).attempts, 0)

    def test_locked_and_blocked_accounts_are_not_hammered(self) -> None:
        """They are asked again after an hour, a request loop after five minutes."""
        for code, seconds in ((50053, 3600), (53003, 3600), (50196, 300)):
            self.assertEqual(explain("invalid_grant", "", (code,), 400).least_wait, seconds)

    @given(
        st.one_of(st.text(), st.sampled_from(["invalid_grant", "invalid_client"])),
        st.text(),
        st.lists(st.integers(), max_size=3),
        st.integers(-1, 999),
    )
    def test_nothing_raises(self, error: str, suberror: str, codes: list[int], status: int) -> None:
        """Whatever Entra says, there is a verdict in words."""
        self.assertTrue(explain(error, suberror, codes, status).diagnosis.what)
