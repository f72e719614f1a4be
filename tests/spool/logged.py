"""Mail by way of the commit log, as the edge does it, but waiting for each sync."""

from __future__ import annotations

from collections.abc import Sequence

from m365gw.spool.draft import Draft
from m365gw.spool.files import Files
from m365gw.spool.names import Entry
from m365gw.spool.round import Result
from m365gw.spool.spool import Spool

LOG_SIZE = 40960  # octets: a handful of small messages, and it begins anew


def commit(spool: Spool, drafts: Sequence[Draft]) -> list[Result]:
    """Make a round durable, by the log if that takes it."""
    logged = spool.logged_round(drafts)
    if logged is None:
        return spool.commit(drafts)
    return logged.conclude(_sync_data(spool._files, logged.fd))


def settle(spool: Spool) -> list[Entry]:
    """Make files of all that was acknowledged; what can be seen now."""
    files, entries = spool._files, []
    while settling := spool.settling():
        if settling.synced(files.sync_all(settling.descriptors)):
            entries += settling.conclude(_sync_data(files, settling.log_fd))
    return entries


def _sync_data(files: Files, fd: int) -> OSError | None:
    try:
        files.fdatasync(fd)
    except OSError as error:
        return error
    return None
