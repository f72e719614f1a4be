"""Local programs hand in mail by `sendmail`, with the service running and without.

The real command under the name it is known by, run by users of this machine; Microsoft receives.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections import Counter

from m365gw.cli.postfix.drop import drop
from m365gw.smtp.dropped import Dropped, render
from tests.whole.stage import BIN, CONFIGURATION, RELAY, SENDER, Gateway, WholeTestCase, await_

USER = pwd.getpwuid(os.geteuid()).pw_name
RULE = f"""
[[local]]
user = "{USER}"
senders = ["*@contoso.example"]
mailbox = "{RELAY}"
default_from = "{SENDER}"
recipient = "admin@contoso.example"
"""


class SendmailTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")
        self.maildrop = self.folder / "maildrop"
        self.command = self.folder / "sendmail"
        self.command.symlink_to(BIN / "m365gw")

    def begin(self, rule: str = RULE) -> Gateway:
        """A gateway with this rule for local programs."""
        places = f'spool_dir = "spool"\nmaildrop_dir = "{self.maildrop}"\n'
        configuration = CONFIGURATION.replace('spool_dir = "spool"\n', places)
        return self.gateway(self.microsoft365, rule, configuration)

    def sendmail(self, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it as a local program would, knowing nothing but where the maildrop is."""
        return subprocess.run(
            [self.command, *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "M365GW_MAILDROP_DIR": str(self.maildrop)},
        )

    def test_mail_of_a_local_program_arrives(self) -> None:
        """-t with Bcc, a missing sender, a stray dot: completed, sent, and nothing left behind."""
        gateway = self.begin()
        text = (
            "To: you@elsewhere.example\nBcc: hidden@elsewhere.example\nSubject: hi\n\none\n.\ntwo\n"
        )
        done = self.sendmail(text, "-t", "-i", "-F", "Web Server", "root")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        (message,) = self.microsoft365.wait_for(1)
        self.assertEqual(message["sender"], SENDER)
        recipients = {"admin@contoso.example", "you@elsewhere.example", "hidden@elsewhere.example"}
        self.assertEqual(set(message["recipients"]), recipients)
        content = self.microsoft365.content(message["number"]).decode()
        self.assertIn(f"\r\nFrom: Web Server <{SENDER}>\r\n", content)
        self.assertIn("\r\nDate: ", content)
        self.assertIsNotNone(
            re.search(r"\r\nMessage-ID: <\S+@gateway\.contoso\.example>\r\n", content)
        )
        self.assertTrue(content.endswith("\r\n\r\none\r\n.\r\ntwo\r\n"), content)
        self.assertNotIn("hidden", content)
        self.assertEqual(gateway.of("message.queued")[-1]["uid"], os.geteuid())
        await_(lambda: not any((self.maildrop / "taken").iterdir()), "the maildrop is not emptied")

    def test_it_is_taken_while_the_service_is_down(self) -> None:
        """Exit code 0 with the service stopped; the message leaves when it is back."""
        gateway = self.begin()
        gateway.stop()
        done = self.sendmail("Subject: night\n\nx\n", "you@elsewhere.example")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len([path for path in self.maildrop.iterdir() if path.is_file()]), 2)
        gateway.start()
        (message,) = self.microsoft365.wait_for(1)
        self.assertIn(b"Subject: night", self.microsoft365.content(message["number"]))

    def test_a_user_without_a_rule_is_told_at_once(self) -> None:
        """By exit code 77, in Postfix's words; and a file of its own making is refused."""
        gateway = self.begin(RULE.replace(f'"{USER}"', '"4242"'))
        done = self.sendmail("x\n", "you@elsewhere.example")
        said = f"sendmail: fatal: User {USER}({os.geteuid()}) is not allowed to submit mail\n"
        self.assertEqual((done.returncode, done.stderr), (77, said))
        dropped = Dropped(SENDER, ("you@elsewhere.example",))
        drop(str(self.maildrop), render(dropped, b"Subject: x\r\n\r\n"))
        event = gateway.wait_for("message.refused")
        self.assertEqual(event["uid"], os.geteuid())
        self.assertEqual(
            [path.name for path in (self.maildrop / "refused").iterdir()], [event["file"]]
        )
        self.assertEqual(self.microsoft365.messages(), [])

    def test_nothing_is_lost_when_the_service_is_killed(self) -> None:
        """kill -9 while it picks up: all arrive; twice only what the log says may arrive twice."""
        gateway = self.begin()
        wanted = {f"n{number}" for number in range(120)}
        for number, name in enumerate(sorted(wanted)):
            dropped = Dropped(SENDER, (f"{name}@elsewhere.example",))
            drop(str(self.maildrop), render(dropped, b"Subject: x\r\n\r\n"))
            if number % 30 == 29:
                await_(
                    lambda at_least=number - 25: len(self.arrived()) > at_least,
                    "the service does not get on",
                )
                gateway.kill()
                gateway.start()
        await_(lambda: set(self.arrived()) == wanted, "not all have arrived")
        await_(gateway.is_drained, "the spool does not drain")
        twice = [name for name, count in Counter(self.arrived()).items() if count > 1]
        uncertain = gateway.of("message.uncertain") + gateway.of("delivery", status="uncertain")
        self.assertLessEqual(len(twice), len(uncertain))

    def arrived(self) -> list[str]:
        """The local part of each recipient that Microsoft has."""
        return [
            recipient.partition("@")[0]
            for message in self.microsoft365.messages()
            for recipient in message["recipients"]
        ]
