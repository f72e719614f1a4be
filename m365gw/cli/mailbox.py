"""`m365gw mailbox`: Microsoft 365 mailboxes and their sign-in."""

from __future__ import annotations

import click

from m365gw.cli.mailbox_signin import signin


@click.group()
def mailbox() -> None:
    """Microsoft 365 mailboxes and their sign-in."""


mailbox.add_command(signin)
