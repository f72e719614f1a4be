"""Who was told of incidents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make its table; of what there is already everybody was told."""
    op.create_table(
        "incident_told",
        sa.Column("incident", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("incident", "channel", name="pk_incident_told"),
    )
    op.execute(
        "INSERT INTO incident_told (incident, channel, stage) SELECT id, '*',"
        " CASE WHEN closed_at IS NULL THEN 'opened' ELSE 'closed' END FROM incidents"
    )
