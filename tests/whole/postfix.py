"""Debian's Postfix and our spool with the same messages in them, for its tools and ours to act on.

The messages are handed to a real Postfix whose next hop refuses every connection; when all are
deferred it is stopped, and what it holds is put into a spool of ours: the same content, arrival
times, addresses and reasons. Queue ids cannot be the same, so outputs are compared with Postfix's
ids replaced by ours.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import smtplib
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from attrs import define

from bench.postfix import postfix
from bench.servers import free_port
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool
from tests.cli.postfix_call import Outputs, call
from tests.whole.stage import await_

SETTINGS = {
    "enable_long_queue_ids": "yes",
    "smtpd_tls_security_level": "none",
    "smtpd_tls_chain_files": "",
    "maillog_file": "",
    "in_flow_delay": "0",
}
LONG = f"{'long' * 16}@{'a-rather-long-domain.' * 5}example"
# Sender, recipients, octets of the body.
MESSAGES: list[tuple[str, list[str], int]] = [
    ("app@contoso.com", ["a@d.example"], 10),
    ("app@contoso.com", ["a@d.example", "b@d.example", "c@sub.other.example"], 2000),
    ("", ["admin@contoso.com"], 100),
    (LONG, [LONG, "x@y.example"], 100),
    ('"two words"@contoso.com', ['"a\\"quote"@d.example', "o'neil+tag@d.example"], 100),
    ("fax@contoso.com", ["big@other.example"], 3_000_000),
]


@define
class Both:
    """The two queues in one folder: `queue` is Postfix's, `spool` ours."""

    folder: Path
    ids: dict[str, str]  # Postfix's queue id to ours, in the order of MESSAGES

    def copy(self) -> Both:
        """Both queues once more, with owners and permissions."""
        to = Path(tempfile.mkdtemp(prefix="copy-", dir=self.folder.parent))
        subprocess.run(["cp", "-a", f"{self.folder}/.", to], check=True)
        main = to / "etc" / "main.cf"
        main.write_text(main.read_text().replace(str(self.folder), str(to)))
        copied = Both(to, self.ids)
        copied.settle_configuration()
        return copied

    def settle_configuration(self) -> None:
        """Make it look old: Postfix waits for seconds for one that may still be being written."""
        os.utime(self.folder / "etc" / "main.cf", (0, 0))

    def theirs(self, name: str, *arguments: str, stdin: str = "") -> Outputs:
        """Run Postfix's command, with our ids as arguments; its output with our ids."""
        back = {ours: theirs for theirs, ours in self.ids.items()}
        words = [_replaced(argument, back) for argument in arguments]
        configuration = str(self.folder / "etc")
        done = subprocess.run(
            [name, *words],
            input=_replaced(stdin, back),
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": f"{os.environ['PATH']}:/usr/sbin", "MAIL_CONFIG": configuration},
        )
        return Outputs(
            done.returncode, _replaced(done.stdout, self.ids), _replaced(done.stderr, self.ids)
        )

    def ours(self, name: str, *arguments: str, stdin: str = "") -> Outputs:
        """Run our command."""
        done = call(
            name,
            *arguments,
            spool=str(self.folder / "spool"),
            maildrop=str(self.folder / "maildrop"),
            stdin=stdin.encode(),
        )
        # Our messages were Postfix's, and bear its ids in their trace fields.
        return Outputs(
            done.code, _replaced(done.stdout, self.ids), _replaced(done.stderr, self.ids)
        )


def _replaced(text: str, ids: dict[str, str]) -> str:
    """The text with other queue ids, what stands in columns behind them where it was."""
    for one, other in ids.items():
        text = re.sub(
            rf"{one}([*!#]?)(  +|)",
            lambda found, other=other: (other + found[1]).ljust(len(found[0]) if found[2] else 0),
            text,
        )
    return text


@cache
def both() -> Both:
    """A Postfix and a spool, filled; made when first asked for. For root only."""
    # Not in the test's own folder: names of sockets must be short.
    folder = Path(tempfile.mkdtemp(prefix="m365gw-postfix-"))
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o755)
    made = Both(folder / "made", {})
    made.folder.mkdir()
    with postfix(made.folder, SETTINGS, Path(), last_hop=free_port()) as server:
        with smtplib.SMTP("127.0.0.1", server.port, local_hostname="client.example.com") as client:
            for sender, recipients, size in MESSAGES:
                _hand_in(client, sender, recipients, size)
        made.settle_configuration()
        await_(lambda: len(_deferred(made)) == len(MESSAGES), "Postfix does not defer all")
        found = _deferred(made)
    places = {(sender or "MAILER-DAEMON", len(to)): n for n, (sender, to, _) in enumerate(MESSAGES)}
    for one in sorted(found, key=lambda one: places[one["sender"], len(one["recipients"])]):
        made.ids[one["queue_id"]] = _mirror(made, one, float(one["arrival_time"])).queue_id
    return made


def _hand_in(client: smtplib.SMTP, sender: str, recipients: list[str], size: int) -> None:
    line = b"x" * 68 + b"\r\n"
    body = (
        b"From: app@contoso.com\r\nSubject: test\r\n\r\n"
        + line * (size // len(line))
        + b".dots\r\n"
    )
    client.sendmail(sender, recipients, body, ["RET=HDRS", "ENVID=abc"], ["NOTIFY=FAILURE"])


def _deferred(both: Both) -> list[dict[str, Any]]:
    """The messages Postfix has put off for all of their recipients."""
    lines = both.theirs("postqueue", "-j").stdout.splitlines()
    return [
        one
        for one in map(json.loads, lines)
        if one["queue_name"] == "deferred"
        and all("delay_reason" in recipient for recipient in one["recipients"])
    ]


def _mirror(both: Both, one: dict[str, Any], arrived: float) -> Entry:
    """The same message in our spool."""
    content = both.theirs("postcat", "-bh", "-q", one["queue_id"]).stdout
    spool = Spool.open(str(both.folder / "spool"), hostname="test", clock=lambda: arrived)
    try:
        sender = one["sender"].replace("MAILER-DAEMON", "")
        to = tuple(
            Recipient(recipient["address"], frozenset({"FAILURE"}))
            for recipient in one["recipients"]
        )
        origin = Origin("127.0.0.1", 0, "client.example.com", "ESMTP", mailbox="relay@contoso.com")
        draft = spool.draft(Envelope(sender, to, ret="HDRS", envid="abc"), origin)
        draft.write(content.replace("\n", "\r\n").encode())
        draft.finish()
        (entry,) = spool.commit([draft])
        assert isinstance(entry, Entry), entry
        message = spool.claim(entry)
        verdicts = [
            Verdict(number, Outcome.PENDING, Reply(0, "", recipient["delay_reason"]))
            for number, recipient in enumerate(one["recipients"])
        ]
        spool.settle(message, verdicts, arrived + 1)
        return spool.defer(message, int(arrived) + 300)
    finally:
        spool.close()


def is_here() -> bool:
    """Whether the comparison can be made: by root, and with a Postfix."""
    return os.geteuid() == 0 and shutil.which("postsuper", path="/usr/sbin") is not None
