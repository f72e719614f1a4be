"""What pages say of a mailbox: how it signs in, how its mail leaves, when its credentials end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from attrs import frozen

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy, remedy_for
from m365gw.words import counted, escaped

Row = dict[str, Any]

SOON: Final = 30  # days before its end a credential is shown as one that ends
DAY: Final = 86400.0


@frozen
class Flow:
    """One way to sign in. `fields` are the settings a form asks for beside tenant and address."""

    title: str
    meaning: str
    fields: tuple[str, ...]


FLOWS: Final[Mapping[str, Flow]] = {
    "certificate": Flow(
        "Certificate",
        "The app signs in by itself, with a key that is made here. Nothing to renew for two years,"
        " no person, no password.",
        ("client_id", "certificate"),
    ),
    "web": Flow(
        "Browser",
        "A person signs in once at Microsoft, in this browser. For Outlook.com, or where no"
        " administrator is at hand.",
        ("client_id", "sign_in_as", "client_secret", "client_secret_expires"),
    ),
    "device": Flow(
        "Device code",
        "A person enters a code on any device, once. Many tenants forbid this way.",
        ("client_id", "sign_in_as"),
    ),
    "secret": Flow(
        "Client secret",
        "The app signs in by itself, with a text that ends without a word. Good for trying.",
        ("client_id", "client_secret", "client_secret_expires"),
    ),
    "federated": Flow(
        "Federated identity",
        "The app signs in with a token of Kubernetes or of another OIDC issuer.",
        ("client_id", "federated_token_file"),
    ),
    "managed-identity": Flow(
        "Managed identity",
        "This gateway runs on an Azure host, and signs in as that host.",
        ("client_id",),
    ),
    "address": Flow(
        "Inbound connector",
        "Nobody signs in: a connector of the tenant knows the address this gateway comes from, or"
        " better its certificate (choose Certificate, and Mail leaves by: Inbound connector).",
        (),
    ),
}
_NOTHING: Final = {"used": 0, "limit": None}
_NEW: Final = {  # of a mailbox that mail out does not know yet
    "state": "ready",
    "since": None,
    "why": "",
    "waits": 0,
    "budget": dict.fromkeys(("connections", "minute", "day"), _NOTHING),
    "fallback_use": None,
}
BY_A_PERSON: Final = ("web", "device")
EXITS: Final[Mapping[str, str]] = {
    "smtp": "SMTP",
    "graph": "Microsoft Graph",
    "connector": "Inbound connector",
}
_CREDENTIALS: Final = {
    "secret": "Client secret",
    "sign-in": "Sign-in",
    "certificate": "Certificate",
    "client-certificate": "Certificate",
}
_CERTAINTY: Final = {
    "stated": "as was said when it was set",
    "hint": "by what Microsoft writes; it renews itself while it is used",
}


def path_of(address: str, rest: str = "") -> str:
    """Where the pages of a mailbox are: "/mailboxes/relay@contoso.com/test"."""
    return f"/mailboxes/{quote(address, safe='@')}{rest}"


def shown(row: Row, now: float) -> Row:
    """A mailbox of the registry, with the words for it."""
    ends = [_end(each, now) for each in row.get("credentials", ())]
    exit_words: str = EXITS.get(row["exit"], row["exit"])
    if row.get("fallback"):
        exit_words += f", else {EXITS[row['fallback']]}"
    return {
        **_NEW,
        **row,
        "path": path_of(row["address"]),
        "queue": f"/queue?mailbox={quote(row['address'])}",
        "flow_title": FLOWS[row["flow"]].title if row["flow"] in FLOWS else row["flow"],
        "exit_words": exit_words,
        "is_locked": row["origin"] == "file",
        "is_signed_in_by_a_person": row["flow"] in BY_A_PERSON,
        "credentials": ends,
        "credential": min(ends, key=lambda each: each["left"], default=None),
        "told": told_of(row),
        "again_in": row["until"] - now if row.get("until") and row["until"] > now else None,
        "refresh_in": row["renews_at"] - now if row.get("renews_at") else None,
    }


def told_of(row: Row) -> Diagnosis | None:
    """What is wrong with it, if something is."""
    return Diagnosis(**row["diagnosis"]) if row.get("diagnosis") else None


def remedy_of(row: Row, told: Diagnosis) -> Remedy:
    """The steps that mend it, with its names."""
    names = {"mailbox": row["address"], "tenant": row["tenant"], "client id": row["client_id"]}
    return remedy_for(told, names)


def for_the_admin(about: str, told: Diagnosis, remedy: Remedy | None, gateway: str) -> str:
    """The same as a text somebody can send to whoever has to act."""
    lines = [
        f"Mail gateway {gateway}" + (f", {about}" if about else ""),
        f"What happened: {told.what}",
        f"What it means: {told.why}",
        f"What to do: {told.fix}",
        f"Who must act: {told.actor}",
    ]
    if remedy and remedy.portal:
        lines.append(f"Where to click: {remedy.portal}")
    if remedy and remedy.powershell:
        lines.append(f"Or in PowerShell: {remedy.powershell}")
    if remedy and remedy.takes:
        lines.append(f"Works after: {remedy.takes}")
    return "\n".join(escaped(line.replace("\n", " ")) for line in lines)


def _end(end: Mapping[str, Any], now: float) -> Row:
    """When a credential ends: `words`, a tone, and the days that are left."""
    at, kind = end["ends_at"], _CREDENTIALS.get(end["kind"], end["kind"])
    if at is None:
        words = "not signed in yet" if end["kind"] == "sign-in" else "its end is not known"
        return {"kind": kind, "words": words, "tone": "idle", "left": 1e12, "note": ""}
    left = (at - now) / DAY
    day = time.strftime("%d %b %Y", time.localtime(at))
    words = f"ended on {day}" if left <= 0 else f"{counted(int(left), 'day')} left, until {day}"
    tone = "bad" if left <= 7 else "warn" if left <= SOON else "good"
    note = _CERTAINTY.get(end["certainty"], "")
    return {"kind": kind, "words": words, "tone": tone, "left": left, "note": note}
