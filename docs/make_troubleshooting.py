"""Writes docs/troubleshooting.md from the tables the gateway decides by.

    python docs/make_troubleshooting.py

A test holds the page equal to the tables.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import define, field

from m365gw.microsoft import entra, entra_apps, graph_obstacles, replies, rows_connector, rows_graph
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.entra_rows import EntraRow
from m365gw.microsoft.reactions import Action, Reaction, Scope
from m365gw.microsoft.rows import (
    ANYWHERE,
    BEFORE_MAIL,
    CONNECTING,
    SENDING,
    Phase,
    Row,
    StatusRange,
)

PAGE = Path(__file__).with_name("troubleshooting.md")

HEAD = """\
# Troubleshooting: what Microsoft says, what it means, what to do

Search this page for the code (`AADSTS7000222`, `5.7.139`) or for words of the answer. For a
mailbox of yours, `m365gw status` and `m365gw incident list` show the same sentences with the real
names filled in, and `m365gw doctor` tries out what it can.

*Mail* says what becomes of messages meanwhile. Mail that waits for a mailbox, a tenant, a sender
or the host does not grow older, and goes by itself once the cause is mended. To find out, the
gateway tries one message after 5 minutes, then after 10, 20 and 40, then every hour; if a sign-in
service asks for more patience, every hour from the beginning. After you have mended something,
`m365gw mailbox retry MAILBOX` tries at once.

(This page is written by `docs/make_troubleshooting.py`, from the tables by which the gateway
decides.)
"""

_PHASES = (
    (ANYWHERE, ""),
    (BEFORE_MAIL, "before MAIL FROM"),
    (CONNECTING, "while connecting"),
    (SENDING, "while a message is sent"),
)
_FATES = {
    Action.DONE: "goes on",
    Action.RETRY: "is tried again on its usual schedule",
    Action.RETRY_FAST: "is tried again within a minute",
    Action.FEWER_CONNECTIONS: "is tried again in about a minute, with fewer connections",
    Action.SPLIT: "goes to fewer recipients at a time",
    Action.REFRESH_TOKEN: "is tried again with a new token",
    Action.BOUNCE_IF_REPEATED: "is tried again",
    Action.BOUNCE: "is returned to its sender",
}
_WAITS = {
    Scope.MESSAGE: "waits",
    Scope.SENDER: "of this sender waits",
    Scope.MAILBOX: "of the mailbox waits",
    Scope.TENANT: "of all mailboxes of the tenant waits",
    Scope.HOST: "of all mailboxes waits",
}
_ENTRA_FATES = {
    "retry": "of the mailbox waits; it is tried again by itself",
    "poll": "the sign-in goes on",
    "restart": "of the mailbox waits; the sign-in must be begun anew",
    "stop": "of the mailbox waits; the sign-in has ended",
    "login": "of the mailbox waits (needs_signin)",
    "admin": "of the mailbox waits (needs_admin)",
    "config": "of the mailbox waits (misconfigured)",
}


@define
class Entry:
    """One diagnosis: by what it is known, and what becomes of mail."""

    told: Diagnosis
    seen: list[str] = field(factory=list)
    fates: list[str] = field(factory=list)

    def add(self, seen: str, fate: str) -> None:
        if seen and seen not in self.seen:
            self.seen.append(seen)
        if fate not in self.fates:
            self.fates.append(fate)

    def lines(self) -> Iterator[str]:
        told = self.told
        yield f"### {escaped(told.what)}"
        yield ""
        if self.seen:
            yield f"* *Seen as:* {'; '.join(self.seen)}"
        yield f"* *It means:* {escaped(told.why)}"
        yield f"* *To do:* {escaped(told.fix)}"
        yield f"* *Who:* {told.actor}"
        yield f"* *Mail:* {'; or '.join(self.fates)}"
        yield f"* *Key:* `{told.key}`"
        yield ""


def escaped(text: str) -> str:
    """Text with placeholders as they shall be read."""
    return text.replace("<", "&lt;").replace("*", "\\*")


def fate(reaction: Reaction) -> str:
    """What becomes of mail, in words."""
    if reaction.action is Action.HOLD and reaction.scope is Scope.MESSAGE:
        words = "rests in hold for an operator"
    elif reaction.action in (Action.STOP, Action.HOLD):
        words = _WAITS[reaction.scope]
    else:
        words = _FATES.get(reaction.action, "waits in hold for an operator")
    if reaction.then is not None:
        then = fate(reaction.then)
        words = words if then == words else f"{words}; if that lasts, it {then}"
    return words


def reply_entries() -> dict[str, Entry]:
    """What the submission server says."""
    entries: dict[str, Entry] = {}
    for row in replies.ROWS:
        told = row.reaction.diagnosis
        entries.setdefault(told.key, Entry(told)).add(_pattern(row), fate(row.reaction))
    for phase in Phase:
        usual = replies.DEFAULTS[phase]
        for name in ("lost", "temporary", "permanent"):
            reaction = getattr(usual, name)
            seen = f"{name}, as an answer nobody knows, in phase {phase.value}"
            entry = entries.setdefault(reaction.diagnosis.key, Entry(reaction.diagnosis))
            entry.add("" if entry.seen else seen, fate(reaction))
    foreign = rows_connector.FOREIGN_SENDER
    entries[foreign.diagnosis.key] = entry = Entry(foreign.diagnosis)
    entry.add("the same, for a sender of another domain than the mailbox", fate(foreign))
    return entries


def graph_entries() -> dict[str, Entry]:
    """What Microsoft Graph says."""
    entries: dict[str, Entry] = {}
    for row in rows_graph.ROWS:
        told = row.reaction.diagnosis
        names = [f"`{name}`" for name in row.names]
        codes = [f"HTTP {status}" for status in row.statuses[:3]]
        entries.setdefault(told.key, Entry(told)).add(", ".join(names + codes), fate(row.reaction))
    never = (*graph_obstacles.OBSTACLES.values(), rows_graph.UNREACHABLE, rows_graph.UNTRUSTED)
    for reaction in (*never, rows_graph.LOST, rows_graph.UNKNOWN.reaction):
        entries[reaction.diagnosis.key] = entry = Entry(reaction.diagnosis)
        entry.add("", fate(reaction))
    return entries


def entra_entries() -> dict[str, Entry]:
    """What the sign-in service says."""
    entries: dict[str, Entry] = {}
    for row in entra.ROWS:
        told = row.verdict.diagnosis
        words = _ENTRA_FATES[row.verdict.reaction]
        entries.setdefault(told.key, Entry(told)).add(_errors(row), words)
    for verdict, seen in (
        (entra_apps.THROTTLED, "HTTP 429"),
        (entra_apps.UNREACHABLE, "no answer, or one that is no JSON"),
        (entra_apps.UNKNOWN, "any other error"),
    ):
        told = verdict.diagnosis
        entries.setdefault(told.key, Entry(told)).add(seen, _ENTRA_FATES[verdict.reaction])
    return entries


def _errors(row: EntraRow) -> str:
    codes = [f"AADSTS{code}" for code in row.codes]
    names = [f"`{name}`" for name in (*row.errors, *row.vague, *row.suberrors)]
    return ", ".join(codes + names)


def _pattern(row: Row) -> str:
    where = next((words for phases, words in _PHASES if phases == row.phases), None)
    if where is None:
        where = "at " + ", ".join(sorted(phase.value.upper() for phase in row.phases))
    codes = " or ".join(str(code) for code in row.codes if code)
    status = " or ".join(map(_status, row.status))
    words = " or ".join(f"`{word}`" for word in row.words)
    return " ".join(filter(None, (codes, status, words, where)))


def _status(known: StatusRange) -> str:
    if not known.before:
        return "without enhanced status"
    last = str(known.low) if known.low == known.high else f"{known.low} to {known.high}"
    return f"{known.before}.{last}"


def _section(title: str, entries: Iterable[Entry]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    for entry in entries:
        yield from entry.lines()


def page() -> str:
    """The whole page."""
    lines = [
        HEAD,
        *_section("Signing in: errors of Entra ID", entra_entries().values()),
        *_section("Sending by SMTP: answers of Exchange Online", reply_entries().values()),
        *_section("Sending by Graph", graph_entries().values()),
    ]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE} is written.\n")
