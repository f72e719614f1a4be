"""The `m365gw` command.

Sub-commands are imported when they are asked for, so that `m365gw queue list` does not wait for
the libraries of the service. Exit codes: 0 ok, 1 problems found, 2 usage, and sysexits where they
mean something (78: the configuration is wrong).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from keyword import iskeyword
from typing import Any, NoReturn

import click
from attrs import define

from m365gw import __version__

COMMANDS = {
    "backup": ("m365gw.cli.backup", "Write all but the mail into one sealed file."),
    "check": ("m365gw.cli.check", "Read the configuration and show every error."),
    "client": ("m365gw.cli.accounts.clients", "SMTP logins for printers and programs."),
    "completion": (
        "m365gw.cli.completion",
        "Print what completes commands in your shell.",
    ),
    "explain": ("m365gw.cli.explain", "Say what would happen to a message, and why."),
    "demo": ("m365gw.cli.demo", "See the gateway carry a message; no tenant needed."),
    "doctor": ("m365gw.cli.doctor", "Find out what is wrong, and who has to do what."),
    "drain": ("m365gw.cli.drain", "Take no more mail, send what is due, stop the service."),
    "healthcheck": ("m365gw.cli.healthcheck", "Exit with 0 when the service can take mail."),
    "import": ("m365gw.cli.moving.command", "Take over mailboxes and logins of another program."),
    "incident": ("m365gw.cli.incident", "What is wrong, and who must act; a test of the alerts."),
    "keys": ("m365gw.cli.keys", "The keys that seal stored secrets."),
    "listener": ("m365gw.cli.accounts.listeners", "Where mail comes in."),
    "mailbox": ("m365gw.cli.accounts.mailboxes", "Microsoft 365 mailboxes and their sign-in."),
    "network": ("m365gw.cli.accounts.networks", "Networks that may send without a login."),
    "operator": ("m365gw.cli.operator", "Who may sign in to the console."),
    "queue": ("m365gw.cli.queue.commands", "Look at the queue and act on it."),
    "rehearsal": ("m365gw.cli.rehearsal", "A pretend Microsoft 365 to rehearse against."),
    "reload": ("m365gw.cli.reload", "Make the service read its configuration again."),
    "restore": ("m365gw.cli.restore", "Put back what m365gw backup wrote."),
    "script": ("m365gw.cli.script", "Print the PowerShell that sets up the tenant."),
    "send-test": ("m365gw.cli.send_test", "Send a test mail and follow it to Microsoft."),
    "settings": (
        "m365gw.cli.accounts.single_settings",
        "Single settings, and where they were set.",
    ),
    "status": ("m365gw.cli.status", "Show what runs, what waits, and what is held."),
    "token": ("m365gw.cli.token", "Tokens for programs that use the API over the web."),
    "trace": ("m365gw.cli.trace", "Watch the protocol live, both ways, without secrets."),
}
EX_CONFIG = 78


# The commands of Postfix, which are also called by a link with their name.
POSTFIX = {
    "mailq": "List the queue as Postfix does.",
    "postcat": "Show a queued message as Postfix does.",
    "postqueue": "List or flush the queue as Postfix does.",
    "postsuper": "Delete, hold, release or requeue mail as Postfix does.",
    "qshape": "Count the queue by domain and age as Postfix does.",
    "sendmail": "Take a message from a local program, as Postfix's sendmail does.",
}


class CommandsByName(click.Group):
    """A group whose commands are modules, imported when used.

    Called by a link that bears the name of a Postfix command, it is that command.
    """

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        called = os.path.basename(sys.argv[0])
        if args is None and called in POSTFIX:
            args = [called, *sys.argv[1:]]
        return super().main(args, *rest, **more)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *POSTFIX})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in POSTFIX:
            from m365gw.cli.postfix.programs import Program

            return Program(cmd_name)
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, f"{name}_" if iskeyword(name) else name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """What click looks for near a mistyped command are commands it has imported."""
        name, known = args[0], self.list_commands(ctx)
        is_given = not ctx.resilient_parsing  # else it is being typed, and completed
        if is_given and not name.startswith("-") and name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{name}'.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])
        with formatter.section("Commands of Postfix"):
            formatter.write_dl(sorted(POSTFIX.items()))


@define
class Invocation:
    """What every command may want to know: which configuration was named, and its settings."""

    config: str | None = None
    loaded: Any = None
    is_told: bool = False  # whether it was said that the configuration may not be read

    def place(self, setting: str) -> str:
        """Where a folder or socket of the service is, whatever else its configuration says.

        A configuration that cannot be read ends the command with 78; one that this user may not
        read leaves the usual places, and that is said.
        """
        from m365gw.config.places import Places
        from m365gw.config.problems import ConfigError

        try:
            places = Places(self.config)
            place = places.of(setting)
        except ConfigError as error:
            _show_problems(error)
        if places.unread and not self.is_told:
            self.is_told = True
            click.echo(
                f"You may not read {places.unread}: this looks in the usual places.", err=True
            )
        return place

    @property
    def settings(self) -> Any:
        """The settings, read when first wanted. A wrong configuration ends the command with 78."""
        if self.loaded is None:
            self.loaded = load_or_exit(self.config)
        return self.loaded.settings


def load_or_exit(config: str | None) -> Any:
    """Load the configuration; show every problem and exit with 78 when it is wrong."""
    from m365gw.config.load import load
    from m365gw.config.problems import ConfigError

    try:
        return load(config)
    except ConfigError as error:
        _show_problems(error)


def _show_problems(error: Exception) -> NoReturn:
    from m365gw.cli.words import escaped

    for line in str(error).splitlines():
        click.echo(escaped(line), err=True)
    raise click.exceptions.Exit(EX_CONFIG)


@click.command(
    cls=CommandsByName,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="The service itself is: twistd -n m365gw --config FILE",
)
@click.option(
    "--config",
    "-c",
    metavar="FILE",
    help="Configuration file.  [default: $M365GW_CONFIG, /etc/m365gw/m365gw.toml]",
)
@click.version_option(__version__, prog_name="m365gw")
@click.pass_context
def main(ctx: click.Context, config: str | None) -> None:
    """m365gw takes mail from anything that speaks SMTP, keeps it safe on disk, and hands it to
    Microsoft 365 with modern sign-in (OAuth 2.0).

    \b
    To see it work:          m365gw demo
    If something is wrong:   m365gw status, then m365gw incident list and m365gw doctor
    """
    ctx.obj = Invocation(config)
