"""The doctor: which checks there are, in which order, and what comes out as a report.

Used by `m365gw doctor`, by the API of the running service and by whatever examines by itself. It
raises nothing: what goes wrong is a finding.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from attrs import evolve

from m365gw.config.clouds import cloud_of, clouds_of
from m365gw.config.settings import Mailbox, Settings
from m365gw.doctor.case import Case, Gateway
from m365gw.doctor.checks import (
    certificate,
    claims,
    clock,
    connector,
    credentials,
    directory,
    ground,
    headroom,
    listeners,
    names,
    offer,
    patience,
    reach,
    rules,
    sender_domains,
    senders,
    sending,
    sign_in,
    token,
)
from m365gw.doctor.examination import Check, carry_out, in_parallel
from m365gw.doctor.finding import Finding, Seen, bad, skipped
from m365gw.doctor.memory import Memory
from m365gw.doctor.report import Report
from m365gw.doctor.tools import Tools
from m365gw.microsoft.diagnosis import Diagnosis

Look = Callable[[Case], Awaitable[Seen]]
Heard = Callable[[str, Finding], object]  # is told each finding as it comes, with its mailbox

BUDGET: Final = (
    "Each mailbox is signed in to once, on one connection beside those of the gateway"
    " ([governor] connections); nothing is sent without --send."
)


def _unheard(_address: str, _finding: Finding) -> None:
    """Nobody listens."""


async def _ground(gateway: Gateway) -> Seen:
    return await gateway.tools.calls.call(ground.look, gateway.settings)


GATEWAY: Final[tuple[Check[Gateway], ...]] = (
    Check("D01", "files, folders and disk of the gateway", _ground),
    Check("D16", "listeners, their certificate, no open relay", listeners.look),
    Check("D17", "SPF, DKIM and DMARC of the sender domains", sender_domains.look),
    Check("D18", "the directory", directory.look),
)


BY_GRAPH: Final = "not needed: mail of this mailbox leaves by Graph"
BY_CONNECTOR: Final = "not needed: a connector takes no token"
NOT_NEEDED: Final[Mapping[str, Mapping[str, str]]] = {
    "graph": dict.fromkeys(("D04", "D05", "D06", "D09", "D10"), BY_GRAPH),
    "connector": {
        **dict.fromkeys(("D02", "D07", "D08"), BY_CONNECTOR),
        "D11": "not possible: there is no mailbox to send to; m365gw send-test does it",
    },
}


def _of_mailbox(memory: Memory, exit: str = "smtp") -> tuple[Check[Case], ...]:
    """In the order in which one leads to the next; those an exit has no need of are skipped."""
    unneeded = NOT_NEEDED.get(exit, {})
    return tuple(
        evolve(check, run=_skipping(unneeded[check.id]), needs=())
        if check.id in unneeded
        else evolve(check, needs=tuple(each for each in check.needs if each not in unneeded))
        for check in _checks(memory, exit)
    )


def _checks(memory: Memory, exit: str) -> tuple[Check[Case], ...]:
    enter = connector if exit == "connector" else sign_in
    return (
        Check("D03", "names of submission and login host", names.look),
        Check("D02", "login host, and the clock of this machine", clock.look, ("D03",)),
        Check("D04", "connection and greeting", reach.look, ("D03",)),
        Check("D05", "STARTTLS and XOAUTH2 offered", offer.look, ("D04",)),
        Check("D06", "certificate of the submission host", certificate.look, ("D05",)),
        Check("D07", "token of Entra", token.look, ("D01", "D02", "D03")),
        Check("D08", "claims of the token", claims.look, ("D07",)),
        Check("D09", "sign-in at Exchange Online", enter.look, ("D06", "D08")),
        Check("D10", "senders at MAIL FROM", senders.look, ("D09",)),
        Check(
            "D11",
            "a real message from each sender",
            sending.look,
            ("D08",) if exit == "graph" else ("D10",),
        ),
        Check("D12", "what must not be possible", rules.look),
        Check("D13", "end of the credential", credentials.look),
        Check("D14", "permissions changed lately", patience.look(memory)),
        Check("D15", "room in Microsoft's limits", headroom.look),
    )


def _skipping(why: str) -> Look:
    """What there is no need to try."""

    async def looked(case: Case) -> Seen:
        return skipped(why)

    return looked


class Doctor:
    """Examines gateway and mailboxes of the settings it is given."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def examine(
        self,
        settings: Settings,
        addresses: Sequence[str] = (),
        *,
        send: bool = False,
        heard: Heard = _unheard,
    ) -> Report:
        """The findings for these mailboxes; for all when none is named."""
        tools, memory = self._tools, Memory(settings.state_dir)
        gateway = Gateway(settings, tools)
        general = await carry_out(GATEWAY, gateway, tools.reactor, heard=partial(heard, ""))
        chosen = [one for one in settings.mailbox if _is_chosen(one, addresses)]
        clouds = clouds_of(settings)

        async def examined(mailbox: Mailbox) -> dict[str, Finding]:
            case = Case(settings, mailbox, cloud_of(mailbox, clouds), tools, send)
            try:
                checks = _of_mailbox(memory, mailbox.exit)
                return await carry_out(
                    checks,
                    case,
                    tools.reactor,
                    general,
                    case.findings,
                    heard=partial(heard, mailbox.address),
                )
            finally:
                await case.let_go()

        found = await in_parallel(chosen, examined)
        by_address = {mailbox.address: each for mailbox, each in zip(chosen, found, strict=True)}
        notes = [BUDGET, *await self._remembered(memory, by_address)]
        return Report(
            tools.reactor.seconds(),
            tuple(general.values()),
            tuple((address, tuple(each.values())) for address, each in by_address.items()),
            tuple(notes),
        )

    async def _remembered(self, memory: Memory, found: dict[str, dict[str, Finding]]) -> list[str]:
        """Keep what failed; why that was not possible, if it was not."""
        now = self._tools.reactor.seconds()
        try:
            await self._tools.calls.call(partial(memory.remember, found, now))
        except OSError as problem:
            return [f"What failed could not be remembered (for D14): {problem.strerror}."]
        return []


def unconfigured(problems: str, at: float) -> Report:
    """The report when the configuration cannot be read: D01, and nothing else can be tried."""
    diagnosis = Diagnosis(
        "configuration-wrong",
        "The configuration cannot be read.",
        problems,
        "Mend each of these; m365gw check shows them too.",
        "operator",
    )
    failed = bad("reading the configuration", problems, diagnosis)
    rest = [(check.id, check.title) for check in GATEWAY[1:]]
    rest += [(check.id, check.title) for check in _of_mailbox(Memory(""))]
    because = skipped("skipped because D01 failed")
    return Report(
        at,
        (
            Finding("D01", GATEWAY[0].title, failed),
            *(Finding(id, title, because) for id, title in sorted(rest)),
        ),
    )


def _is_chosen(mailbox: Mailbox, addresses: Sequence[str]) -> bool:
    wanted = {address.casefold() for address in addresses}
    return not wanted or mailbox.address.casefold() in wanted
