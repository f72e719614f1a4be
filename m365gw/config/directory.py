"""The setting of the directory: where what people made beside the configuration is kept."""

from __future__ import annotations

from attrs import frozen

from m365gw.config.fields import FileName, secret, setting


@frozen(kw_only=True)
class Directory:
    url: str = secret(
        "PostgreSQL database for mailboxes, clients, sign-ins and history: "
        '"postgresql://user@host/name". Empty: SQLite, in state_dir/state.db.'
    )
    url_file: FileName = setting("", "File that holds the url, which may have a password in it.")
