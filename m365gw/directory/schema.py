"""The tables of the directory. A change here needs a revision in `migrations/versions`.

Times are seconds since 1970. A `document` is a table of the configuration as JSON (`documents`),
without its secrets, which are in `sealed`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

REVISION = "0006"  # of the tables below

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


def _made() -> list[Column[Any]]:
    """Who made a row, and who changed it last."""
    return [
        Column("made_at", Double, nullable=False),
        Column("made_by", Text, nullable=False),
        Column("changed_at", Double, nullable=False),
        Column("changed_by", Text, nullable=False),
    ]


# Grows with every change of the entries; one row.
revision = Table("revision", metadata, Column("number", Integer, nullable=False))

mailboxes = Table(
    "mailboxes",
    metadata,
    Column("key", Text, primary_key=True),  # as `keys.key_of` gives it, in each of these
    Column("document", Text, nullable=False),
    *_made(),
)
clients = Table(
    "clients",
    metadata,
    Column("key", Text, primary_key=True),
    Column("document", Text, nullable=False),  # without passwords
    *_made(),
)
passwords = Table(
    "passwords",
    metadata,
    Column("client", Text, ForeignKey("clients.key", ondelete="CASCADE"), primary_key=True),
    Column("fingerprint", Text, primary_key=True),  # `last_use.fingerprint` of its hash
    Column("document", Text, nullable=False),
    *_made(),
)
networks = Table(
    "networks",
    metadata,
    Column("key", Text, primary_key=True),
    Column("document", Text, nullable=False),
    *_made(),
)
listeners = Table(
    "listeners",
    metadata,
    Column("key", Text, primary_key=True),
    Column("document", Text, nullable=False),
    *_made(),
)
settings = Table(
    "settings",
    metadata,
    Column("key", Text, primary_key=True),  # "queue.delivery"
    Column("document", Text, nullable=False),
    *_made(),
)

# Secrets, sealed with their name (`vault`).
sealed = Table(
    "sealed",
    metadata,
    Column("name", Text, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    Column("changed_at", Double, nullable=False),
)

# When each password was last used, and from where (`last_use`).
last_use = Table(
    "last_use",
    metadata,
    Column("login", Text, primary_key=True),
    Column("password", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("address", Text, nullable=False),
)

# Who changed what (`audit`).
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

# What somebody had to know, from its opening to its closing (`incident_book`).
incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("gateway", Text, nullable=False),  # host name; several may share a database
    Column("key", Text, nullable=False),
    Column("subject", Text, nullable=False),  # JSON
    Column("level", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("fix", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("closed_at", Double),  # NULL while it is open
    Column("note", Text, nullable=False),
    Index(None, "opened_at"),
)
# How far each channel was told of them (`incident_book.EVERYBODY` is one): "opened" or "closed".
incident_told = Table(
    "incident_told",
    metadata,
    Column("incident", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("stage", Text, nullable=False),
)

# Who may sign in to the console (`operators`), and who is signed in (`web_sessions`).
operators = Table(
    "operators",
    metadata,
    Column("login", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    Column("last_address", Text, nullable=False),
)
web_sessions = Table(
    "web_sessions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("login", Text, nullable=False),
    Column("began_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("address", Text, nullable=False),
    Index(None, "login"),
)

# By which programs use the API (`api_tokens`).
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("name", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("ends_at", Double),  # NULL: when it is removed
    Column("last_at", Double, nullable=False),
    Column("last_address", Text, nullable=False),
    Index(None, "digest"),
)
