"""`m365gw queue shape`: recipients by how long they wait."""

from __future__ import annotations

import json

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.queue.commands import queue
from m365gw.cli.queue.shape import _recipient, _sender, counted_by
from m365gw.spool.browse import Wanted, browse
from tests.spool.mail import NOW, new_spool, put


class ShapeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()
        self.spool = new_spool(self.path)
        self.addCleanup(self.spool.close)
        put(self.spool, "a@one.test", "b@ONE.test", "c@two.test")
        put(self.spool, "d@two.test", sender="")

    def test_columns_are_ages(self) -> None:
        """Each recipient counts in the column of its age; the bounds belong to the younger."""
        for minutes, column in ((0, 1), (5, 1), (5.1, 2), (10, 2), (1280, 9), (1281, 10)):
            rows = counted_by(_recipient, browse(self.spool, Wanted()), NOW + 60 * minutes)
            self.assertEqual(list(rows), ["TOTAL", "one.test", "two.test"])
            self.assertEqual([row[0] for row in rows.values()], [4, 2, 2])
            self.assertEqual([row[column] for row in rows.values()], [4, 2, 2], minutes)

    def test_senders(self) -> None:
        """The null sender has a row of its own."""
        rows = counted_by(_sender, browse(self.spool, Wanted()), NOW)
        self.assertEqual(
            {name: row[0] for name, row in rows.items()}, {"TOTAL": 4, "contoso.com": 3, "<>": 1}
        )

    def test_as_a_table_and_as_json(self) -> None:
        """Both say the same, of the messages asked for."""
        arguments = ["shape", "--spool-dir", self.path, "--recipient", "*@one.test"]
        shown = CliRunner().invoke(queue, arguments)
        head, total, row = shown.stdout.splitlines()
        self.assertEqual(head.split()[:3], ["MAILBOX", "T", "5"])
        self.assertEqual(total.split()[:2], ["TOTAL", "3"])
        self.assertEqual(row.split()[:2], ["relay@contoso.com", "3"])
        told = CliRunner().invoke(queue, [*arguments, "--json"]).stdout.splitlines()
        self.assertEqual(json.loads(told[1])["mailbox"], "relay@contoso.com")
        self.assertEqual(json.loads(told[1])["minutes"]["older"], 3)
