"""Commands, and that no octets make anything but a command or a refusal."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.commands import (
    NEEDS_SMTPUTF8,
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Expn,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    parse,
)
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Refused


def refusal(line: bytes) -> str:
    """Code and enhanced status with which a line is refused, or "" when it is not."""
    try:
        parse(line)
    except Refused as refused:
        return f"{refused.reply.code} {refused.reply.status}"
    return ""


class CommandTestCase(SynchronousTestCase):
    """Tables of lines and what they are."""

    def assert_commands(self, table: dict[bytes, Command]) -> None:
        """Each line is that command."""
        for line, command in table.items():
            self.assertEqual(parse(line), command, line)

    def assert_refused(self, status: str, *lines: bytes) -> None:
        """Each line is refused with that code and enhanced status."""
        for line in lines:
            self.assertEqual(refusal(line), status, line)


class VerbTests(CommandTestCase):
    """RFC 5321 4.1.1."""

    def test_every_verb(self) -> None:
        """Each verb in its plainest form."""
        self.assert_commands(
            {
                b"EHLO client.example": Ehlo("client.example"),
                b"HELO client": Helo("client"),
                b"MAIL FROM:<a@b.c>": Mail("a@b.c"),
                b"RCPT TO:<a@b.c>": Rcpt(Recipient("a@b.c")),
                b"DATA": Data(),
                b"BDAT 12": Bdat(12),
                b"RSET": Rset(),
                b"NOOP": Noop(),
                b"VRFY joe": Vrfy("joe"),
                b"EXPN staff list": Expn("staff list"),
                b"HELP": Help(""),
                b"HELP mail": Help("mail"),
                b"QUIT": Quit(),
                b"STARTTLS": StartTls(),
                b"AUTH PLAIN": Auth("PLAIN"),
            }
        )

    def test_letter_case_and_spaces(self) -> None:
        """Verbs and keywords in any case, spaces at the end, a space before the path."""
        self.assert_commands(
            {
                b"quit": Quit(),
                b"Data \t ": Data(),
                b"nOOP anything goes": Noop(),
                b"mail from: <a@b.c>  size=3 ": Mail("a@b.c", size=3),
                b"MAIL  FROM:<a@b.c>": Mail("a@b.c"),
                b"rcpt to:a@b.c": Rcpt(Recipient("a@b.c")),
                b"bdat 3 last": Bdat(3, last=True),
                b"starttls": StartTls(),
            }
        )

    def test_what_is_no_command(self) -> None:
        """A browser, a PROXY header or noise on the port gets a 500 and no exception."""
        self.assert_refused(
            "500 5.5.2",
            b"",
            b" QUIT",
            b"GET / HTTP/1.1",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
            b"QUITE",
            b"MAIL\tFROM:<a@b.c>",
            b"NOOP \xff",
        )

    def test_verbs_that_are_not_ascii(self) -> None:
        """Server fault 15: no UnicodeDecodeError; and no other letter stands for an S."""
        self.assert_refused("500 5.5.2", b"\xff\xfe", "ſtarttls".encode(), "R\u017fET".encode())

    def test_verbs_nobody_offers(self) -> None:
        """Known from old times, and not implemented."""
        self.assert_refused("502 5.5.1", b"TURN", b"ETRN x", b"SEND FROM:<a@b>", b"SAML", b"ATRN")

    def test_arguments_where_there_are_none(self) -> None:
        """RFC 5321 4.1.1: DATA, RSET and QUIT take nothing; nor does STARTTLS."""
        self.assert_refused("501 5.5.4", b"DATA x", b"RSET now", b"QUIT 1", b"STARTTLS tls")

    def test_arguments_that_lack(self) -> None:
        """Server faults 15 and 18: AUTH, EHLO and the others without their argument."""
        self.assert_refused(
            "501 5.5.4",
            b"EHLO",
            b"EHLO ",
            b"HELO",
            b"MAIL",
            b"MAIL <a@b.c>",
            b"MAIL FROM",
            b"MAIL TO:<a@b.c>",
            b"RCPT",
            b"RCPT FROM:<a@b.c>",
            b"BDAT",
            b"VRFY",
            b"EXPN",
            b"AUTH",
            b"AUTH ",
        )

    def test_names_of_devices(self) -> None:
        """A name that is no host name is taken as it is; one with controls is not."""
        self.assert_commands(
            {
                b"EHLO my_container": Ehlo("my_container"),
                b"HELO Front Desk": Helo("Front Desk"),
                b"EHLO [IPv6:::1]": Ehlo("[IPv6:::1]"),
                "EHLO büro".encode(): Ehlo("büro"),
            }
        )
        self.assert_refused(
            "501 5.5.4",
            b"EHLO a\x01b",
            b"EHLO a\tb",
            "EHLO a\x85b".encode(),
            "EHLO a\u2028b".encode(),
            b"EHLO " + b"x" * 256,
        )

    def test_chunks(self) -> None:
        """BDAT counts octets in up to twenty digits (RFC 3030 2)."""
        self.assert_commands({b"BDAT 0 LAST": Bdat(0, last=True), b"BDAT 007": Bdat(7)})
        self.assert_refused(
            "501 5.5.4",
            b"BDAT -1",
            b"BDAT +1",
            b"BDAT 1_0",
            b"BDAT 1 FIRST",
            b"BDAT 1 LAST LAST",
            b"BDAT 1LAST",
            b"BDAT " + b"9" * 21,
            "BDAT ٣".encode(),
            "BDAT 1 laſt".encode(),
        )

    def test_authentication(self) -> None:
        """The initial response stays in base64; "=" is one of no octets (RFC 4954 4)."""
        for line, mechanism, initial in (
            (b"AUTH login", "LOGIN", None),
            (b"auth Login dXNlcg==", "LOGIN", b"dXNlcg=="),
            (b"AUTH PLAIN =", "PLAIN", b""),
            (b"AUTH X-Y_2 YWI", "X-Y_2", b"YWI"),
        ):
            auth = parse(line)
            assert isinstance(auth, Auth)
            self.assertEqual((auth.mechanism, auth.initial), (mechanism, initial))
        self.assert_refused(
            "501 5.5.4",
            b"AUTH PLAIN a b",
            b"AUTH PLAIN =a",
            b"AUTH PLAIN a\0b",
            b"AUTH " + b"X" * 21,
        )

    def test_no_secret_is_shown(self) -> None:
        """Neither the value of AUTH nor an error about its line holds the password."""
        self.assertNotIn("c2VjcmV0", repr(parse(b"AUTH PLAIN c2VjcmV0")))
        for line in (b"AUTH PLAIN c2VjcmV0 x", b"AUTH PLAIN c2VjcmV0\xff", b"AUHT c2VjcmV0"):
            refused = self.assertRaises(Refused, parse, line)
            self.assertNotIn("c2VjcmV0", str(refused))
            self.assertIsNone(refused.__cause__)


class MailTests(CommandTestCase):
    """MAIL FROM and its parameters."""

    def test_all_parameters(self) -> None:
        """Server fault 18: nothing a client says is thrown away."""
        self.assert_commands(
            {
                b"MAIL FROM:<a@b> SIZE=9 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=Q+2B7 AUTH=x+40y": (
                    Mail("a@b", 9, "8BITMIME", True, "HDRS", "Q+7", "x@y")
                ),
                b"MAIL FROM:<> body=7bit ret=full auth=<>": (
                    Mail("", body="7BIT", ret="FULL", auth="")
                ),
            }
        )

    def test_a_size_beyond_belief_is_read(self) -> None:
        """Whether it is too large is the session's to say, with 552 and not with a crash."""
        self.assert_commands(
            {b"MAIL FROM:<a@b.c> SIZE=99999999999999999999": Mail("a@b.c", 99999999999999999999)}
        )

    def test_unknown_parameters_are_refused(self) -> None:
        """Server fault 18: a wish that is not understood is not ignored."""
        self.assert_refused(
            "555 5.5.4",
            b"MAIL FROM:<a@b.c> FOO=BAR",
            b"MAIL FROM:<a@b.c> SIZE=999999999999 FOO=BAR",
            b"MAIL FROM:<a@b.c> NOTIFY=NEVER",
            b"MAIL FROM:<a@b.c> BODY=BINARYMIME",
            b"MAIL FROM:<a@b.c> BODY",
        )

    def test_malformed_parameters_are_refused(self) -> None:
        """A parameter we know must be what its extension says, and be there once."""
        for parameter in (
            b"SIZE",
            b"SIZE=",
            b"SIZE=-1",
            b"SIZE=1k",
            b"SIZE=" + b"9" * 21,
            "SIZE=٣".encode(),
            b"SIZE=1 SIZE=1",
            b"=1",
            b"-X=1",
            b"SIZE==1",
            b"SIZE=1\t",
            b"SMTPUTF8=1",
            b"RET",
            b"RET=ALL",
            "RET=HDRſ".encode(),
            b"ENVID",
            b"ENVID=a+0",
            b"ENVID=" + b"x" * 101,
            b"AUTH",
            b"AUTH=a+40b+0A",
        ):
            self.assert_refused("501 5.5.4", b"MAIL FROM:<a@b.c> " + parameter + b" BODY=7BIT")
        self.assert_refused("501 5.5.4", b"MAIL FROM:<a@b.c>SIZE=1")

    def test_an_encoded_nul_is_refused(self) -> None:
        """ENVID and ORCPT with "+00", or with a line end, never reach a report."""
        self.assert_refused(
            "501 5.5.4",
            b"MAIL FROM:<a@b.c> ENVID=x+00",
            b"MAIL FROM:<a@b.c> ENVID=x+0D+0Ay",
            b"MAIL FROM:<a@b.c> ENVID=x\0y",
            b"RCPT TO:<a@b.c> ORCPT=rfc822;x+00@b.c",
            b"RCPT TO:<a@b.c> ORCPT=rfc822;x+0A@b.c",
        )

    def test_a_plus_sign_survives(self) -> None:
        """What is decoded here and encoded by the exit is the same ENVID."""
        mail = parse(b"MAIL FROM:<a@b.c> ENVID=a+2Bb")
        assert isinstance(mail, Mail)
        self.assertEqual(mail.envid, "a+b")

    def test_utf8_needs_smtputf8(self) -> None:
        """An address beyond ASCII without the word SMTPUTF8 is refused (RFC 6531 3.5)."""
        self.assert_refused("553 5.6.7", "MAIL FROM:<ü@b.c>".encode())
        self.assert_commands(
            {"MAIL FROM:<ü@bücher.de> SMTPUTF8".encode(): Mail("ü@bücher.de", smtputf8=True)}
        )
        self.assertEqual((NEEDS_SMTPUTF8.code, NEEDS_SMTPUTF8.status), (553, "5.6.7"))

    def test_the_path_is_held_against_the_grammar(self) -> None:
        """Bad senders are 501 5.1.7, bad recipients 501 5.1.3."""
        for path in (b"", b"<a>", b"<a@>", b"<a..b@c.d>", b"<a@b_c.d>", b"<a@b.c", b"joe"):
            self.assert_refused("501 5.1.7", b"MAIL FROM:" + path)
            self.assert_refused("501 5.1.3", b"RCPT TO:" + path)


class RcptTests(CommandTestCase):
    """RCPT TO and its parameters."""

    def test_all_parameters(self) -> None:
        """What is wished for the reports is kept for each recipient."""
        self.assert_commands(
            {
                b"RCPT TO:<a@b.c> NOTIFY=SUCCESS,delay ORCPT=rfc822;Old+2B1@b.c": Rcpt(
                    Recipient("a@b.c", frozenset({"SUCCESS", "DELAY"}), "rfc822;Old+1@b.c")
                ),
                b"RCPT TO:<Postmaster> NOTIFY=never": Rcpt(
                    Recipient("Postmaster", frozenset({"NEVER"}))
                ),
                b'RCPT TO:<@r1,@r2:"a b"@b.c>': Rcpt(Recipient('"a b"@b.c')),
                "RCPT TO:<ü@b.c> ORCPT=utf-8;\\x{FC}@b.c".encode(): Rcpt(
                    Recipient("ü@b.c", orcpt="utf-8;ü@b.c")
                ),
            }
        )

    def test_unknown_parameters_are_refused(self) -> None:
        """Server fault 18: NOTIFY=NEVER BOGUS is not taken as NOTIFY=NEVER."""
        self.assert_refused(
            "555 5.5.4", b"RCPT TO:<a@b.c> NOTIFY=NEVER BOGUS", b"RCPT TO:<a@b.c> SIZE=1"
        )

    def test_malformed_parameters_are_refused(self) -> None:
        """NEVER stands alone, lists have no holes, an original recipient has a type."""
        for parameter in (
            b"NOTIFY",
            b"NOTIFY=",
            b"NOTIFY=NEVER,DELAY",
            b"NOTIFY=SUCCESS,,DELAY",
            b"NOTIFY=SOMETIMES",
            "NOTIFY=ſUCCESS".encode(),
            b"NOTIFY=DELAY NOTIFY=DELAY",
            b"ORCPT",
            b"ORCPT=a@b.c",
            b"ORCPT=rfc822;a+b@c.d",
            b"ORCPT=rfc822;" + b"x" * 500,
        ):
            self.assert_refused("501 5.5.4", b"RCPT TO:<a@b.c> " + parameter)


class AnyOctetsTests(SynchronousTestCase):
    """The parser raises nothing but Refused."""

    words = st.sampled_from(
        [
            *(b"MAIL FROM:", b"RCPT TO:", b"BDAT", b"AUTH", b"EHLO", b"<a@b.c>", b"<", b">", b'"'),
            *(b"SIZE=", b"BODY=", b"RET=", b"ENVID=", b"NOTIFY=", b"ORCPT=", b"AUTH=", b"SMTPUTF8"),
            *(b" ", b"\t", b"+", b"=", b"+00", b"@", b"[", b"]", b"rfc822;", b"utf-8;", b"\\x{"),
            *(b"1", b"\0", b"\x7f", b"\xc3\xbc", b"\xff", b"\xe2\x80\xa8", b"}", b"xn--", b"."),
        ]
    )

    @settings(deadline=None, max_examples=500)
    @given(line=st.one_of(st.binary(max_size=40), st.lists(words, max_size=12).map(b"".join)))
    def test_a_command_or_a_refusal(self, line: bytes) -> None:
        """Server fault 15: no octets make an exception that the session does not know."""
        try:
            command = parse(line)
        except Refused as refused:
            self.assertTrue(refused.reply.is_permanent)
            self.assertTrue(refused.reply.text.isascii() and refused.reply.text.isprintable())
        else:
            self.assertIsInstance(command, Command)
