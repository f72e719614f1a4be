"""SASL exchanges, as old and new clients hold them."""

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.replies import Refused
from m365gw.smtp.sasl import Challenge, Credentials, LoginServer, PlainServer, xoauth2


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


class PlainServerTests(SynchronousTestCase):
    """RFC 4616."""

    def refused(self, response: bytes) -> int:
        return self.assertRaises(Refused, PlainServer().step, response).reply.code

    def test_initial_response(self) -> None:
        """All in the command."""
        step = PlainServer().step(b64(b"\0me\0secret"))
        self.assertEqual(step, Credentials("me", "secret"))

    def test_asked_for(self) -> None:
        """An empty challenge when AUTH came alone."""
        server = PlainServer()
        self.assertEqual(server.step(None), Challenge(b""))
        self.assertEqual(server.step(b64(b"me\0me\0secret")), Credentials("me", "secret"))

    def test_acting_for_somebody_else_is_refused(self) -> None:
        """Only those who may, relay, and only as themselves."""
        self.assertEqual(self.refused(b64(b"boss\0me\0secret")), 535)

    def test_malformed_responses_are_refused(self) -> None:
        """Cancelled, not base64, not three parts, no login, a login with control characters."""
        responses = (
            *(b"*", b"!!!", b"YQ", b"=", b"", b64(b"me\0secret"), b64(b"\0me\0a\0b")),
            *(b64(b"\0\0secret"), b64(b"\0me\r\nx\0secret")),
        )
        for response in responses:
            with self.subTest(response=response):
                self.assertEqual(self.refused(response), 501)

    def test_missing_padding_is_no_matter(self) -> None:
        """Some devices leave the "=" out; nothing else can be meant."""
        for password in ("a", "ab", "abc", "abcd"):
            unpadded = b64(b"\0me\0" + password.encode()).rstrip(b"=")
            self.assertEqual(PlainServer().step(unpadded), Credentials("me", password))

    def test_8_bit_passwords(self) -> None:
        """UTF-8 as it should be, Latin-1 as old devices send it."""
        for octets in ("pä".encode(), "pä".encode("latin-1")):
            step = PlainServer().step(b64(b"\0me\0" + octets))
            self.assertEqual(step, Credentials("me", "pä"))

    @given(st.binary(max_size=60))
    def test_any_line_is_credentials_or_refused(self, line: bytes) -> None:
        """Nothing a client sends raises anything else."""
        for response in (line, b64(line)):
            try:
                step = PlainServer().step(response)
            except Refused:
                continue
            self.assertIsInstance(step, Credentials)


class LoginServerTests(SynchronousTestCase):
    """The LOGIN mechanism of old clients."""

    def test_prompts_are_the_literal_ones(self) -> None:
        """Devices compare them."""
        server = LoginServer()
        self.assertEqual(server.step(None), Challenge(b"Username:"))
        self.assertEqual(server.step(b64(b"me")), Challenge(b"Password:"))
        self.assertEqual(server.step(b64(b"secret")), Credentials("me", "secret"))

    def test_initial_response_is_the_login(self) -> None:
        """Some clients save a round trip."""
        server = LoginServer()
        self.assertEqual(server.step(b64(b"me")), Challenge(b"Password:"))
        self.assertEqual(server.step(b64(b"secret")), Credentials("me", "secret"))

    def test_cancel_and_nonsense_are_refused(self) -> None:
        """At either step."""
        for response in (b"*", b"%%%"):
            for server in (LoginServer(), LoginServer()):
                self.assertRaises(Refused, server.step, response)
                server.step(b64(b"me"))
                self.assertRaises(Refused, server.step, response)

    def test_empty_password_is_for_the_authenticator(self) -> None:
        """It is well-formed, and wrong."""
        server = LoginServer()
        server.step(b64(b"me"))
        self.assertEqual(server.step(b"="), Credentials("me", ""))


class SecrecyTests(SynchronousTestCase):
    """What must not be seen."""

    def test_the_password_shows_in_no_representation(self) -> None:
        """Neither in a log nor in a traceback."""
        self.assertNotIn("secret", repr(Credentials("me", "secret")))

    def test_refusals_name_no_token(self) -> None:
        """The error of a token that cannot be sent does not hold it."""
        refused = self.assertRaises(Refused, xoauth2, "me", "s3cr3t\n")
        self.assertNotIn("s3cr3t", str(refused) + str(refused.reply))


class Xoauth2Tests(SynchronousTestCase):
    """The client's response."""

    def test_documented_sample(self) -> None:
        """Microsoft's own example, octet for octet."""
        self.assertEqual(
            xoauth2("test@contoso.onmicrosoft.com", "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA"),
            b"dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3QkFBbDNCQUFVRkZwVUFv"
            b"N0ozVmUwYmpMQldaV0NjbFJDM0VvQUEBAQ==",
        )

    def test_long_tokens_stay_on_one_line(self) -> None:
        """Tokens of thousands of characters are not wrapped."""
        self.assertNotIn(b"\n", xoauth2("a@b", "x" * 9000))

    def test_control_characters_are_refused(self) -> None:
        """Nothing can end a part early or start another."""
        for user, token in (("a\1b", "t"), ("a", "t\1"), ("a", "t\r\n"), ("a\x7f", "t"), ("", "t")):
            with self.subTest(user=user, token=token):
                self.assertRaises(Refused, xoauth2, user, token)
        self.assertRaises(Refused, xoauth2, "a", "")
