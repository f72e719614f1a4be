"""The samples in `docs/reports.md` are what the gateway writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.replies import diagnose
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.reports.facts import Facts, Kind, Told
from m365gw.smtp.reports.fields import fields
from m365gw.smtp.reports.summary import Line, compose_summary
from m365gw.smtp.reports.words import words

DOCUMENT = Path(__file__).parents[2] / "docs" / "reports.md"

AT = datetime(2026, 11, 21, 4, 46, 7, tzinfo=UTC)
NO_USER = Reply(550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP lookup")
SEND_AS = Reply(
    550, "5.7.60", "SMTP; Client does not have permissions to send as this sender [AM0PR01]"
)
BOX, APP = "relay@contoso.com", "scanner@contoso.com"
TOLD = Told(
    Recipient("kim@example.net", orcpt="rfc822;Kim@example.net"),
    NO_USER,
    diagnose(NO_USER).about(mailbox=BOX, sender=APP),
    "smtp.office365.com[192.0.2.1]:587",
    tried_at=AT,
)
FAILED = Facts(
    kind=Kind.FAILED,
    hostname="relay.contoso.com",
    sender=BOX,
    addressee=APP,
    queue_id="4Q7BX2K9M3PDW",
    about="4Q7BX2K9M3PDV",
    envid="invoice-7",
    came_from=("scanner3.contoso.com", "10.1.0.7"),
    arrived_at=AT - timedelta(seconds=4),
    at=AT,
    told=(TOLD,),
    header=b"Subject: Invoice 7\r\n\r\n",
)
DELAYED = evolve(
    FAILED,
    kind=Kind.DELAYED,
    arrived_at=AT - timedelta(hours=4),
    retry_until=AT + timedelta(days=5),
    told=(
        evolve(
            TOLD,
            reply=SEND_AS,
            explanation=diagnose(SEND_AS).about(mailbox=BOX, sender=APP),
            relay="none",
            tried_at=None,
        ),
    ),
)
RELAYED = evolve(
    FAILED,
    kind=Kind.RELAYED,
    told=(evolve(TOLD, reply=Reply(250, "2.0.0", "OK <7@contoso.com>")),),
)
SUMMARY = compose_summary(
    Kind.FAILED,
    [
        Line(f"4Q7BX2K9M3PD{letter}", (f"user{letter}@example.net",), NO_USER, TOLD.explanation)
        for letter in "BCD"
    ],
    hostname="relay.contoso.com",
    sender=BOX,
    addressee=APP,
    queue_id="4Q7BX2K9M3PDZ",
    at=AT,
)


def samples() -> dict[str, str]:
    """Name to text, as the document shows them."""
    return {
        "failure, words": "\n".join(words(FAILED)),
        "failure, fields": "\n".join(fields(FAILED)),
        "delay, words": "\n".join(words(DELAYED)),
        "relayed, words": "\n".join(words(RELAYED)),
        "summary": SUMMARY.split(b"\r\n\r\n", 1)[1].decode().replace("\r\n", "\n").rstrip("\n"),
    }


class SampleTests(SynchronousTestCase):
    def test_document_shows_what_is_written(self) -> None:
        """Each sample stands in the document, line for line."""
        document = DOCUMENT.read_text()
        for name, text in samples().items():
            with self.subTest(sample=name):
                self.assertIn(f"```\n{text}\n```\n", document)
