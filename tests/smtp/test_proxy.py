"""The PROXY header, in every form and in every number of pieces."""

from __future__ import annotations

import ipaddress

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.proxy import LONGEST_V1, LONGEST_V2, Header, HeaderReader
from m365gw.smtp.proxy_fields import BalancerTls, Fields, ProxyFault, crc32c
from tests.smtp import proxy_header
from tests.smtp.proxy_header import field, raw, version_1, version_2

CLIENT = Header(
    source=(ipaddress.ip_address("192.0.2.7"), 4025),
    destination=(ipaddress.ip_address("198.51.100.1"), 587),
)
ADDRESSES = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + b"\x0f\xb9\x02\x4b"

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
ports = st.integers(0, 65535)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    """Any header that names a client."""
    has_certificate = draw(st.booleans())
    tls = BalancerTls(
        is_used=draw(st.booleans()),
        has_certificate=has_certificate,
        is_verified=has_certificate and draw(st.booleans()),
        **{name: draw(texts) for name in proxy_header.TLS_TEXTS},
    )
    fields = Fields(
        tls=draw(st.none() | st.just(tls)),
        **{
            name: draw(texts.filter(lambda t: len(t.encode()) <= 128))
            for name in proxy_header.TEXTS
        },
    )
    kind = draw(st.sampled_from((4, 6, 0)))
    if kind == 0:
        paths = texts.filter(lambda text: len(text.encode()) <= 108)
        return Header(unix_path=draw(paths), fields=fields)
    addresses = st.ip_addresses(v=kind)
    return Header(
        source=(draw(addresses), draw(ports)),
        destination=(draw(addresses), draw(ports)),
        fields=fields,
    )


def read(octets: bytes) -> Header:
    """The header that is all of these octets."""
    result = HeaderReader().feed(octets)
    assert result is not None
    header, rest = result
    assert rest == b""
    return header


class ReaderTests(SynchronousTestCase):
    """What every reader promises."""

    @settings(deadline=None)
    @given(headers(), st.booleans())
    def test_version_2_is_read_as_it_was_written(self, header: Header, checksum: bool) -> None:
        """Addresses and fields arrive as the balancer meant them."""
        self.assertEqual(read(version_2(header, checksum=checksum)), header)

    @settings(deadline=None)
    @given(headers())
    def test_version_1_is_read_as_it_was_written(self, header: Header) -> None:
        """The text form has addresses and nothing else."""
        expected = attrs.evolve(header, fields=Fields(), unix_path=None)
        self.assertEqual(read(version_1(header)), expected)

    @settings(deadline=None)
    @given(headers(), st.booleans(), st.binary(max_size=20), st.lists(st.integers(0, 600)))
    def test_any_pieces_give_the_same(
        self, header: Header, is_text: bool, behind: bytes, cuts: list[int]
    ) -> None:
        """A header may arrive octet by octet, or with the client's first words behind it."""
        octets = (version_1 if is_text else version_2)(header) + behind
        expected, _ = HeaderReader().feed(octets) or (None, None)
        reader, at = HeaderReader(), 0
        for cut in [*sorted(cut for cut in cuts if cut < len(octets)), len(octets)]:
            result = reader.feed(octets[at:cut])
            at = cut
            if result is not None:
                self.assertEqual(result[0], expected)
                self.assertEqual(result[1] + octets[at:], behind)
                return
        self.fail("The header was never whole")

    @settings(deadline=None)
    @given(st.binary(max_size=300), st.sampled_from((b"", b"PROXY ", raw(0x21, 0x11, b"")[:13])))
    def test_garbage_is_a_fault_and_nothing_else(self, octets: bytes, start: bytes) -> None:
        """Whatever comes, there is a header, a fault, or a wait for more."""
        try:
            result = HeaderReader().feed(start + octets)
        except ProxyFault:
            return
        self.assertTrue(result is None or isinstance(result[0], Header))

    def test_every_prefix_waits(self) -> None:
        """No header is refused because its first segment was short."""
        for octets in (version_1(CLIENT), version_2(CLIENT, checksum=True)):
            for cut in range(len(octets)):
                self.assertIsNone(HeaderReader().feed(octets[:cut]), octets[:cut])


class VersionOneTests(SynchronousTestCase):
    """The text form."""

    def test_unknown_names_nobody(self) -> None:
        """Short, or with anything behind the word: health checks send the short one."""
        for line in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\n"):
            self.assertEqual(read(line), Header())

    def test_the_longest_line_fits_and_no_longer_one(self) -> None:
        """107 octets with CRLF; what is longer is refused before its end comes."""
        longest = b"PROXY UNKNOWN".ljust(LONGEST_V1 - 2, b" ") + b"\r\n"
        self.assertEqual(read(longest), Header())
        self.assertRaises(ProxyFault, HeaderReader().feed, longest[:-2] + b"  ")

    def test_malformed_lines_are_refused(self) -> None:
        """What is no address, port or protocol never becomes one."""
        good = "PROXY TCP4 192.0.2.7 198.51.100.1 4025 587"
        for bad in (
            good.replace("192.0.2.7", "not.an.ip"),
            good.replace("192.0.2.7", "192.0.2.07"),
            good.replace("192.0.2.7", "::1"),
            good.replace("TCP4", "TCP6"),
            good.replace("TCP4", "UDP4"),
            good.replace("TCP4", "tcp4"),
            good.replace("587", "99999"),
            good.replace("587", "0587"),
            good.replace("587", "-1"),
            good.replace("587", ""),
            good.replace(" 587", ""),
            good + " more",
            good.replace(" 4025", "  4025"),
            good.replace("192.0.2.7", "192.0.2.7\n"),
            "PROXY TCP6 fe80::1%eth0 ::1 1 2",
            "PROXY TCP4 \u0661.0.0.1 ::1 1 2",
            "PROXY ",
        ):
            with self.subTest(line=bad):
                self.assertRaises(ProxyFault, HeaderReader().feed, f"{bad}\r\n".encode())

    def test_other_protocols_are_known_by_their_first_octets(self) -> None:
        """A client that came without the balancer is not waited for."""
        for first in (b"EHLO", b"P\r", b"PROXY\t", b"\x16\x03\x01", b"\r\n\r\nQUIT", b"GET / "):
            self.assertRaises(ProxyFault, HeaderReader().feed, first)


class VersionTwoTests(SynchronousTestCase):
    """The binary form."""

    def test_local_is_the_balancer_itself(self) -> None:
        """Whatever else such a header says is passed over."""
        for family, rest in ((0, b""), (0x11, ADDRESSES), (0x11, b"short"), (0x77, b"?")):
            self.assertEqual(read(raw(0x20, family, rest)), Header(is_local=True))

    def test_unspec_names_nobody(self) -> None:
        """A client of a kind the balancer cannot name."""
        self.assertEqual(read(raw(0x21, 0, b"anything")), Header())

    def test_a_client_of_a_unix_socket(self) -> None:
        """It has a path, or none, and no address."""
        rest = b"/run/app.sock".ljust(108, b"\0") + bytes(108)
        self.assertEqual(read(raw(0x21, 0x31, rest)), Header(unix_path="/run/app.sock"))

    def test_unknown_commands_and_families_are_refused(self) -> None:
        """UDP is never a stream; versions and commands to come are not guessed at."""
        for command, family in (
            *((command, 0x11) for command in (0x11, 0x22, 0x2F, 0x31, 0x00)),
            *((0x21, family) for family in (0x12, 0x22, 0x32, 0x10, 0x01, 0x41, 0xFF)),
        ):
            with self.subTest(command=command, family=family):
                octets = raw(command, family, bytes(216))
                self.assertRaises(ProxyFault, HeaderReader().feed, octets)

    def test_a_length_out_of_bounds_is_refused_at_once(self) -> None:
        """Sixteen octets suffice to see it; nothing is gathered for it."""
        for length in (LONGEST_V2 - 15, 65535):
            octets = raw(0x21, 0x11, bytes(length))
            self.assertRaises(ProxyFault, HeaderReader().feed, octets[:16])
        rest = ADDRESSES + field(0x04, bytes(LONGEST_V2 - 16 - len(ADDRESSES) - 3))
        self.assertEqual(read(raw(0x21, 0x11, rest)), CLIENT)

    def test_addresses_that_are_cut_off_are_refused(self) -> None:
        """The length must leave room for them."""
        for family in (0x11, 0x21, 0x31):
            self.assertRaises(ProxyFault, HeaderReader().feed, raw(0x21, family, ADDRESSES[:11]))


class FieldTests(SynchronousTestCase):
    """What stands behind the addresses."""

    def faults(self, fields: bytes) -> str:
        octets = raw(0x21, 0x11, ADDRESSES + fields)
        return str(self.assertRaises(ProxyFault, HeaderReader().feed, octets))

    def test_a_wrong_checksum_is_refused(self) -> None:
        """One bit anywhere, the addresses too, makes the header another."""
        good = version_2(CLIENT, checksum=True)
        self.assertEqual(read(good), CLIENT)
        for place in (16, len(good) - 1):
            bad = bytearray(good)
            bad[place] ^= 1
            fault = self.assertRaises(ProxyFault, HeaderReader().feed, bytes(bad))
            self.assertIn("checksum is wrong", str(fault))

    def test_the_checksum_is_that_of_iscsi(self) -> None:
        """RFC 3720 B.4."""
        self.assertEqual(crc32c(bytes(32)), 0x8A9136AA)
        self.assertEqual(crc32c(bytes(range(32))), 0x46DD794E)

    def test_fields_that_do_not_fit_are_refused(self) -> None:
        """Neither in the header, nor in the TLS field."""
        self.assertIn("cut off", self.faults(b"\x05\x00"))
        self.assertIn("0x05 is longer", self.faults(b"\x05\x00\x02x"))
        self.assertIn("0x21 is longer", self.faults(field(0x20, bytes(5) + b"\x21\x00\x09x")))
        self.assertIn("TLS field is cut off", self.faults(field(0x20, bytes(4))))
        self.assertIn("not four", self.faults(field(0x03, bytes(3))))
        self.assertIn("longer than 128", self.faults(field(0x05, bytes(129))))

    def test_fields_of_unknown_types_are_passed_over(self) -> None:
        """Balancers add their own (0xE0 and above), also within the TLS field."""
        known = field(0x20, b"\x01\0\0\0\0" + field(0x99, b"?") + field(0x21, b"TLSv1.3"))
        header = read(raw(0x21, 0x11, ADDRESSES + field(0xEA, b"vpce") + known + field(0x04, b"")))
        self.assertEqual(header.fields, Fields(tls=BalancerTls(is_used=True, version="TLSv1.3")))

    def test_a_field_that_is_there_twice_is_refused(self) -> None:
        """Another reader on the way may have believed the other one."""
        self.assertIn("unique_id twice", self.faults(field(0x05, b"a") + field(0x05, b"b")))

    def test_a_certificate_that_was_not_verified_says_so(self) -> None:
        """HAProxy lets such clients in where it is told to ignore errors."""
        for client, verify, expected in ((7, 0, True), (3, 18, False), (5, 0, True), (1, 0, False)):
            value = bytes([client]) + verify.to_bytes(4, "big")
            tls = read(raw(0x21, 0x11, ADDRESSES + field(0x20, value))).fields.tls
            assert tls is not None
            self.assertEqual((tls.is_used, tls.is_verified), (True, expected))

    def test_text_that_is_none_is_shown_escaped(self) -> None:
        """What a client sends as a name must not keep it out."""
        header = read(raw(0x21, 0x11, ADDRESSES + field(0x02, b"a\xff")))
        self.assertEqual(header.fields.authority, "a\\xff")
