"""The scene in which the commands of the pages are run: a gateway with mail in it, a rehearsal.

What the pages call `relay@contoso.com`, `printer3` and the like is made anew before each block,
through the API; a message of `printer3` waits from the beginning.
"""

from __future__ import annotations

import re
import shutil
import smtplib
import ssl
from pathlib import Path
from typing import Any

from attrs import define, frozen

from m365gw.rehearsal.tenant import APP_ID, APP_SECRET, PUBLIC_APP_ID
from tests.documents.examples import FILLED
from tests.documents.pages import ROOT
from tests.moving.other_programs import (
    backup_of_simple_m365_relay,
    microsoft_smtp_oauth2_proxy,
    postfix,
    simple_m365_relay,
)
from tests.whole.stage import BIN, PASSWORD, PASSWORD_HASH, Gateway, Microsoft

RELAY, ALERTS, SCAN = "relay@contoso.example", "alerts@contoso.example", "scan@contoso.example"
CONFIGURATION = """\
hostname = "relay.example.com"
state_dir = "../state"
spool_dir = "../spool"
maildrop_dir = "../maildrop"

[[listener]]
name = "submission"
endpoint = "tcp:0:interface=127.0.0.1"
auth = "offer"
networks = ["10.0.0.0/8"]

[web]
endpoint = "tcp:0:interface=127.0.0.1"

[governor]
messages_per_minute = 1000000
burst = 1000

[log]
format = "json"
"""
APP = {"tenant": "contoso.example", "client_id": APP_ID, "cloud": "rehearsal"}
FILES = {
    "message.eml": f"From: {SCAN}\r\nTo: you@example.com\r\nSubject: Scan\r\n\r\nIt is here.\r\n",
    "secret.txt": APP_SECRET,
    "new-secret.txt": APP_SECRET,
    "root/backup-phrase": "a long passphrase",
    "privkey.pem": "as an ACME client leaves it",
    "fullchain.pem": "as an ACME client leaves it",
}
FOLDERS = ("srv/backup", "usr/local/bin", "usr/local/libexec", "var/lib/m365gw", "var/spool")


@frozen
class Entry:
    """Something every block finds: what a command calls it, where the API has it, all of it."""

    kind: str
    path: str
    key: str
    values: dict[str, Any]


# In this order, as each leans on those before.
ENTRIES = (
    Entry(
        "mailbox",
        "/mailboxes",
        "address",
        {**APP, "address": RELAY, "flow": "secret", "client_secret": APP_SECRET},
    ),
    Entry(
        "client",
        "/clients",
        "login",
        {
            "login": "printer3",
            "password_hash": PASSWORD_HASH,
            "senders": [SCAN, "scanner@contoso.example"],
            "mailbox": RELAY,
        },
    ),
    Entry(
        "network",
        "/networks",
        "cidr",
        {"cidr": "10.1.0.0/16", "senders": ["erp@contoso.example"], "mailbox": RELAY},
    ),
)


@define
class Scene:
    """Both processes, the folder of all pages, and what stands for names in braces."""

    folder: Path
    microsoft: Microsoft
    gateway: Gateway
    values: dict[str, str]

    @classmethod
    def made(cls, folder: Path, microsoft: Microsoft, gateway: Gateway) -> Scene:
        """The scene, once a message waits in it."""
        anybody = {"send_as": ["*@contoso.example", "*@*.contoso.example"]}
        soon = {"device_interval": 1.0}
        microsoft.ask("switches", {"mailboxes": {RELAY: anybody, ALERTS: {}}, "tenant": soon})
        microsoft.fault(phase="rcpt", match="*@old.example", answer="451 4.7.0 later", times=0)
        fixed = {
            "app": APP_ID,
            "public_app": PUBLIC_APP_ID,
            "password": PASSWORD,
            "programs": str(BIN),
            "configuration": str(gateway.config.parent),
            "copy": str(folder / "copy"),
            "token": "",
            "waiting": "",
            "page": "",
            "control": "",
        }
        scene = cls(folder, microsoft, gateway, fixed)
        folder.mkdir()
        gateway.config.write_text(CONFIGURATION)
        gateway.config.with_name("conf.d").mkdir()
        scene.listen()
        scene.leave_story()
        _copy_of_the_program(folder / "copy")
        said = gateway.command("token", "add", "reader").stdout
        scene.values["token"] = said.split("once: ")[1].split()[0]
        return scene

    @property
    def cloud(self) -> Path:
        """The file of the configuration that leads to the rehearsal."""
        return self.gateway.config.with_name("conf.d") / "rehearsal.toml"

    def begin_story(self) -> None:
        """Nobody is set up, and no rehearsal is known."""
        self.clear()
        self.cloud.unlink()
        self.gateway.api.post("/reload", {})

    def leave_story(self) -> None:
        """Back to what all other pages begin with; a message waits."""
        self.cloud.write_text(self.microsoft.cloud)
        self.gateway.api.post("/reload", {})
        self.furnish("")
        self.values["waiting"] = self.submit("kim@old.example")
        self.gateway.wait_for("delivery", qid=self.values["waiting"], status="deferred")

    def listen(self) -> None:
        """Note where the gateway listens, now that it does."""
        self.values["submission"] = str(self.gateway.ports["submission"])
        ready = self.gateway.of("web.ready") or [self.gateway.wait_for("web.ready")]
        (self.folder / ".curlrc").write_text(
            f"cacert = {self.gateway.config.parents[1]}/state/tls/self-signed.crt\n"
            f"connect-to = relay.example.com:587:127.0.0.1:{self.values['submission']}\n"
        )
        self.values["web"] = ready[-1]["address"].rpartition(":")[2]

    def submit(self, recipient: str) -> str:
        """A message of printer3, by AUTH LOGIN; its queue id."""
        with smtplib.SMTP("127.0.0.1", int(self.values["submission"])) as client:
            client.starttls(context=ssl._create_unverified_context())
            client.ehlo("printer3")
            client.user, client.password = "printer3", PASSWORD
            client.auth("LOGIN", client.auth_login, initial_response_ok=False)
            client.mail(SCAN)
            client.rcpt(recipient)
            _, text = client.data(FILES["message.eml"].encode())
        return text.decode().split()[-1]

    def furnish(self, text: str) -> None:
        """What every block begins with, but for what it adds itself."""
        found = re.findall(r"m365gw (\w+) add (\S+)", text)
        added = {(kind, self.filled(name)) for kind, name in found}
        for kind, name in added:
            if kind == "token":
                self.gateway.command("token", "remove", name)  # of an earlier page, perhaps
        self.clear()
        self.values["password"] = PASSWORD
        for entry in ENTRIES:
            if (entry.kind, entry.values[entry.key]) in added:
                break  # what follows leans on it
            self.gateway.api.post(f"{entry.path}/add", {"values": entry.values})

    def clear(self) -> None:
        """Take away who and what was set up by commands."""
        api = self.gateway.api
        for entry in reversed(ENTRIES):
            for row in api.get(entry.path):
                if row["origin"] == "directory":
                    api.post(f"{entry.path}/remove", {entry.key: row[entry.key]})

    def filled(self, text: str) -> str:
        """A text of a page with our names in the place of those of the page."""
        for pattern, name in FILLED:
            text = re.sub(pattern, name, text)
        return re.sub(r"\{(\w+)\}", lambda name: self.values.get(name[1], name[0]), text)

    def open(self, page: str) -> None:
        """A folder for the commands of a page, with the files they may name."""
        home = self.folder / page
        self.values["page"] = str(home)
        for folder in FOLDERS:
            (home / folder).mkdir(parents=True)
        for name, content in FILES.items():
            (home / name).parent.mkdir(exist_ok=True)
            (home / name).write_text(content)
            (home / name).chmod(0o600)
        shutil.copy(self.microsoft.folder / "rehearsal-ca.pem", home / "FILE.cer")
        simple_m365_relay(home / "srv/relay-data")
        backup_of_simple_m365_relay(home / "srv/relay-backup.zip")
        microsoft_smtp_oauth2_proxy(home / "srv/proxy")
        postfix(home / "srv/postfix")

    def stop(self, *, for_another_machine: bool = False) -> None:
        """Stop the gateway; on another machine nothing of it is there."""
        if self.gateway.process.poll() is None:
            self.gateway.stop()
        if for_another_machine:
            etc = self.gateway.config.parent
            shutil.rmtree(etc)
            shutil.rmtree(etc.parent / "state")

    def go_on(self) -> None:
        """Start the gateway if it was stopped."""
        if self.gateway.process.poll() is not None:
            self.gateway.start()
            self.listen()


def _copy_of_the_program(folder: Path) -> None:
    """As much of the repository as is changed by what changes its files."""
    shutil.copytree(ROOT / "m365gw", folder / "m365gw", ignore=shutil.ignore_patterns("*.pyc"))
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(BIN.parent)
