"""What a [[listener]] may ask for, and what of it makes no sense."""

from __future__ import annotations

from tests.config.test_load import GOOD, LoadingTestCase


class ListenerTests(LoadingTestCase):
    """One line more in the listener of a good configuration."""

    def listener(self, *lines: str) -> str:
        return GOOD.replace('"tcp:587"', '"tcp:587"\n' + "\n".join(lines))

    def test_behind_a_load_balancer(self) -> None:
        """Networks, and the word for UNIX sockets; TLS may end in front of us."""
        loaded = self.load(self.listener('tls = "none"', 'proxy_from = ["10.0.0.5", "unix"]'))
        self.assertEqual(loaded.settings.listener[0].proxy_from, ("10.0.0.5", "unix"))
        said = self.problems(self.listener('proxy_from = ["10.0.0.5/24"]'))
        self.assertIn("listener[0].proxy_from", said)
        self.assertIn("Did you mean 10.0.0.0/24?", said)
        said = self.problems(self.listener('proxy_from = ["::ffff:10.0.0.0/120"]'))
        self.assertIn("Did you mean 10.0.0.0/24?", said)

    def test_old_tls_is_for_named_networks(self) -> None:
        """Without them anybody could choose to be read along."""
        said = self.problems(self.listener('quirks = ["legacy-tls"]'))
        self.assertIn("legacy-tls would let anybody", said)
        self.load(self.listener('quirks = ["legacy-tls"]', 'quirk_networks = ["10.1.9.0/24"]'))

    def test_networks_of_quirks_without_quirks(self) -> None:
        """Somebody forgot half of it."""
        said = self.problems(self.listener('quirk_networks = ["10.1.9.0/33"]'))
        self.assertIn("is of no use without quirks", said)
        self.assertIn("does not appear to be an IPv4 or IPv6 network", said)

    def test_sockets_of_systemd_and_unix(self) -> None:
        """Socket activation, by name and by number, and paths."""
        for place in ("systemd:domain=INET:index=0", "systemd:domain=INET6:name=smtp", "unix:/s"):
            loaded = self.load(GOOD.replace("tcp:587", place))
            self.assertEqual(loaded.settings.listener[0].endpoint, place)

    def test_more_certificates(self) -> None:
        """Their files are found beside the configuration, and looked at."""
        extra = '[[tls.extra]]\ncertificate = "x.crt"\nkey = "x.key"\n'
        said = self.problems(GOOD + extra)
        self.assertIn(f"tls.extra[0].certificate  {self.folder}/x.crt: No such file", said)
        self.assertIn("tls.extra[0].key", said)
