"""The page of ways to sign in and how they break, walked with a gateway and rehearsal of its own.

Its commands run as they stand. Its tables are taken at their word: by each mailbox that needs no
person a mail arrives, and the rehearsal understands each order.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from unittest import mock

from m365gw.rehearsal.tenant import APP_ID
from tests.documents.pages import ROOT, blocks, commands
from tests.whole.stage import BIN, PATIENCE, RELAY, Gateway, WholeTestCase, await_

PAGE = "docs/rehearsal-flows.md"
BY_THE_STAGE = frozenset({"export M365GW_CONFIG=$PWD/m365gw.toml", "twistd -n m365gw"})
ENDS = {f"m365gw doctor {RELAY}": 1}  # as it finds what was broken
WITHOUT_A_PERSON = (
    ("certificate", RELAY),
    ("federated", RELAY),
    ("managed-identity", RELAY),
    ("certificate", "connector@contoso.example"),
)
ORDERS = 26  # in the tables of what can be broken, and how it is mended
JSON_LOG = '\n[log]\nformat = "json"\n'


class PageTests(WholeTestCase):
    """In the order of the page."""

    def test_the_page_is_walked(self) -> None:
        """Commands, mailboxes, orders."""
        self.rehearsal = self.microsoft()
        self.control = f"127.0.0.1:{self.rehearsal.ports['control']}"
        azure = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": f"http://{self.control}"}
        first, *lines = (
            command.line
            for block in blocks("console")
            if block.page == PAGE
            for command in commands(block)
        )
        whole = self.configuration(first)
        self.rehearsal.cloud = ""  # it is in there
        with mock.patch.dict(os.environ, azure):
            gateway = self.gateway(self.rehearsal, configuration=with_mailbox(whole, "secret"))
        for line in lines:
            if line not in BY_THE_STAGE:
                self.run_line(gateway, line)
            if line in ENDS:  # a try that is under way does not know what is mended meanwhile
                await_(lambda: gateway.of("delivery", status="held"), "nothing was refused")
        await_(gateway.is_drained, "what waited did not go when it was mended")
        for flow, address in WITHOUT_A_PERSON:
            self.carry_one(gateway, whole, flow, address)
        self.give_all_orders()

    def configuration(self, append: str) -> str:
        """What a reader has in m365gw.toml once the cloud is added, by the command of the page."""
        self.page = self.folder / "page"
        self.page.mkdir()
        (self.page / "microsoft").symlink_to(self.rehearsal.folder)
        [text] = (block.text for block in blocks("toml") if block.page == PAGE)
        file = self.page / "m365gw.toml"
        file.write_text(text.replace("tcp:2525:", "tcp:0:") + JSON_LOG)
        subprocess.run(["bash", "-c", append], cwd=self.page, check=True, timeout=PATIENCE)
        return file.read_text()

    def run_line(self, gateway: Gateway, line: str) -> None:
        """A command, in the folder of the page."""
        filled = line.replace("127.0.0.1:10080", self.control)
        filled = filled.replace("127.0.0.1:2525", f"127.0.0.1:{gateway.ports['submission']}")
        done = subprocess.run(
            ["bash", "-c", filled],
            cwd=self.page,
            env={
                **os.environ,
                "PATH": f"{BIN}:{os.environ['PATH']}",
                "M365GW_CONFIG": str(gateway.config),
                "M365GW_CONTROL_SOCKET": str(gateway.control),
                "NO_PROXY": "*",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(ENDS.get(line, 0), done.returncode, f"{line}\n{done.stdout}")

    def carry_one(self, gateway: Gateway, whole: str, flow: str, address: str) -> None:
        """By another mailbox of cloud.toml a mail arrives."""
        changed = with_mailbox(whole, flow, address)
        gateway.config.write_text(changed.replace(f'mailbox = "{RELAY}"', f'mailbox = "{address}"'))
        self.run_line(gateway, "m365gw reload")
        recipient = f"{flow}-{address}"
        self.run_line(gateway, f"swaks --server 127.0.0.1:2525 --from {RELAY} --to {recipient}")
        await_(
            lambda: any(recipient in each["recipients"] for each in self.rehearsal.messages()),
            f"nothing came by {flow} of {address}",
        )

    def give_all_orders(self) -> None:
        """The rehearsal takes each; one that makes no sense would be answered with 400."""
        text = (ROOT / PAGE).read_text(encoding="utf-8").replace("APP", APP_ID)
        switches, faults = text.split("**Faults** strike")
        orders = re.findall(r"^\| [^|]+ \| `(\w+)` \| `(\{.*?\})` \|", switches, re.MULTILINE)
        orders += (
            ("faults", order)
            for order in re.findall(r"^\| [^|]+ \| `(\{.*?\})` \|", faults, re.MULTILINE)
        )
        self.assertEqual(ORDERS, len(orders))
        for path, order in orders:
            self.rehearsal.ask(path, json.loads(order))
        self.rehearsal.mend()


def with_mailbox(whole: str, flow: str, address: str = RELAY) -> str:
    """The configuration with the "#" taken away from one mailbox."""
    pattern = rf'^#\[\[mailbox\]\]\n#address = "{re.escape(address)}"\n#flow = "{flow}"\n(?:#.*\n)+'
    found = re.search(pattern, whole, re.MULTILINE)
    assert found, f"cloud.toml has no mailbox {address} of flow {flow}"
    return whole.replace(found[0], found[0].replace("#", ""))
