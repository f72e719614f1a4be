"""Debian's Postfix as the rival: an instance of its own, with nothing of the system's.

Configuration, queue and data lie in the folder of the run, its ports are on loopback. The base of
all ratios is `HOLD`: every message goes to the hold queue, the cheapest way Postfix has to take a
message durably, and `in_flow_delay` is off. `DEFERRING` is Postfix as installed, whose queue
manager looks at each message and puts it off meanwhile.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import running
from bench.servers import Server, await_greeting, free_port

DAEMONS = Path("/usr/lib/postfix/sbin")

HOLD = {
    "smtpd_recipient_restrictions": (
        "check_client_access static:HOLD, permit_mynetworks, reject_unauth_destination"
    ),
    "in_flow_delay": "0",
}
DEFERRING = {"defer_transports": "smtp"}
AS_INSTALLED: dict[str, str] = {}

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


def version() -> str:
    """The version of the Postfix installed here. Raises OSError when there is none."""
    said = subprocess.run(
        ["postconf", "-d", "-h", "mail_version"], check=True, capture_output=True, text=True
    )
    return said.stdout.strip()


@contextmanager
def postfix(
    folder: Path, settings: dict[str, str], certificate: Path, last_hop: int | None = None
) -> Iterator[Server]:
    """Postfix running in this folder; with a last hop, all mail goes to that port."""
    configuration, log, port = folder / "etc", folder / "maillog", free_port()
    configuration.mkdir()
    for name in ("queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    (configuration / "master.cf").write_text(_MASTER.format(port=port))
    values = {
        "compatibility_level": "3.6",
        "queue_directory": str(folder / "queue"),
        "data_directory": str(folder / "data"),
        "daemon_directory": str(DAEMONS),
        "maillog_file": str(log),
        "maillog_file_prefixes": str(folder),
        "myhostname": "postfix.example.com",
        "mydestination": "",
        "mynetworks": "127.0.0.0/8",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "alias_maps": "",
        "alias_database": "",
        "local_recipient_maps": "",
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
        # As many servers as the largest cell has sessions, and some.
        "default_process_limit": "150",
        "smtpd_tls_chain_files": str(certificate),
        "smtpd_tls_security_level": "may",
        "relayhost": f"[127.0.0.1]:{last_hop}" if last_hop else "",
        **settings,
    }
    (configuration / "main.cf").write_text(
        "".join(f"{name} = {value}\n" for name, value in values.items())
    )
    subprocess.run(
        ["postfix", "-c", configuration, "check"], check=True, capture_output=True, text=True
    )
    command = (DAEMONS / "master", "-c", configuration, "-d")
    with running(command, folder, said="postfix.out") as pid:
        await_greeting("Postfix", port, log)
        yield Server(port, pid, log)


@contextmanager
def smtp_sink(folder: Path) -> Iterator[Server]:
    """Postfix's own test receiver, which takes everything and keeps nothing."""
    port = free_port()
    command = ("smtp-sink", "-u", "postfix", f"127.0.0.1:{port}", "1000")
    with running(command, folder, said="sink.out") as pid:
        await_greeting("smtp-sink", port, folder / "sink.out")
        yield Server(port, pid, folder / "sink.out")
