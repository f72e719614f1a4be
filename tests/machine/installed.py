"""The service on a Debian of its own: installed, set up, upgraded, restored, moved to.

One story, in the order in which a reader comes to the pages. What they promise is looked at from
outside: mail arrives at the rehearsal, each message once.
"""

from __future__ import annotations

import json
import re

from tests.documents.pages import ROOT
from tests.machine.case import MachineTestCase
from tests.machine.machine import PATIENCE

REHEARSAL = "docs/rehearsal.md"
SENT = "curl --silent --fail http://127.0.0.1:10080/rehearsal/messages"
CLIENTS = "--yes --no-install-recommends curl libnet-ssleay-perl swaks"
RELAY, YOU = "relay@contoso.example", "you@example.com"


class InstalledTests(MachineTestCase):
    def test_every_command_that_changes_a_machine(self) -> None:
        """From an empty Debian to a gateway that was upgraded, restored and moved to."""
        self.root = self.reader("root", "/root")
        self.walk(
            self.install,
            self.set_up,
            self.send,
            self.stay_in_the_sandbox,
            self.upgrade_while_mail_waits,
            self.restore_on_another_machine,
            self.take_over_the_queue_of_postfix,
            self.let_systemd_open_the_ports,
        )

    def install(self) -> None:
        """README: the journal tells where the set-up page is, and it is there."""
        self.root.follow("README.md", "useradd")
        box = r"Nothing is configured yet[^+]* (http\S+)[^+]* One-time password: +(?:\w{4}-?){4} "
        self.machine.wait_until(
            lambda: bool(re.search(box, self.machine.journal("m365gw"))), "there is no box"
        )
        [address] = re.findall(box, self.machine.journal("m365gw"))
        self.machine.run(f"apt-get install {CLIENTS}", fetches=True)
        self.machine.path("/root/.swaksrc").write_text(f"--timeout {PATIENCE:.0f}\n")
        self.assertIn("One-time password", self.machine.run(f"curl --silent --fail {address}"))

    def set_up(self) -> None:
        """The page of the rehearsal: by commands, to the first delivered mail. Root is enough."""
        self.root.follow(REHEARSAL, "m365gw rehearsal")
        self.root.follow(REHEARSAL, "cloud.toml")
        self.assertIn("Microsoft", self.root.follow(REHEARSAL, "m365gw mailbox add"))
        self.wait_for(1)
        self.machine.run("m365gw operator add ann && m365gw token add monitoring")

    def send(self) -> None:
        """By swaks on port 587, with STARTTLS and login; without it is a line in the journal."""
        self.root.follow(REHEARSAL, "swaks")
        self.wait_for(2)
        self.assertFalse(
            self.machine.ends(f"swaks --server localhost:587 --from {RELAY} --to {YOU}")
        )
        self.machine.wait_until(
            lambda: "NOQUEUE" in self.machine.run("journalctl -u m365gw"), "no refusal is logged"
        )

    def stay_in_the_sandbox(self) -> None:
        """What the unit takes away is away: systemd can do all of it in our namespaces."""
        status = self.of_the_service("status")
        for held in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t0000000000000400"):
            self.assertIn(held, status)
        mounts = self.of_the_service("mounts")
        for path, how in (("/", "ro"), ("/home", "ro"), ("/dev", "ro"), ("/var/lib/m365gw", "rw")):
            self.assertRegex(mounts, rf"(?m)^\S+ {path} \S+ {how},")

    def upgrade_while_mail_waits(self) -> None:
        """What waited before is sent after."""
        self.machine.run(f"m365gw mailbox pause {RELAY} --why upgrade")
        self.root.follow(REHEARSAL, "swaks", only="swaks")
        self.root.follow("docs/operating.md", "m365gw queue hold", only="queue hold")
        self.machine.run(f"m365gw mailbox resume {RELAY}")
        said = self.root.follow("docs/operating.md", "systemctl restart")
        self.assertRegex(said, r"m365gw, version \d")
        self.assertIn("scanner@contoso.example", self.machine.run("m365gw queue list"))
        self.root.follow("docs/operating.md", "m365gw queue hold", only="queue release")
        self.wait_for(3)

    def restore_on_another_machine(self) -> None:
        """One on which only the program is there: the sign-in and the login are as they were."""
        names = {"FILE": "/srv/m365gw.backup"}
        self.machine.run("echo 'a long passphrase' >backup-phrase && chmod 0600 backup-phrase")
        self.root.follow("docs/backup.md", "m365gw backup FILE", **names)
        self.machine.run(
            "systemctl stop m365gw && rm -r /etc/m365gw\n"  # the next line leaves the rehearsal
            "find /var/lib/m365gw /var/spool/m365gw -mindepth 1 -maxdepth 1 ! -name rehearsal"
            " -exec rm -r {} +"
        )
        self.root.follow("README.md", "useradd", only="install -d")
        self.root.follow("docs/backup.md", "m365gw restore", **names)
        self.root.follow(REHEARSAL, "swaks")
        self.wait_for(4)

    def take_over_the_queue_of_postfix(self) -> None:
        """A real one, whose mail waits for a relay that is not there any more."""
        self.machine.run("apt-get install --yes --no-install-recommends postfix", fetches=True)
        self.machine.run("postconf -e 'relayhost = [127.0.0.1]:9' && postfix reload")
        self.machine.run(f"sendmail -f alerts@contoso.example {YOU}", typed="Waits.\n")
        self.machine.wait_until(
            lambda: "refused" in self.machine.run("/usr/bin/mailq"), "Postfix does not keep it"
        )
        self.root.follow("docs/moving.md", "m365gw listener add handover")
        self.root.follow("docs/moving.md", "postconf -e")
        self.wait_for(5)
        self.machine.run("systemctl disable --now postfix")

    def let_systemd_open_the_ports(self) -> None:
        """As the unit of the sockets says: no right is needed, and who connects early waits."""
        unit = (ROOT / "etc/m365gw.socket").read_text()
        listeners = re.findall(r"^#   (.*)$", unit, re.MULTILINE)
        self.machine.path("/etc/m365gw/conf.d/sockets.toml").write_text("\n".join(listeners))
        drop_in = self.machine.path("/etc/systemd/system/m365gw.service.d/sockets.conf")
        drop_in.parent.mkdir()
        drop_in.write_text("[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\n")
        self.root.type(
            "m365gw listener remove devices --yes && systemctl stop m365gw\n"
            "cp etc/m365gw.socket /etc/systemd/system/ && systemctl daemon-reload\n"
            "systemctl enable --now m365gw.socket"
        )
        self.assertFalse(self.machine.ends("systemctl is-active m365gw"))
        self.root.follow(REHEARSAL, "swaks", only="swaks")
        self.wait_for(6)
        self.assertIn("CapBnd:\t0000000000000000", self.of_the_service("status"))

    def of_the_service(self, name: str) -> str:
        """A file that the kernel has of its main process."""
        process = "$(systemctl show --value --property=MainPID m365gw)"
        return self.machine.run(f"cat /proc/{process}/{name}")

    def arrived(self) -> int:
        """How many messages the rehearsal has taken."""
        return len(json.loads(self.machine.run(SENT))["messages"])

    def wait_for(self, count: int) -> None:
        """Until so many messages have arrived, and no more."""
        self.machine.wait_until(lambda: self.arrived() >= count, f"{count} did not arrive")
        self.assertEqual(count, self.arrived())
