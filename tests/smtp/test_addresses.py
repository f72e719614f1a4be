"""The grammar of addresses, their form for comparing, and the patterns of rules."""

import re
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.addresses import (
    NULL,
    Address,
    canonical,
    forward_path,
    matches,
    parse_mailbox,
    parse_pattern,
    reverse_path,
)
from m365gw.smtp.replies import Refused

ATEXT = "abzABZ019!#$%&'*+/=?^_`{|}~-üÜßжК日"
atoms = st.text(ATEXT, min_size=1, max_size=6)
dot_strings = st.lists(atoms, min_size=1, max_size=3).map(".".join)
quoted_strings = st.lists(
    st.one_of(
        st.sampled_from(" !#.@<>,[]()azü"),
        st.characters(min_codepoint=32, max_codepoint=126).map(lambda c: "\\" + c),
    ),
    max_size=8,
).map(lambda parts: '"' + "".join(parts) + '"')
labels = st.sampled_from(
    ["a", "example", "EXAMPLE", "b-c", "b--c", "1", "bücher", "Bücher", "日本"]
)
domains = st.lists(labels, min_size=1, max_size=4).map(".".join)
literals = st.one_of(
    st.ip_addresses(v=4).map(lambda ip: f"[{ip}]"),
    st.ip_addresses(v=6).map(lambda ip: f"[IPv6:{ip}]"),
    st.just("[tag:content.of!any#kind]"),
)
addresses = st.builds(Address, st.one_of(dot_strings, quoted_strings), st.one_of(domains, literals))
# Text that comes close to an address.
near = st.text('ab.@<>"\\[]:,-1 ü*\0\x7f\u2028', max_size=16)


def refusal(text: str) -> str:
    """Code and enhanced status with which a mailbox is refused, or "" when it is not."""
    try:
        parse_mailbox(text)
    except Refused as refused:
        return f"{refused.reply.code} {refused.reply.status}"
    return ""


class MailboxTests(SynchronousTestCase):
    """RFC 5321 4.1.2 and 4.1.3, RFC 6531 3.3."""

    def test_what_the_grammar_allows(self) -> None:
        """Each is read, and stands on the wire as it came."""
        for text in (
            "a@b.c",
            "a@b",
            "first.last+tag@example.com",
            "!#$%&'*+-/=?^_`{|}~@example.com",
            "a@b--c.example",
            "a@1.2.3.4",
            '"a b"@c.d',
            '"<x>"@b.c',
            '"a\\"b"@c.d',
            '"a\\\\"@c.d',
            '"a@b"@c.d',
            '""@c.d',
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "a@[ipv6:::ffff:192.0.2.1]",
            "a@[x-tag:any!thing]",
            "ü@b.c",
            "a@bücher.de",
            "a@Bücher.de",
            "a@xn--bcher-kva.de",
        ):
            self.assertEqual(str(parse_mailbox(text)), text)

    def test_what_the_grammar_forbids(self) -> None:
        """What the stock server took, or completed, is refused in words."""
        for text in (
            "",
            "a",
            "a@",
            "@b.c",
            "a..b@c.d",
            ".a@c.d",
            "a.@c.d",
            "a b@c.d",
            "a@-b-.c",
            "a@b-.c",
            "a@b_c.d",
            "a@b.c.",
            "a@b..c",
            "a@.b",
            "a@b@c",
            '"a@c.d',
            '"a"b@c.d',
            '"a\\"@c.d',
            '"a\nb"@c.d',
            'a"b@c.d',
            "a@b.c\r",
            "a@b.c\n",
            "a\0@b.c",
            "a\x7f@b.c",
            "a\x85@b.c",
            "a\u2028@b.c",
            "a@b\u3002c",
            "a@[]",
            "a@[192.0.2.256]",
            "a@[192.0.2.01]",
            "a@[192.0.2]",
            "a@[IPv6:2001:db8::1%eth0]",
            "a@[IPv6:xyz]",
            "a@[192.0.2.1",
            "a@[192.0.2.1].c",
            "a@[tag:a[b]",
            "a@\u200d.de",
            "a@-ü.de",
            "A B <x@y.z>",
            "o,p@q.r",
        ):
            self.assertEqual(refusal(text), "501 5.1.3", text)

    def test_limits_count_octets(self) -> None:
        """64 for the local part, 255 for the domain, 63 for a label (RFC 5321 4.5.3.1)."""
        name = ".".join(["x" * 63] * 3 + ["y" * 63])
        for good, bad in (
            ("a" * 64 + "@b.c", "a" * 65 + "@b.c"),
            ("ü" * 32 + "@b.c", "ü" * 33 + "@b.c"),
            ('"' + "a" * 62 + '"@b.c', '"' + "a" * 63 + '"@b.c'),
            (f"a@{name}", f"a@{name}.z"),
            ("a@" + "x" * 63 + ".c", "a@" + "x" * 64 + ".c"),
        ):
            self.assertEqual((refusal(good), refusal(bad)), ("", "501 5.1.3"), good)

    def test_time_is_linear(self) -> None:
        """No text, however made, takes the patterns more than a look at each octet.

        They take milliseconds; what went through such a text for each of its octets would take
        minutes.
        """
        for text in (
            "a." * 50_000,
            '"' + "\\a" * 50_000,
            "a@" + "b-" * 50_000,
            "<" + "@a," * 30_000,
        ):
            started = time.process_time()
            self.assertRaises(Refused, forward_path, text)
            self.assertLess(time.process_time() - started, 10)

    @settings(deadline=None, max_examples=300)
    @given(address=addresses)
    def test_what_is_written_is_read(self, address: Address) -> None:
        """An address reads as itself, alone and as a path."""
        self.assertEqual(parse_mailbox(str(address)), address)
        self.assertEqual(reverse_path(f"<{address}> SIZE=1"), (address, " SIZE=1"))
        self.assertEqual(forward_path(f"<{address}>"), (address, ""))

    @settings(deadline=None, max_examples=300)
    @given(text=st.one_of(near, st.text(max_size=20)))
    def test_only_refused_is_raised(self, text: str) -> None:
        """Whatever the text: an address that is written the same way, or a refusal."""
        for read in (reverse_path, forward_path):
            try:
                address, rest = read(text)
            except Refused as refused:
                self.assertEqual(refused.reply.code, 501)
            else:
                self.assertTrue(re.search(re.escape(str(address)), text))
                self.assertTrue(text.endswith(rest))


class PathTests(SynchronousTestCase):
    """Sender and recipient as MAIL and RCPT give them."""

    def test_the_null_sender(self) -> None:
        """<> is a sender, and no recipient."""
        self.assertEqual(reverse_path("<> RET=HDRS"), (NULL, " RET=HDRS"))
        self.assertEqual(str(NULL), "")
        self.assertRaises(Refused, forward_path, "<>")

    def test_postmaster_needs_no_domain(self) -> None:
        """Only as a recipient, in any letter case; nobody's host name is added."""
        self.assertEqual(forward_path("<PostMaster>"), (Address("PostMaster", ""), ""))
        self.assertEqual(str(Address("PostMaster", "")), "PostMaster")
        self.assertRaises(Refused, reverse_path, "<postmaster>")
        self.assertRaises(Refused, forward_path, "<postmasters>")

    def test_source_routes_are_dropped(self) -> None:
        """RFC 5321 4.1.1.3: read, checked, and without effect."""
        self.assertEqual(forward_path("<@r1.example,@r2:a@b.c> X")[0], Address("a", "b.c"))
        for text in ("<@r1,r2:a@b.c>", "<@r1:@r2:a@b.c>", "<@r1>", "<@r1:>", "<@:a@b.c>"):
            self.assertRaises(Refused, forward_path, text)

    def test_brackets_may_lack(self) -> None:
        """Scripts and devices send bare addresses; half a pair is a mistake."""
        self.assertEqual(reverse_path("a@b.c SIZE=3"), (Address("a", "b.c"), " SIZE=3"))
        for text in ("<a@b.c", "<a@b.c SIZE=3>", "<a@b.c >", "< a@b.c>", "<<a@b.c>>", "<"):
            self.assertRaises(Refused, reverse_path, text)

    def test_the_status_tells_sender_from_recipient(self) -> None:
        """5.1.7 for MAIL, 5.1.3 for RCPT (RFC 3463)."""
        for read, status in ((reverse_path, "5.1.7"), (forward_path, "5.1.3")):
            refused = self.assertRaises(Refused, read, "<a>")
            self.assertEqual((refused.reply.code, refused.reply.status), (501, status))


class CanonicalTests(SynchronousTestCase):
    """Two spellings of one mailbox are one; two mailboxes never are."""

    def test_spellings_of_one_mailbox(self) -> None:
        """Letter case, needless quotes, names in Unicode, forms of an IP address."""
        for spelling, form in {
            "": "",
            "Postmaster": "postmaster",
            "Joe.Doe@Example.COM": "joe.doe@example.com",
            '"Joe"@example.com': "joe@example.com",
            '"j\\oe"@example.com': "joe@example.com",
            '"joe doe"@example.com': '"joe doe"@example.com',
            '"a\\"\\b"@example.com': '"a\\"b"@example.com',
            "a@BÜCHER.de": "a@xn--bcher-kva.de",
            "a@bu\u0308cher.de": "a@xn--bcher-kva.de",
            "JU\u0308RGEN@b.c": "jürgen@b.c",
            "a@[IPV6:2001:DB8:0:0::1]": "a@[ipv6:2001:db8::1]",
            "a@[192.0.2.1]": "a@[192.0.2.1]",
        }.items():
            self.assertEqual(canonical(spelling), form)

    def test_other_people_stay_other_people(self) -> None:
        """No folding that takes a letter for another: sharp s is not ss, dotless i is not i."""
        for one, other in (
            ("straße@b.c", "strasse@b.c"),
            ("mır@b.c", "mir@b.c"),
            ("ſmith@b.c", "smith@b.c"),
            ("a@straße.de", "a@strasse.de"),
            ('"a.b "@c.d', "a.b@c.d"),
            ("a+b@c.d", "a@c.d"),
        ):
            self.assertNotEqual(canonical(one), canonical(other))

    def test_what_is_no_address_is_refused(self) -> None:
        """Rules compare addresses and nothing else."""
        self.assertRaises(Refused, canonical, "joe")

    @settings(deadline=None, max_examples=300)
    @given(address=addresses)
    def test_the_form_is_final(self, address: Address) -> None:
        """The canonical form of a canonical form is itself, and still an address."""
        once = canonical(str(address))
        self.assertEqual(canonical(once), once)
        self.assertEqual(str(parse_mailbox(once)), once)


class PatternTests(SynchronousTestCase):
    """Who may send as whom."""

    def test_each_form(self) -> None:
        """What a pattern is for, and the nearest thing it is not for."""
        for pattern, inside, outside in (
            ("user@example.com", "USER@Example.com", "user2@example.com"),
            ("user@example.com", '"user"@example.com', "user@a.example.com"),
            ("*@example.com", "any.body@EXAMPLE.com", "any@a.example.com"),
            ("*@example.com", '"x@y"@example.com', '"x@example.com"@evil.example'),
            ("*@*.example.com", "a@b.example.com", "a@example.com"),
            ("*@*.example.com", "a@b.c.example.com", "a@badexample.com"),
            ("root@*.example.com", "root@b.example.com", "toor@b.example.com"),
            ("*@bücher.de", "a@xn--bcher-kva.de", "a@bucher.de"),
            ("*", "a@b", ""),
            ("*", "postmaster", ""),
            ("<>", "", "a@b"),
        ):
            self.assertTrue(matches(pattern, inside), (pattern, inside))
            self.assertFalse(matches(pattern, outside), (pattern, outside))

    def test_the_null_sender_needs_its_own_pattern(self) -> None:
        """No star stands for <>: reports are let through on purpose or not at all."""
        for pattern in ("*", "*@example.com", "*@*.example.com", "a@b"):
            self.assertFalse(matches(pattern, ""), pattern)

    def test_stars_elsewhere_are_refused(self) -> None:
        """A rule that would silently never match is a mistake to hear of."""
        for pattern in (
            "scan-*@example.com",
            "*.doe@example.com",
            "a@ex*.com",
            "a@*example.com",
            "a@*.*.com",
            "a@*.",
            "a@*",
            "*.example.com",
            "example.com",
            "@example.com",
            "**@example.com",
            "",
        ):
            self.assertRaises(Refused, parse_pattern, pattern)

    @settings(deadline=None, max_examples=200)
    @given(address=addresses)
    def test_every_address_falls_under_itself(self, address: Address) -> None:
        """Unless it has a star of its own, which only a star matches."""
        text = str(address)
        self.assertTrue(matches("*", text))
        if "*" not in text:
            self.assertTrue(matches(text, text))
