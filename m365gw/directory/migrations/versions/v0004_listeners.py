"""Listeners and single settings made beside the configuration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make their tables."""
    for name in ("listeners", "settings"):
        op.create_table(
            name,
            sa.Column("key", sa.Text, nullable=False),
            sa.Column("document", sa.Text, nullable=False),
            sa.Column("made_at", sa.Double, nullable=False),
            sa.Column("made_by", sa.Text, nullable=False),
            sa.Column("changed_at", sa.Double, nullable=False),
            sa.Column("changed_by", sa.Text, nullable=False),
            sa.PrimaryKeyConstraint("key", name=f"pk_{name}"),
        )
