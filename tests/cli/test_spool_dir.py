"""Which spool a command looks at, and what it says when it cannot."""

from __future__ import annotations

import json
import os
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.main import main
from m365gw.cli.queue.commands import queue
from m365gw.config import places
from tests.spool.mail import new_spool, put


class SpoolDirTests(SynchronousTestCase):
    """Which spool is looked at."""

    def test_the_configuration_names_the_spool(self) -> None:
        """Without the option it is `spool_dir`, whatever mistakes stand beside it."""
        path = self.mktemp()
        spool = new_spool(path)
        self.addCleanup(spool.close)
        entry = put(spool)
        config = Path(self.mktemp())
        config.write_text(f'spool_dir = "{Path(path).absolute()}"\nno_such_key = 1\n')
        result = CliRunner().invoke(main, ["-c", str(config), "queue", "list", "--json"])
        self.assertEqual(json.loads(result.stdout)["queue_id"], entry.queue_id)

    def test_a_configuration_one_may_not_read(self) -> None:
        """The usual places are looked in, and that is said once."""
        config = Path(self.mktemp())
        config.write_text("")

        def refused(*_: object) -> None:
            raise PermissionError

        places.open = refused  # type: ignore[attr-defined]
        self.addCleanup(delattr, places, "open")
        self.patch(os, "environ", {"M365GW_SPOOL_DIR": self.mktemp()})
        result = CliRunner().invoke(main, ["-c", str(config), "queue", "list"])
        self.assertEqual(result.exit_code, 66)
        told, missing = result.stderr.splitlines()
        self.assertIn(f"You may not read {config.absolute()}", told)
        self.assertIn("There is no spool at", missing)

    def test_a_named_spool_needs_no_configuration(self) -> None:
        """A broken configuration does not keep anybody from looking at the queue."""
        path = self.mktemp()
        new_spool(path).close()
        broken = self.mktemp()
        Path(broken).write_text("this is no TOML")
        arguments = ["--config", broken, "queue", "list"]
        refused = CliRunner().invoke(main, arguments)
        self.assertEqual(refused.exit_code, 78)
        self.assertIn("name it: --spool-dir DIR", refused.stderr)
        result = CliRunner().invoke(main, [*arguments, "--spool-dir", path])
        self.assertEqual((result.exit_code, result.output), (0, "No messages.\n"))

    def test_no_spool(self) -> None:
        """A folder that is not there ends with 66 and words, never with an empty listing."""
        result = CliRunner().invoke(queue, ["list", "--spool-dir", self.mktemp()])
        self.assertEqual((result.exit_code, result.stdout), (66, ""))
        self.assertIn("The service makes it when it first starts", result.stderr)

    def test_a_folder_that_is_no_spool(self) -> None:
        """Something else than a spool is an error as well."""
        path = Path(self.mktemp())
        path.mkdir()
        result = CliRunner().invoke(queue, ["list", "--spool-dir", str(path)])
        self.assertEqual((result.exit_code, result.stdout), (69, ""))
        self.assertIn(str(path), result.stderr)

    def test_a_spool_one_may_not_read(self) -> None:
        """Missing rights end with 77 and say as whom to run it."""
        path = self.mktemp()
        new_spool(path).close()
        self.patch(os, "access", lambda path, mode: False)
        result = CliRunner().invoke(queue, ["list", "--spool-dir", path])
        self.assertEqual((result.exit_code, result.stdout), (77, ""))
        self.assertIn("as the user of the service or as root", result.stderr)
