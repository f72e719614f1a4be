"""Entries made beside the configuration, sealed secrets, last use, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    made = [
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
    ]
    for name in ("mailboxes", "clients", "networks"):
        op.create_table(
            name,
            sa.Column("key", sa.Text, nullable=False),
            sa.Column("document", sa.Text, nullable=False),
            *(column.copy() for column in made),
            sa.PrimaryKeyConstraint("key", name=f"pk_{name}"),
        )
    op.create_table(
        "passwords",
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        *made,
        sa.PrimaryKeyConstraint("client", "fingerprint", name="pk_passwords"),
        sa.ForeignKeyConstraint(
            ["client"], ["clients.key"], name="fk_passwords_client", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "sealed",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_sealed"),
    )
    op.create_table(
        "last_use",
        sa.Column("login", sa.Text, nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("login", "password", name="pk_last_use"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    number = op.create_table("revision", sa.Column("number", sa.Integer, nullable=False))
    op.bulk_insert(number, [{"number": 0}])
