"""Faults on order: at a phase of a session or of a sign-in, something goes wrong.

A fault waits for its phase and for a name that fits its pattern (mailbox, sender, recipient; the
app's client id at the sign-in), lets `skip` cases pass, and then strikes `times` times (0:
always). The first fault in the list that fits is the one that strikes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

from attrs import define, field, fields_dict

from m365gw.rehearsal.aadsts import ERRORS
from m365gw.rehearsal.answers import answer
from m365gw.rehearsal.tenant import matches

Phase = Literal[
    "connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "content", "dot", "quit",
    "discovery", "authorize", "devicecode", "token", "identity", "graph",
]  # fmt: skip
Action = Literal["reply", "drop", "stall"]

SIGN_IN_PHASES = frozenset({"discovery", "authorize", "devicecode", "token", "identity"})


@define(kw_only=True)
class Fault:
    """One fault. ValueError when it makes no sense."""

    phase: Phase  # "content": while the message arrives; "dot": instead of the answer to its end
    action: Action = "reply"  # "drop": the connection is cut; "stall": no answer for `seconds`
    answer: str = ""  # SMTP: a name of ANSWERS or "451 4.7.0 text"
    match: str = "*"  # pattern of a mailbox, sender, recipient or client id
    times: int = 1  # 0: always
    skip: int = 0
    seconds: float = 0.0  # of a stall; then all goes on. 0: until `go_on`
    after: int = 0  # phase content: octets of the message that arrive first
    record: bool = False  # phases dot and graph: the message counts as taken all the same
    status: int = 400  # sign-in and graph: HTTP status
    error: str = ""  # graph: error.code of the answer
    aadsts: int = 0  # sign-in: error by its AADSTS number
    body: str = ""  # sign-in: the whole body, when aadsts is 0; graph: when error is ""
    # Sign-in and graph: "Retry-After" and the like.
    headers: dict[str, str] = field(factory=dict)
    struck: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        if self.phase not in get_args(Phase) or self.action not in get_args(Action):
            raise ValueError(f"no fault can {self.action} at {self.phase}")
        if self.phase in SIGN_IN_PHASES:
            if self.aadsts and self.aadsts not in ERRORS:
                raise ValueError(f"AADSTS{self.aadsts} is not rehearsed; use body and status")
        elif self.action == "reply" and self.phase != "graph":
            if self.phase == "content":
                raise ValueError("nothing can be answered while a message arrives")
            self.answer = answer(self.answer)

    @property
    def is_spent(self) -> bool:
        return bool(self.times) and self.struck >= self.times


class Faults:
    """The faults on order."""

    def __init__(self) -> None:
        self.pending: list[Fault] = []
        self.stalled: list[Callable[[], None]] = []  # how each session that stalls goes on

    def order(self, fault: Fault) -> Fault:
        """Adds a fault behind those that wait already."""
        self.pending.append(fault)
        return fault

    def order_from(self, values: Mapping[str, Any]) -> Fault:
        """Adds a fault given by the names of its fields. ValueError when it makes no sense."""
        known = {name for name, each in fields_dict(Fault).items() if each.init}
        unknown = sorted(set(values) - known)
        if unknown or "phase" not in values:
            raise ValueError(f"a fault has a phase and may have {sorted(known)}; got {unknown}")
        return self.order(Fault(**values))

    def clear(self) -> None:
        """All goes well again. What stalls does so still."""
        self.pending.clear()

    def go_on(self) -> None:
        """The SMTP sessions that stall go on."""
        stalled, self.stalled = self.stalled, []
        for go_on in stalled:
            go_on()

    def due(self, phase: Phase, subjects: Iterable[str] = ()) -> Fault | None:
        """The fault that strikes now, if any; it is counted."""
        for fault in self.pending:
            if fault.phase != phase:
                continue
            if fault.match != "*" and not any(matches(fault.match, each) for each in subjects):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.struck += 1
            if fault.is_spent:
                self.pending.remove(fault)
            return fault
        return None
