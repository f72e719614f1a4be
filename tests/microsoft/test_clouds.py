"""Clouds: presets, and clouds built from configured values."""

from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.clouds import PRESETS, Cloud, custom, is_loopback, split_host_port


def rehearsal(
    smtp: str, *, rehearsal: bool = True, authority: str = "https://h:8443/TENANT"
) -> Cloud:
    return custom(
        "mine", smtp=smtp, authority=authority, scope="s", user_scope="u", rehearsal=rehearsal
    )


class PresetTests(SynchronousTestCase):
    """The clouds Microsoft runs."""

    def test_each_cloud_has_its_own_host_and_a_tenant_in_its_authority(self) -> None:
        """No two clouds share a submission host, and each authority can be given a tenant."""
        self.assertEqual(set(PRESETS), {"worldwide", "gcc-high", "dod", "china"})
        self.assertEqual(len({cloud.smtp_host for cloud in PRESETS.values()}), 4)
        for cloud in PRESETS.values():
            with self.subTest(cloud=cloud.name):
                self.assertTrue(cloud.authority_of("t1").endswith("/t1"))
                self.assertEqual(cloud.smtp_port, 587)
                self.assertTrue(cloud.scope.endswith("/.default"))
                self.assertTrue(cloud.user_scope.endswith("/SMTP.Send"))
                self.assertTrue(cloud.graph_scope.endswith("/.default"))
                self.assertTrue(cloud.graph_user_scope.endswith("/Mail.Send"))
                self.assertFalse(cloud.rehearsal)

    def test_worldwide_values(self) -> None:
        """The values nearly everybody uses are the documented ones."""
        cloud = PRESETS["worldwide"]
        self.assertEqual(cloud.smtp_host, "smtp.office365.com")
        self.assertEqual(cloud.scope, "https://outlook.office365.com/.default")
        self.assertEqual(cloud.user_scope, "https://outlook.office.com/SMTP.Send")

    def test_each_exit_has_a_scope_of_its_own(self) -> None:
        """A token for SMTP is none for Graph, with a user and without."""
        cloud = PRESETS["worldwide"]
        self.assertEqual(cloud.app_scope("smtp"), "https://outlook.office365.com/.default")
        self.assertEqual(cloud.app_scope("graph"), "https://graph.microsoft.com/.default")
        self.assertEqual(cloud.person_scope("smtp"), "https://outlook.office.com/SMTP.Send")
        self.assertEqual(cloud.person_scope("graph"), "https://graph.microsoft.com/Mail.Send")


class CustomTests(SynchronousTestCase):
    """Clouds of one's own."""

    def test_values_are_taken_as_given(self) -> None:
        """Nothing is derived from anything else."""
        cloud = rehearsal("127.0.0.1:2587")
        self.assertEqual((cloud.smtp_host, cloud.smtp_port), ("127.0.0.1", 2587))
        self.assertEqual((cloud.scope, cloud.user_scope, cloud.graph), ("s", "u", ""))

    def test_loopback_needs_rehearsal(self) -> None:
        """A real configuration cannot point at a rehearsal on this machine by accident."""
        for host in ("127.0.0.1:25", "localhost:25", "[::1]:25", "x.localhost.:25", "0.0.0.0:25"):
            with self.subTest(host=host), self.assertRaises(ValueError):
                rehearsal(host, rehearsal=False)
        self.assertFalse(rehearsal("smtp.example.com", rehearsal=False).rehearsal)

    def test_bad_values_are_named(self) -> None:
        """What cannot work is refused with the text that was given."""
        for smtp in ("", ":25", "h:0", "h:65536", "h:x", "::1:25", "h:"):
            with self.subTest(smtp=smtp), self.assertRaises(ValueError):
                rehearsal(smtp)
        for authority in ("http://h/TENANT", "https://h/common"):
            with self.subTest(authority=authority):
                error = self.assertRaises(ValueError, rehearsal, "h", authority=authority)
                self.assertIn(authority, str(error))

    def test_host_and_port(self) -> None:
        """The port may be left out, and IPv6 addresses have brackets."""
        self.assertEqual(split_host_port("h"), ("h", 587))
        self.assertEqual(split_host_port("[::1]"), ("::1", 587))
        self.assertEqual(split_host_port("[2001:db8::1]:25"), ("2001:db8::1", 25))
        self.assertFalse(is_loopback("2001:db8::1"))
