"""Hostile text wherever strangers, devices, Microsoft or a colleague can put some into a page.

It would run in any element, attribute or script, and it would turn the direction of writing.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from attrs import evolve

from m365gw.admin.me.people import Member
from m365gw.alerts.alerts import Trial
from m365gw.directory import orders, passwords
from m365gw.doctor.finding import Finding, bad
from m365gw.incidents import Incident, subject_of
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from tests.admin.web.browser import HASH, Stage, mailbox
from tests.admin.web.own_stage import OwnStage

HOSTILE: Final = (
    "'\"></textarea></title></pre><script>window.ran=['script']</script>"
    "<img src=x onerror=\"window.ran=['img']\"><svg onload=\"window.ran=['svg']\">{{7*7}}\u202e"
)
BOX: Final = f"{HOSTILE}@contoso.com"
TOLD: Final = Diagnosis("spool-full", HOSTILE, HOSTILE, HOSTILE, "operator")
MEMBER: Final = Member("anna.berg@contoso.com", HOSTILE, "o1.t1", "Contoso account")


def haunt(stage: Stage) -> dict[str, str]:
    """Put it everywhere; the pages that there are more for it, by name."""
    entry = stage.message(
        f"{HOSTILE}@x.example",
        sender=HOSTILE,
        header=f"Subject: {HOSTILE}\r\nFrom: {HOSTILE} <x@y.example>\r\n{HOSTILE}: x\r\n".encode(),
        **dict.fromkeys(("login", "helo", "mailbox", "listener", "tls", "protocol"), HOSTILE),
    )
    message = stage.spool.claim(entry)
    reply = Reply(451, "4.7.0", HOSTILE.replace("\u202e", ""))
    stage.spool.settle(message, [Verdict(0, Outcome.PENDING, reply)], stage.clock.seconds())
    stage.spool.defer(message, int(stage.clock.seconds()) + 300)
    _log(stage, entry.queue_id)
    _incidents(stage)
    _directory(stage)
    stage.mailboxes.append(mailbox(BOX, state="paused", why=HOSTILE, waits=1))
    book = stage.rounds.book
    stage.rounds.mailboxes.append(BOX)
    book.begin((BOX,), HOSTILE, stage.clock.seconds())
    steps = Remedy(HOSTILE, HOSTILE, HOSTILE, HOSTILE, "operator")
    book.hear(BOX, Finding("D07", HOSTILE, bad(HOSTILE, HOSTILE, TOLD, steps)).plain())
    book.end((BOX,), stage.rounds.mailboxes)
    stage.certificates.append(evolve(stage.certificates[0], names=[HOSTILE]))
    typed = quote(HOSTILE)
    return {
        "hostile message": f"/queue/{entry.queue_id}",
        "hostile mailbox": f"/mailboxes/{quote(BOX, safe='')}",
        "hostile sign-in": f"/mailboxes/{quote(BOX, safe='')}/sign-in",
        "hostile script": f"/mailboxes/{quote(BOX, safe='')}/set-up",
        "hostile incident": "/incidents/0badbeef",
        "hostile client": f"/clients/{quote(HOSTILE, safe='')}",
        **{
            f"hostile query of {path}": f"{path}?{'&'.join(f'{name}={typed}' for name in names)}"
            for path, *names in (
                ("/queue", "q", "mailbox"),
                ("/clients", "q"),
                ("/clients/add", "login", "sender"),
                ("/rules", "from", "to", "login", "ip", "listener"),
                ("/log", "q", "client", "mailbox", "id"),
                ("/trace", "client", "login", "mailbox"),
                ("/test", "mailbox"),
                ("/doctor", "mailbox"),
                ("/settings", "q", "tab"),
                ("/audit", "q"),
                ("/networks/add", "cidr", "sender"),
                (f"/{typed}", "x"),
            )
        },
    }


def _log(stage: Stage, queue_id: str) -> None:
    """What devices and Microsoft said, as it stands in the log."""
    log = stage.log
    log.emit("delivery", "smtp", queue_id, status="sent", to_=HOSTILE, note=HOSTILE, relay=HOSTILE)
    log.emit("message.queued", HOSTILE, queue_id, client=f"x[{HOSTILE}]", helo=HOSTILE)
    for login in (HOSTILE, ""):
        told: Any = {"client": "x[10.1.0.9]", "from_": HOSTILE}
        told |= {"sasl_username": login} if login else {}
        note = f"553 5.7.1 {HOSTILE}"
        log.emit("message.refused", "smtpd", "NOQUEUE", level="warn", note=note, **told)


def _incidents(stage: Stage) -> None:
    """Also what webhooks answered."""
    incident = Incident(
        id="0badbeef",
        told=TOLD,
        subject=subject_of({"mailbox": BOX, "file": HOSTILE}),
        opened_at=stage.clock.seconds() - 60,
        note=HOSTILE,
    )
    stage.incidents.append(incident)
    desk = stage.incident_desk
    desk.past.append(evolve(incident, id="0badf00d", closed_at=stage.clock.seconds()))
    desk.trials.append(Trial(f"webhook {HOSTILE}", False, HOSTILE))
    end = {"kind": "secret", "name": HOSTILE, "ends_at": stage.clock.seconds(), "warned": 1}
    desk.ends.append(end | {"note": HOSTILE})


def _directory(stage: Stage) -> None:
    """Names that colleagues gave."""
    registry, by = stage.registry.registry, f"console: {HOSTILE}"
    made = {"hash": passwords.generate()[1], "label": HOSTILE, "created": "2026-11-02"}
    registry.set_password("monitor", made, by)
    stage.operators.add(HOSTILE, HASH, "viewer", by)
    stage.desk.api_tokens.add(HOSTILE, "viewer", by)


def haunt_own(stage: OwnStage) -> None:
    """The label of a password, and what Microsoft answered."""
    row = {"hash": passwords.generate()[1], "label": HOSTILE}
    login = stage.clients()[0]["login"]
    first = stage.clients()[0]["passwords"][0]["id"]
    orders.RemovePassword(login, first).carry_out(stage.registry, "test")
    orders.AddPassword(login, row).carry_out(stage.registry, "test")
