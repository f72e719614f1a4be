"""`m365gw mailbox signin`: the command; what it does is in `mailbox_signin`."""

from __future__ import annotations

import click

from m365gw.cli.accounts.names import ADDRESS
from m365gw.cli.main import Invocation


@click.command()
@click.argument("address", type=ADDRESS)
@click.option("--device", is_flag=True, help='Flow "web" too: with a code instead of a link.')
@click.option(
    "--redirect-uri",
    default="",
    help="The registered address of a web app, when it is not http://localhost.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="What to open, then how it ended, a line each."
)
@click.pass_obj
def signin(
    invocation: Invocation, address: str, device: bool, redirect_uri: str, as_json: bool
) -> None:
    """Sign ADDRESS in, in a browser (flows "device" and "web").

    Shows a link, or a code and a page; whoever may use the mailbox signs in there. The sign-in is
    kept sealed in state_dir. A running service sends at once what waited for it.
    """
    # Here, as it brings the libraries of sign-ins and of the database: `mailbox list` needs none.
    from m365gw.cli.mailbox_signin import sign_in

    sign_in(invocation, address, device, redirect_uri, as_json)
