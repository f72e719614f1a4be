"""OpenSMTPD, shown beside the others: fast, but it does not sync a message before its 250.

So it is no durable rival, and its name in the tables says so. Its spool, its users and its socket
have places fixed when it was built; here it gets a mount namespace of its own, in which these lie
in the folder of the run. It is not installed, as Debian lets only one mail server be: `make bench`
unpacks its package into `.venv/opensmtpd`. Where that is not there it is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.cells import Cell
from bench.processes import running
from bench.servers import Server, await_greeting, free_port

ROOT = Path(sys.prefix) / "opensmtpd"
SMTPD = ROOT / "usr/sbin/smtpd"

_USERS = ("opensmtpd", "opensmtpq")
_FIRST_ID = 64871  # of its users, which only it sees

_CONFIGURATION = """\
listen on 127.0.0.1 port {port}
smtp limit max-mails 1000000000
action "out" relay host "smtp://127.0.0.1:9"
match from any for any action "out"
"""

_START = """\
set -e
mount --bind passwd /etc/passwd
mount --bind group /etc/group
mount --bind spool /var/spool
mount --bind lib /var/lib
mount --bind run /run
export LD_LIBRARY_PATH=$(echo "$1"/usr/lib/*-linux-gnu)
exec "$1"/usr/sbin/smtpd -d -P mta -f "$2"
"""


def is_there() -> bool:
    """Whether its package has been unpacked."""
    return SMTPD.exists()


def can_take(cell: Cell) -> bool:
    """Whether it can be measured with this load.

    Debian 12's (6.8.0) fails in STARTTLS, and leaves some of a hundred sessions without an answer.
    """
    return not cell.starttls and cell.sessions <= 10


@contextmanager
def opensmtpd(folder: Path) -> Iterator[Server]:
    """OpenSMTPD running in this folder, delivering nothing."""
    port, said, configuration = free_port(), "opensmtpd.out", folder / "smtpd.conf"
    configuration.write_text(_CONFIGURATION.format(port=port))
    users, groups = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
    for number, name in enumerate(_USERS, _FIRST_ID):
        users += f"{name}:x:{number}:{number}::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n"
        groups += f"{name}:x:{number}:\n"
    (folder / "passwd").write_text(users)
    (folder / "group").write_text(groups)
    for place in ("spool/smtpd", "lib/opensmtpd/empty", "run"):
        (folder / place).mkdir(parents=True)
    (folder / "spool/smtpd").chmod(0o711)
    script = f'cd "{folder}"\n{_START}'
    command = ("unshare", "--mount", "sh", "-c", script, "sh", ROOT, configuration)
    with running(command, folder, said=said) as pid:
        await_greeting("OpenSMTPD", port, folder / said)
        yield Server(port, pid, folder / said)
