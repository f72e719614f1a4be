"""`m365gw queue adopt`: files that lie somewhere become queued messages.

Each file is taken in first and held, then removed where it lay, then released; a command that is
broken off is simply given again. Exit codes: 0; 1 when a file was not taken in; 2 for wrong use;
and those of `m365gw.cli.queue.actions`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
from attrs import evolve, frozen

from m365gw.cli.queue.actions import CannotAct, actions
from m365gw.cli.spool_dir import Place, end, looking, with_place
from m365gw.cli.words import escaped
from m365gw.smtp.addresses import parse_mailbox
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Refused
from m365gw.spool import layout
from m365gw.spool.adoption import Found, NotAdopted, adopt, read_message, read_spool_file
from m365gw.spool.files import Files
from m365gw.spool.health import Unusable
from m365gw.spool.names import State, parse_name
from m365gw.spool.operations import Action, Done

_QUEUED = [State.INCOMING.value, State.DEFERRED.value, State.HOLD.value]


@frozen
class Said:
    """What the operator says of the messages; what is empty is not said."""

    mailbox: str = ""
    sender: str | None = None
    recipients: tuple[str, ...] = ()
    as_it_is: bool = False


@click.command("adopt", short_help="Take in message files from elsewhere.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option("--mailbox", default="", metavar="ADDRESS", help="The mailbox it leaves by.")
@click.option("--sender", metavar="ADDRESS", help='Its envelope sender; "<>": none.')
@click.option("--recipient", "recipients", multiple=True, metavar="ADDRESS", help="Who gets it.")
@click.option("--as-it-is", is_flag=True, help="Take a damaged message as it is now.")
@click.option("--hold", is_flag=True, help="Leave it held.")
@click.option("--dry-run", is_flag=True, help="Say what would be taken in, touch nothing.")
@with_place
def adopt_(
    place: Place,
    files: tuple[str, ...],
    mailbox: str,
    sender: str | None,
    recipients: tuple[str, ...],
    as_it_is: bool,
    hold: bool,
    dry_run: bool,
) -> None:
    """Take in message files: strays, mended ones from corrupt/, those of another spool.

    A file of a spool keeps its queue id, its envelope and what became of its recipients. Any other
    message needs --mailbox, --sender and --recipient. The FILE is removed once it is taken in.
    """
    said = Said(mailbox, sender, recipients, as_it_is)
    _check(said)
    is_good = True
    for file in files:
        try:
            is_good = _adopt(place, os.path.abspath(file), said, hold, dry_run) and is_good
        except (NotAdopted, OSError) as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            click.echo(f"{escaped(file)}: not taken in: {words}.", err=True)
            is_good = False
    if not is_good:
        raise click.exceptions.Exit(1)


def _check(said: Said) -> None:
    addresses = [said.mailbox, said.sender or "", *said.recipients]
    for address in addresses:
        if address not in ("", "<>"):
            try:
                parse_mailbox(address)
            except Refused as error:
                raise click.BadParameter(f"{address!r}: {error.reply.text}") from None


def _adopt(place: Place, file: str, said: Said, hold: bool, dry_run: bool) -> bool:
    _check_is_free(place, file)
    with _alone(place, file), looking(place) as spool:
        with open(file, "rb") as stream:
            found = _found(stream.read(), file, said)
        if dry_run:
            click.echo(f"{escaped(file)}: would be taken in: {_described(found)}.")
            return True
        files = Files(place.spool_dir)
        try:
            entry = adopt(spool, files, found, f"taken in from {file}")
        finally:
            files.close(files.root)
        _remove(file)
    click.echo(f"{escaped(file)}: taken in as {entry.queue_id}: {_described(found)}.")
    if hold:
        return True
    try:
        with actions(place.spool_dir, place.control_socket) as acting:
            (result,) = acting.act(Action.RELEASE, [entry.queue_id])
    except CannotAct as error:
        end(error.code, f"{error} It is held: m365gw queue release {entry.queue_id}")
    if result.result is not Done.DONE:
        click.echo(f"{entry.queue_id} is held: {result.words}", err=True)
    return result.result is Done.DONE


def _found(data: bytes, file: str, said: Said) -> Found:
    if said.recipients and said.sender is not None and said.mailbox:
        sender = "" if said.sender == "<>" else said.sender
        addresses = [sender, *said.recipients]
        envelope = Envelope(
            sender,
            tuple(map(Recipient, said.recipients)),
            eight_bit=not data.isascii(),
            smtputf8=not all(map(str.isascii, addresses)),
        )
        origin = Origin("", protocol="", listener="adopted", mailbox=said.mailbox)
        return read_message(data, envelope, origin)
    found = read_spool_file(data, file, as_it_is=said.as_it_is)
    if found is None:
        raise NotAdopted(
            "it is no file of a spool. Say who it is from and to, and by which mailbox it leaves:"
            " --sender, --recipient and --mailbox"
        )
    if said.recipients or said.sender is not None:
        raise NotAdopted("it has an envelope; another one needs --sender, --recipient, --mailbox")
    if said.mailbox:
        return evolve(found, origin=evolve(found.origin, mailbox=said.mailbox))
    return found


def _described(found: Found) -> str:
    addresses = [recipient.address for recipient in found.envelope.recipients]
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    sender = escaped(found.envelope.sender) or "<>"
    return f"{sender} > {escaped(addresses[0])}{more} by {escaped(found.origin.mailbox)}"


def _check_is_free(place: Place, file: str) -> None:
    """A file of this spool is taken only if it is not queued, nor about to be."""
    inside = os.path.relpath(os.path.realpath(file), os.path.realpath(place.spool_dir)).split("/")
    name = inside[-1]
    if inside[0] not in _QUEUED:
        return
    if "tmp" in inside[:-1] or name.startswith("."):
        raise NotAdopted("it is being written just now")
    entry = parse_name(name, State(inside[0]))
    if entry is not None:
        raise NotAdopted(f"it is in the queue already: {entry.queue_id}")


@contextmanager
def _alone(place: Place, file: str) -> Iterator[None]:
    """A file in another spool is taken only while no service works on that one."""
    spool_dir = _spool_of(file)
    if spool_dir is None or os.path.realpath(spool_dir) == os.path.realpath(place.spool_dir):
        yield
        return
    files = Files(spool_dir)
    lock = -1
    try:
        lock = layout.take_lock(files, spool_dir, "a command that takes mail from it")
        yield
    except Unusable as error:
        raise NotAdopted(str(error).rstrip(".")) from None
    finally:
        for fd in (lock, files.root):
            with suppress(OSError):
                files.close(fd)


def _spool_of(file: str) -> str | None:
    """The spool whose Maildir a file is in; None when it is in none."""
    folder = os.path.dirname(os.path.realpath(file))
    for _ in range(3):  # deferred/0/cur
        folder = os.path.dirname(folder)
        if os.path.exists(os.path.join(folder, "VERSION")):
            return folder
    return None


def _remove(file: str) -> None:
    """Remove it, durably: it must not come back beside what is sent."""
    os.unlink(file)
    folder = os.open(os.path.dirname(file), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
