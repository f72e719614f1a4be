"""Faults of form and of meaning told at once, and none that only follows from another."""

from __future__ import annotations

import re

from m365gw.config.load import load
from m365gw.config.problems import ConfigError, Problem
from tests.config.test_load import GOOD, HASH, LoadingTestCase

# Everything that looks at another table is here.
RICH = f"""\
hostname = "relay.example.com"

[[listener]]
name = "submission"
endpoint = "tcp:587"

[[listener]]
name = "printers"
endpoint = "tcp:25"
networks = ["10.1.0.0/16"]

[cloud.lab]
rehearsal = true
smtp = "127.0.0.1:2587"
authority = "https://127.0.0.1:8443/TENANT"
graph = "https://127.0.0.1:8443/graph/v1.0"

[[sign_in]]
name = "Contoso account"
tenant = "contoso.onmicrosoft.com"
client_id = "00000000-0000-0000-0000-000000000000"
client_secret = "s3cret"

[[mailbox]]
address = "relay@contoso.com"
flow = "device"
tenant = "contoso.onmicrosoft.com"
client_id = "00000000-0000-0000-0000-000000000000"
cloud = "lab"
fallback = "graph"

[[mailbox]]
address = "erp@contoso.com"
flow = "device"
tenant = "contoso.onmicrosoft.com"
client_id = "00000000-0000-0000-0000-000000000000"

[[client]]
login = "printer3"
password_hash = "{HASH}"
senders = ["scan@contoso.com"]
mailbox = "relay@contoso.com"

[[network]]
cidr = "10.1.0.0/16"
senders = ["erp@contoso.com"]
mailbox = "erp@contoso.com"

[[local]]
user = "www-data"
senders = ["shop@contoso.com"]
mailbox = "erp@contoso.com"

[queue]
report_from = "relay@contoso.com"

[alerts]
mail_from = "erp@contoso.com"
mail_to = ["ops@contoso.com"]

[web]
endpoint = "tcp:8025:interface=127.0.0.1"
public_url = "https://relay.example.com"
sign_in = "Contoso account"

[self_service]
enabled = true
allow = ["*@contoso.com"]
"""


class SoundTests(LoadingTestCase):
    def told(self, text: str) -> tuple[Problem, ...]:
        """What is wrong with it; nothing when it can be used."""
        self.config.write_text(text)
        try:
            load(str(self.config), {})
        except ConfigError as error:
            return error.problems
        return ()

    def test_form_and_meaning_at_once(self) -> None:
        """Also in other rows of the same table, each by the number it was given with."""
        again = '[[listener]]\nname = "again"\nendpoint = "nowhere"\n'
        said = self.problems(
            GOOD.replace('endpoint = "tcp:587"', 'endpoint = "tcp:587"\ntls = "startls"')
            .replace('mailbox = "relay@', 'mailbox = "rely@')
            .replace('"scan@contoso.com"', '"scan"')
            + again
            + "[queue]\nqueue_run_dely = 5\n"
        )
        for words in (
            'listener[0].tls  "startls" is not one of',
            'listener[1].endpoint  "nowhere" is not an endpoint',
            'client[0].mailbox  there is no mailbox "rely@contoso.com"',
            'client[0].senders  "scan"',
            "queue.queue_run_dely  unknown setting",
            "5 errors;",
        ):
            self.assertIn(words, said)

    def test_nothing_follows_from_what_is_malformed(self) -> None:
        """Whatever line of a configuration that is good cannot be read: it alone is told of."""
        self.assertEqual(self.told(RICH), ())
        lines = RICH.splitlines()
        for number, line in enumerate(lines):
            if not line:
                continue
            shapes = ("[[mailbx]]",) if line[0] == "[" else (
                re.sub("=.*", "= [[{}]]", line), re.sub("^([a-z_]+)", r"\1x", line)
            )  # fmt: skip
            for wrong in shapes:
                with self.subTest(line=line, wrong=wrong):
                    told = self.told("\n".join([*lines[:number], wrong, *lines[number + 1 :]]))
                    self.assertTrue(told)
                    for problem in told:
                        self.assertRegex(
                            problem.fault,
                            "^(must be|unknown setting|is missing|has the wrong|is not valid TOML)"
                            "|is not one of",
                        )
