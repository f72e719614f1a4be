"""The registry of who may send, asked alike whether the service runs or not.

A running service is asked over its control socket, and what it changes holds at once. When nobody
listens there the same orders are carried out on the directory itself (`stopped`), and hold from the
next start on. Commands do not know which of the two it is.

Ends a command by 1 when the registry says no (nothing was changed then), 2 for what makes no sense,
66 where there is no spool yet, 75 when the service or the directory cannot answer now, 77 when this
user may not, and 78 when the configuration is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import click

from m365gw.cli.asking import EX_NOPERM
from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.cli.main import Invocation
from m365gw.cli.words import escaped

if TYPE_CHECKING:
    from m365gw.cli.stopped import Stopped
    from m365gw.directory.taking_over import Handover, Taken

EX_TEMPFAIL = 75
_NOT_NOW = (0, 500, 503)  # statuses of an answer that may be another one later


def registry(invocation: Invocation) -> Registry:
    """The registry of the service this configuration is for; it is asked when first needed."""
    return Registry(invocation)


class Registry:
    """Paths of the API, answered by the service, or by the directory where none runs."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._stopped: Stopped | None = None  # in place of a service that does not run

    @property
    def is_running(self) -> bool:
        """Whether a service answered what was asked last."""
        return self._stopped is None

    @property
    def since(self) -> str:
        """Since when a change holds, as the end of a sentence; "": at once."""
        return "" if self.is_running else ", from the next start of the service on"

    def get(self, path: str) -> Any:
        """What GET of this path gives."""
        return self._ask(path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What POST of this path with this body gives."""
        return self._ask(path, body)

    def _ask(self, path: str, body: dict[str, Any] | None) -> Any:
        if self._stopped is None:
            control = Control(self._invocation.place("control_socket"))
            try:
                return control.get(path) if body is None else control.post(path, body)
            except NotAllowed as error:
                _end(EX_NOPERM, [str(error)])
            except ControlFailed as error:
                _refused(error)
            except NotRunning:
                from m365gw.cli.stopped import Stopped

                self._stopped = Stopped(self._invocation)
        here = self._stopped
        return _carried_out(lambda: here.get(path) if body is None else here.post(path, body))

    def take_over(self, handover: Handover) -> tuple[Taken, ...]:
        """Make what another program had, by the directory itself: a request holds less than that.

        A running service goes by it within seconds, or at once after `refresh`.
        """
        from m365gw.cli.stopped import Stopped

        here = Stopped(self._invocation)
        taken: tuple[Taken, ...] = _carried_out(lambda: here.take_over(handover))
        return taken

    def refresh(self) -> None:
        """Have the service go by what there is now, as with each order: this one is empty."""
        self.post("/settings/set", {"values": {}})


def _carried_out(order: Callable[[], Any]) -> Any:
    """What the directory says; where it says no, the end of the command."""
    from m365gw.cli.queue.actions import CannotAct
    from m365gw.cli.stopped import Senseless
    from m365gw.directory.database import DirectoryError
    from m365gw.directory.registry import Rejected
    from m365gw.directory.state_dir import NotOurs
    from m365gw.directory.vault import VaultError

    try:
        return order()
    except Rejected as rejected:
        _end(1, ["The change was not made.", *map(str, rejected.problems)])
    except Senseless as error:
        _end(2, [str(error)])
    except NotOurs as error:
        _end(EX_NOPERM, [str(error)])
    except (DirectoryError, VaultError) as error:
        _end(EX_TEMPFAIL, [str(error)])
    except CannotAct as error:
        _end(error.code, [str(error)])


def _refused(error: ControlFailed) -> NoReturn:
    """The service said no, with problems or in words."""
    problems: Iterable[Mapping[str, str]] = (error.answer or {}).get("problems", ())
    if problems:
        _end(1, ["The change was not made.", *map(_line, problems)])
    code = 2 if error.status == 400 else EX_TEMPFAIL if error.status in _NOT_NOW else 1
    _end(code, [str(error)])


def _line(problem: Mapping[str, str]) -> str:
    return f"{problem['place']}  {problem['fault']}\n    {problem['remedy']}".rstrip()


def _end(code: int, words: Iterable[str]) -> NoReturn:
    for line in (line for each in words for line in each.splitlines()):
        click.echo(escaped(line), err=True)
    raise click.exceptions.Exit(code)
