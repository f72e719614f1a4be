"""Open files: how many this process may have, and how many its clients may need.

A client needs a socket, and a file while its message arrives. When none is left new connections
are closed without words and messages get 451, so what is missing is said at the start.
"""

from __future__ import annotations

import resource
from typing import Final

from m365gw.spool.commit_log import MOST_KEPT

OF_A_CLIENT: Final = 2
# Spool, log, database, Microsoft, the console; and messages on their way to be files.
OF_OURS: Final = 300 + MOST_KEPT


def allow(connection_limit: int) -> str:
    """Let this process open what so many clients need; words for the operator if it may not."""
    needed = OF_A_CLIENT * connection_limit + OF_OURS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == needed:
        return ""
    return (
        f"this process may open {allowed} files, and connection_limit = {connection_limit} needs "
        f"{needed}. With all in use, clients are turned away without words. Raise the limit of "
        f"open files (systemd: LimitNOFILE={needed}), or lower connection_limit"
    )
