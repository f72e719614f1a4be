"""Exits of mailboxes, and the Graph address of a cloud: what makes no sense is said."""

from __future__ import annotations

from tests.config.test_load import GOOD, LoadingTestCase

CLOUD = """
[cloud.mine]
smtp = "127.0.0.1:2587"
authority = "https://127.0.0.1:8443/TENANT"
rehearsal = true
"""


class ExitTests(LoadingTestCase):
    """One line more in the mailbox, or in the cloud, of a good configuration."""

    def mailbox(self, *lines: str) -> str:
        return GOOD.replace('flow = "device"', 'flow = "device"\n' + "\n".join(lines))

    def test_graph_and_its_fallback(self) -> None:
        """Either exit, with the other one behind it or without."""
        [box] = self.load(self.mailbox('exit = "graph"', 'fallback = "smtp"')).settings.mailbox
        self.assertEqual((box.exit, box.fallback), ("graph", "smtp"))
        [box] = self.load(self.mailbox('fallback = "graph"')).settings.mailbox
        self.assertEqual((box.exit, box.fallback), ("smtp", "graph"))

    def test_a_fallback_is_another_exit(self) -> None:
        """The same exit twice is a misunderstanding."""
        said = self.problems(self.mailbox('fallback = "smtp"'))
        self.assertIn("mailbox[0].fallback", said)
        self.assertIn("Name the other exit", said)

    def test_a_cloud_without_graph(self) -> None:
        """Who leaves by Graph needs its address."""
        lines = ('cloud = "mine"', 'exit = "graph"')
        self.assertIn("[cloud.mine] has no", self.problems(self.mailbox(*lines) + CLOUD))
        self.load(self.mailbox(*lines) + CLOUD + 'graph = "https://127.0.0.1:8443/graph/v1.0"\n')

    def test_addresses_of_graph(self) -> None:
        """It is an https address, of a rehearsal where that is one, and only there."""
        said = self.problems(GOOD + CLOUD + 'graph = "http://127.0.0.1/graph"\n')
        self.assertIn("is not the base address of Graph", said)
        said = self.problems(GOOD + CLOUD + 'graph = "https://graph.microsoft.com/v1.0"\n')
        self.assertIn("cloud.mine.graph", said)
        self.assertIn("only for one", said)
