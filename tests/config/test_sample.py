"""`etc/m365gw.toml` is the reference of the configuration, so it is held against the code.

Every setting must be in the file, active or as a comment `#key = value`; nothing else may be; and
a commented value must be the default wherever there is one.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config import settings as model
from m365gw.config.alerts import Webhook
from m365gw.config.load import load
from m365gw.config.sources import Tree
from m365gw.config.structure import settings_from

SAMPLE = Path(__file__).parents[2] / "etc" / "m365gw.toml"
TABLES: dict[str, type[Any]] = {
    "": model.Settings,
    "directory": model.Directory,
    "tls": model.Tls,
    "tls.extra": model.Certificate,
    "listener": model.Listener,
    "mailbox": model.Mailbox,
    "client": model.Client,
    "client.password": model.Password,
    "network": model.Network,
    "local": model.Local,
    "queue": model.Queue,
    "limits": model.Limits,
    "logins": model.Logins,
    "governor": model.Governor,
    "web": model.Web,
    "self_service": model.SelfService,
    "sign_in": model.SignIn,
    "log": model.Log,
    "alerts": model.Alerts,
    "alerts.webhook": Webhook,
    "doctor": model.Doctor,
    "cloud": model.CustomCloud,
}


def uncommented(text: str) -> str:
    """The sample with every commented setting switched on."""
    return re.sub(r"(?m)^#(?=\[|\w+ = )", "", text)


def keys_of(text: str) -> dict[str, set[str]]:
    """Table name to the keys the sample shows in it, active or commented."""
    keys: dict[str, set[str]] = {"": set()}
    table = ""
    for line in uncommented(text).splitlines():
        if match := re.match(r"\[\[?([\w.]+)", line):
            table = match.group(1)
            table = table if table in TABLES else table.partition(".")[0]
            keys.setdefault(table, set())
        elif match := re.match(r"(\w+) = ", line):
            keys[table].add(match.group(1))
    return keys


class SampleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = SAMPLE.read_text()

    def test_every_setting_is_shown(self) -> None:
        """No setting is missing from the sample, and none is there that does not exist."""
        shown = keys_of(self.text)
        for name, kind in TABLES.items():
            with self.subTest(table=name):
                known = {attribute.name for attribute in attrs.fields(kind)}
                inside = f"{name}." if name else ""
                known -= {
                    table.removeprefix(inside) for table in TABLES if table.startswith(inside)
                }
                self.assertEqual(shown[name], known)

    def test_commented_values_are_the_defaults(self) -> None:
        """Taking a "#" away changes nothing."""
        defaults = model.Settings()
        for table in ("queue", "limits", "logins", "governor", "log", "tls", "alerts", "doctor"):
            section = re.search(rf"(?ms)^\[{table}\]\n(.*?)(?=^#?\[|\Z)", self.text)
            assert section is not None
            values = tomllib.loads(uncommented(section.group(1)))
            built, problems = settings_from(Tree({table: values}))
            with self.subTest(table=table):
                assert built is not None, problems
                self.assertEqual(getattr(built, table), getattr(defaults, table))

    def test_every_setting_at_once_is_well_formed(self) -> None:
        """The sample with every "#" taken away is still a configuration."""
        built, problems = settings_from(Tree(tomllib.loads(uncommented(self.text))))
        self.assertEqual(problems, [])
        assert built is not None
        self.assertTrue(built.cloud["rehearsal"].rehearsal)

    def test_as_shipped_it_loads(self) -> None:
        """With its secret beside it the sample is a good configuration."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "m365gw.toml").write_text(self.text)
        (folder / "client-secret").write_text("s")
        os.chmod(folder / "client-secret", 0o600)
        loaded = load(str(folder / "m365gw.toml"), {})
        self.assertEqual(loaded.settings.mailbox[0].client_secret, "s")
