"""Tests for `m365gw.relay.stops.mailboxes`."""

from __future__ import annotations

import io
import json
from math import inf

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.actors import Who
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import (
    Reaction,
    Scope,
    bounce_if_repeated,
    fewer_connections,
    hold,
    refresh_token,
    retry,
    retry_fast,
    retry_then,
    stop,
)
from m365gw.microsoft.replies import Phase
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.stops.stops import Account, State

BOX = "relay@contoso.com"
TWIN = "alarm@contoso.com"  # same tenant
FAR = "post@fabrikam.com"  # another tenant, same host
CHINA = "box@china.example"  # another host
SENDER = "app@contoso.com"
START = 1_800_000_000.0
DAY = 86400.0


def diagnosis(key: str, who: Who = "exchange-admin") -> Diagnosis:
    """A diagnosis in words that only tests read."""
    return Diagnosis(key, f"{key} happened.", "Because.", "Mend it.", who)


AUTH_OFF = hold(Scope.MAILBOX, diagnosis("auth-off"))
GRAPH_DENIED = hold(Scope.MAILBOX, diagnosis("graph-access-denied"))
QUOTA = stop(Scope.MAILBOX, 3600, diagnosis("quota", "nobody"), ceiling=3600)
SEND_AS = hold(Scope.SENDER, diagnosis("send-as"))
BUSY = stop(Scope.HOST, 60, diagnosis("busy", "nobody"), ceiling=240)
TENANT = hold(Scope.TENANT, diagnosis("tenant"))


class MailboxesCase(SynchronousTestCase):
    """Four mailboxes and a log one can read."""

    def setUp(self) -> None:
        self.lines = io.StringIO()
        self.mailboxes = self.fresh()

    def fresh(self) -> Mailboxes:
        log = EventLog(self.lines, hostname="here", format="json")
        host, china = "smtp.office365.com:587", "smtp.partner.outlook.cn:587"
        return Mailboxes(
            [
                Account(BOX, "contoso", host),
                Account(TWIN, "Contoso", host),
                Account(FAR, "fabrikam", host),
                Account(CHINA, "china", china),
            ],
            log,
            Incidents(log, lambda: 0.0),
        )

    def answer(
        self, reaction: Reaction, now: float, phase: Phase = Phase.DATA, mailbox: str = BOX
    ) -> Reaction:
        return self.mailboxes.answered(mailbox, SENDER, phase, reaction, now)[0]

    def events(self, name: str) -> list[dict[str, str]]:
        logged = [json.loads(line) for line in self.lines.getvalue().splitlines()]
        return [record for record in logged if record["event"] == name]

    def may(self, mailbox: str, now: float) -> bool:
        return self.mailboxes.may_send(mailbox, now) <= now


class ScopeTests(MailboxesCase):
    """What a stop stops."""

    def test_all_ready_at_first(self) -> None:
        """A mailbox without trouble is ready."""
        self.assertTrue(self.may(BOX, START))
        self.assertIs(self.mailboxes.standing(BOX).state, State.READY)

    def test_mailbox(self) -> None:
        """A mailbox that is held does not hold another of the same tenant."""
        self.answer(AUTH_OFF, START)
        self.assertEqual([self.may(box, START) for box in (BOX, TWIN)], [False, True])

    def test_tenant(self) -> None:
        """A tenant that is held holds all its mailboxes, however its name is spelt."""
        self.answer(TENANT, START)
        self.assertEqual([self.may(box, START) for box in (BOX, TWIN, FAR)], [False, False, True])

    def test_host(self) -> None:
        """A host that is stopped stops every mailbox of that cloud and no other."""
        self.answer(BUSY, START)
        ready = [self.may(box, START) for box in (BOX, TWIN, FAR, CHINA)]
        self.assertEqual(ready, [False, False, False, True])

    def test_sender(self) -> None:
        """A sender held on a mailbox holds neither the mailbox nor the sender elsewhere."""
        self.answer(SEND_AS, START)
        self.assertTrue(self.may(BOX, START))
        blocked = [
            self.mailboxes.sender_may_send(box, sender, START) > START
            for box, sender in ((BOX, "APP@contoso.com"), (BOX, "else@contoso.com"), (TWIN, SENDER))
        ]
        self.assertEqual(blocked, [True, False, False])

    def test_what_stops_a_tenant_names_no_single_mailbox(self) -> None:
        """The mailbox that met it first is not the one to blame; each shows its own name."""
        words = Diagnosis("t", "<tenant> is off.", "So.", "Set-It <mailbox>", "exchange-admin")
        due = self.answer(hold(Scope.TENANT, words), START)
        self.assertEqual(due.diagnosis.fix, f"Set-It {BOX}")
        (opened,) = self.events("incident.opened")
        self.assertEqual((opened["what"], opened["fix"]), ("contoso is off.", "Set-It ADDRESS"))
        shown = self.mailboxes.standing(TWIN).diagnosis
        assert shown is not None
        self.assertEqual(shown.fix, f"Set-It {TWIN}")

    def test_message_reactions_stop_nothing(self) -> None:
        """What only concerns a message leaves every mailbox ready."""
        for reaction in (retry(diagnosis("r")), bounce_if_repeated(diagnosis("b2"))):
            self.assertIs(self.answer(reaction, START), reaction)
        self.assertTrue(self.may(BOX, START))

    def test_state_says_who_must_act(self) -> None:
        """The state follows from who has to mend it."""
        expected = {
            "operator": State.MISCONFIGURED,
            "mailbox-user": State.NEEDS_SIGNIN,
            "entra-admin": State.NEEDS_ADMIN,
        }
        for who, state in expected.items():
            self.mailboxes = self.fresh()
            self.answer(hold(Scope.MAILBOX, diagnosis("k", who)), START)  # type: ignore[arg-type]
            self.assertIs(self.mailboxes.standing(BOX).state, state)


class ForgettingTests(MailboxesCase):
    """Senders come from outside: any number of them."""

    def test_senders_nobody_hears_of_are_forgotten(self) -> None:
        """A thousand made-up senders, each held: a while later nothing of them is kept."""
        for number in range(1000):
            sender = f"{number}@contoso.com"
            self.mailboxes.answered(BOX, sender, Phase.MAIL, SEND_AS, START)
        self.assertEqual(len(self.mailboxes.state(START)["stops"]), 1000)
        self.mailboxes.forget(START + 3600)
        self.assertEqual(len(self.mailboxes.state(START)["stops"]), 1000)
        self.mailboxes.forget(START + 2 * 86400)
        self.assertEqual(self.mailboxes.state(START)["stops"], [])
        self.assertEqual(len(self.events("incident.closed")), 1000)
        self.mailboxes.forget(START + 40 * 86400)
        self.assertEqual(self.mailboxes.state(START)["excuses"]["past"], [])

    def test_what_still_stops_mail_is_kept(self) -> None:
        """A held mailbox is no sender: it stays held however long nobody probes it."""
        self.answer(AUTH_OFF, START)
        self.mailboxes.forget(START + 40 * 86400)
        self.assertIsNot(self.mailboxes.standing(BOX).state, State.READY)


class ProbeTests(MailboxesCase):
    """How a stop ends."""

    def probe(self, now: float) -> None:
        self.assertTrue(self.may(BOX, now))
        self.probed = self.mailboxes.enter(BOX, now)

    def test_one_probe_at_a_time(self) -> None:
        """When the wait is over one message goes, and the next only when it has ended."""
        self.answer(AUTH_OFF, START)
        self.probe(START + 300)
        self.assertEqual(self.mailboxes.may_send(BOX, START + 301), START + 360)
        self.mailboxes.leave(self.probed)
        self.assertTrue(self.may(BOX, START + 302))

    def test_held_mailbox_is_probed_ever_slower_up_to_hourly(self) -> None:
        """Probes of what is held come after 5 minutes, then twice that, at last each hour."""
        now, waits = START, []
        for _ in range(6):
            self.answer(AUTH_OFF, now)
            until = self.mailboxes.may_send(BOX, now)
            waits.append(until - now)
            now = until
        self.assertEqual(waits, [300, 600, 1200, 2400, 3600, 3600])

    def test_hold_may_name_its_own_pace(self) -> None:
        """What must not be provoked often is probed at the pace it asks for from the start."""
        self.answer(evolve(AUTH_OFF, seconds=3600, ceiling=3600), START)
        self.assertEqual(self.mailboxes.may_send(BOX, START), START + 3600)

    def test_stop_doubles_up_to_its_ceiling(self) -> None:
        """A busy host is asked ever more slowly, up to what the table says."""
        now, waits = START, []
        for _ in range(4):
            self.answer(BUSY, now)
            until = self.mailboxes.may_send(BOX, now)
            waits.append(until - now)
            now = until
        self.assertEqual(waits, [60, 120, 240, 240])

    def test_answers_to_messages_under_way_count_once(self) -> None:
        """Three connections told the same in one second are one event."""
        for _ in range(3):
            self.answer(BUSY, START)
        self.assertEqual(self.mailboxes.may_send(BOX, START), START + 60)

    def test_delivery_ends_every_stop_it_went_through(self) -> None:
        """A message that arrived proves mailbox, sender, tenant and host ready."""
        for reaction in (AUTH_OFF, SEND_AS, TENANT, BUSY):
            self.answer(reaction, START)
        self.mailboxes.passed(BOX, SENDER, None, START + 400)
        self.assertTrue(self.may(BOX, START + 400))
        self.assertLessEqual(self.mailboxes.sender_may_send(BOX, SENDER, START + 400), START)

    def test_delivery_for_another_sender_leaves_the_sender_held(self) -> None:
        """Mail of one sender says nothing about the rights of another."""
        self.answer(SEND_AS, START)
        self.mailboxes.passed(BOX, "else@contoso.com", None, START + 1)
        self.assertGreater(self.mailboxes.sender_may_send(BOX, SENDER, START + 1), START + 1)

    def test_passing_the_place_of_trouble_is_enough(self) -> None:
        """Who gets to DATA has signed in: a sign-in stop ends even if the message fails there."""
        self.answer(AUTH_OFF, START, Phase.AUTH)
        self.mailboxes.passed(BOX, SENDER, Phase.DATA, START + 300)
        self.assertTrue(self.may(BOX, START + 300))

    def test_smtp_in_place_of_graph_proves_nothing_of_graph(self) -> None:
        """What Graph forbids stands until Graph allows it; other stops end by either exit."""
        self.answer(GRAPH_DENIED, START)
        self.mailboxes.passed(BOX, SENDER, None, START, instead=True)
        self.assertEqual(len(self.events("incident.closed")), 0)
        self.assertFalse(self.may(BOX, START))
        self.mailboxes.passed(BOX, SENDER, None, START)
        self.assertTrue(self.may(BOX, START))
        self.answer(AUTH_OFF, START)
        self.mailboxes.passed(BOX, SENDER, None, START, instead=True)
        self.assertTrue(self.may(BOX, START))

    def test_not_passing_the_place_proves_nothing(self) -> None:
        """A quota told after DATA is not lifted by an answer to RCPT TO."""
        self.answer(QUOTA, START, Phase.DATA)
        self.mailboxes.passed(BOX, SENDER, Phase.RCPT, START + 10)
        self.assertFalse(self.may(BOX, START + 10))


class StreakTests(MailboxesCase):
    """Equal answers in a row."""

    def test_repeated_answer_leads_to_a_hold(self) -> None:
        """What is retried three times is held at the fourth, whichever messages it met."""
        reaction = retry_then(3, AUTH_OFF)
        due = [self.answer(reaction, START + n).action.value for n in range(4)]
        self.assertEqual(due, ["retry", "retry", "retry", "hold"])
        self.assertFalse(self.may(BOX, START + 4))

    def test_success_ends_the_row(self) -> None:
        """A delivery in between starts the count anew."""
        reaction = retry_then(2, SEND_AS)
        self.answer(reaction, START)
        self.answer(reaction, START)
        self.mailboxes.passed(BOX, SENDER, None, START + 1)
        self.assertEqual(self.answer(reaction, START + 2).action.value, "retry")

    def test_token_is_refreshed_once(self) -> None:
        """A refused token is renewed, and the second refusal holds the mailbox."""
        reaction = refresh_token(AUTH_OFF)
        self.assertEqual(self.answer(reaction, START, Phase.AUTH).action.value, "refresh-token")
        self.assertEqual(self.answer(reaction, START + 1, Phase.AUTH).action.value, "hold")

    def test_stop_that_lasts_becomes_a_hold(self) -> None:
        """A stop with patience turns into a hold when it has lasted."""
        lasting = stop(
            Scope.MAILBOX,
            30,
            diagnosis("prx", "nobody"),
            ceiling=600,
            attempts=1,
            patience=1800,
            then=AUTH_OFF,
        )
        now, actions = START, []
        while len(actions) < 20 and "hold" not in actions:
            actions.append(self.answer(lasting, now, Phase.AUTH).action.value)
            now = self.mailboxes.may_send(BOX, now)
        self.assertGreaterEqual(now - START, 1800)
        self.assertIs(self.mailboxes.standing(BOX).state, State.NEEDS_ADMIN)


class IncidentTests(MailboxesCase):
    """What the log says."""

    def test_hold_opens_one_incident_and_closes_it_once(self) -> None:
        """However often a held mailbox is probed, one line opens and one closes it."""
        now = START
        for _ in range(4):
            self.answer(AUTH_OFF, now)
            now = self.mailboxes.may_send(BOX, now)
        self.mailboxes.passed(BOX, SENDER, None, now)
        self.mailboxes.passed(BOX, SENDER, None, now + 1)
        (opened,), (closed,) = self.events("incident.opened"), self.events("incident.closed")
        self.assertEqual(
            [opened[field] for field in ("mailbox", "what", "why", "fix", "who")],
            [BOX, "auth-off happened.", "Because.", "Mend it.", "exchange-admin"],
        )
        self.assertEqual(closed["key"], "auth-off")

    def test_blips_stop_for_seconds_and_are_an_incident_when_they_last(self) -> None:
        """A draining server or a 432 delays by seconds; if it never ends, somebody is told."""
        for blip in (retry_fast(diagnosis("421"), Scope.HOST), fewer_connections(diagnosis("432"))):
            self.setUp()
            now = START
            self.answer(blip, now)
            self.assertEqual(self.mailboxes.may_send(BOX, now), START + 5)
            self.assertEqual(self.events("incident.opened"), [])
            while now < START + 1000:
                self.answer(blip, now)
                now = self.mailboxes.may_send(BOX, now)
            self.assertEqual(len(self.events("incident.opened")), 1)

    def test_short_stop_opens_no_incident(self) -> None:
        """A busy host is no incident: it heals by itself."""
        self.answer(BUSY, START)
        self.assertEqual(self.events("incident.opened"), [])
        self.assertEqual(len(self.events("mailbox.stopped")), 1)

    def test_stop_that_lasts_a_quarter_of_an_hour_opens_one(self) -> None:
        """When it does not heal, somebody is told."""
        now = START
        while now < START + 1500:
            self.answer(BUSY, now)
            now = self.mailboxes.may_send(BOX, now)
        self.assertEqual(len(self.events("incident.opened")), 1)

    def test_another_cause_is_another_incident(self) -> None:
        """When a held mailbox turns out to have a second trouble, the first incident closes."""
        self.answer(AUTH_OFF, START)
        self.answer(hold(Scope.MAILBOX, diagnosis("licence")), START + 300)
        self.assertEqual(
            [record["key"] for record in self.events("incident.opened")], ["auth-off", "licence"]
        )
        self.assertEqual([record["key"] for record in self.events("incident.closed")], ["auth-off"])


class ExcusedTests(MailboxesCase):
    """Time that does not count."""

    def test_open_stop(self) -> None:
        """The time since a stop began is excused, before it and for others nothing is."""
        self.answer(AUTH_OFF, START)
        excused = self.mailboxes.excused
        self.assertEqual(excused(BOX, SENDER, START - 100, START + 500), 500)
        self.assertEqual(excused(TWIN, SENDER, START - 100, START + 500), 0)

    def test_overlapping_stops_count_once(self) -> None:
        """A mailbox held while its host is stopped waits once, not twice."""
        self.answer(AUTH_OFF, START)
        self.answer(BUSY, START + 50)
        self.mailboxes.passed(BOX, SENDER, None, START + 100)
        self.assertEqual(self.mailboxes.excused(BOX, SENDER, START, START + DAY), 100)

    def test_held_sender_is_excused_alone(self) -> None:
        """A held sender's mail does not age; that of other senders does."""
        self.answer(SEND_AS, START)
        later = START + DAY
        self.assertEqual(self.mailboxes.excused(BOX, SENDER, START, later), DAY)
        self.assertEqual(self.mailboxes.excused(BOX, "else@contoso.com", START, later), 0)


class PauseTests(MailboxesCase):
    """An operator's word."""

    def test_pause_and_resume(self) -> None:
        """A paused mailbox stays so, whatever is delivered meanwhile, until it is resumed."""
        self.mailboxes.pause(BOX, diagnosis("paused", "operator"), START)
        self.mailboxes.passed(BOX, SENDER, None, START + 1)
        self.assertIs(self.mailboxes.standing(BOX).state, State.PAUSED)
        self.mailboxes.resume(BOX, START + 2)
        self.assertTrue(self.may(BOX, START + 2))

    def test_probe_asks_all_that_stops_the_mailbox(self) -> None:
        """Sender, mailbox, tenant and host are all tried at once, a pause is not; nor others."""
        for reaction in (AUTH_OFF, SEND_AS, TENANT, BUSY):
            self.answer(reaction, START)
        self.answer(SEND_AS, START, mailbox=CHINA)
        self.mailboxes.probe(BOX, START + 1)
        self.assertTrue(self.may(BOX, START + 1))
        self.assertLessEqual(self.mailboxes.sender_may_send(BOX, SENDER, START + 1), START + 1)
        self.assertGreater(self.mailboxes.sender_may_send(CHINA, SENDER, START + 1), START + 1)
        self.mailboxes.pause(BOX, diagnosis("paused", "operator"), START)
        self.mailboxes.probe(BOX, START + 1)
        self.assertFalse(self.may(BOX, START + 1))

    def test_resume_probes_a_held_mailbox_at_once(self) -> None:
        """Who has mended something need not wait for the next probe."""
        self.answer(AUTH_OFF, START)
        self.mailboxes.resume(BOX, START + 5)
        self.assertTrue(self.may(BOX, START + 5))


class MemoryTests(MailboxesCase):
    """What outlives the process."""

    def restart(self, stopped: float, started: float) -> None:
        kept = json.dumps(self.mailboxes.state(stopped))
        self.mailboxes = self.fresh()
        self.mailboxes.restore(json.loads(kept), started)

    def test_throttled_mailbox_stays_throttled(self) -> None:
        """A quota is not forgotten by a restart."""
        self.answer(QUOTA, START)
        self.restart(START + 10, START + 20)
        self.assertEqual(self.mailboxes.may_send(BOX, START + 20), START + 3600)

    def test_what_is_remembered_is_said(self) -> None:
        """Who reads the log of a new process learns what still stops mail, why and until when."""
        self.answer(BUSY, START)
        self.mailboxes.pause(TWIN, diagnosis("paused", "operator"), START)
        self.restart(START + 10, START + 20)
        notes = {
            record.get("host") or record["mailbox"]: record["note"]
            for record in self.events("mailbox.stopped")[1:]
        }
        self.assertEqual(
            notes,
            {
                "smtp.office365.com:587": "stopped since before this start; it waits 40 s more:"
                " busy happened. Because. To do (nobody; it heals by itself): Mend it.",
                TWIN: "stopped since before this start; it waits until it is resumed:"
                " paused happened. Because. To do (whoever runs this gateway): Mend it.",
            },
        )

    def test_held_mailbox_is_probed_after_a_restart(self) -> None:
        """After a restart what is held is tried at once, and its incident is not opened again."""
        self.answer(AUTH_OFF, START)
        self.restart(START + 10, START + 20)
        self.assertTrue(self.may(BOX, START + 20))
        self.answer(AUTH_OFF, START + 21)
        self.assertEqual(len(self.events("incident.opened")), 1)

    def test_excused_time_is_kept_and_downtime_added(self) -> None:
        """Neither what was excused before nor the time without a service ages a message."""
        self.answer(AUTH_OFF, START)
        self.mailboxes.passed(BOX, SENDER, None, START + 100)
        self.restart(START + 1000, START + 1000 + DAY)
        excused = self.mailboxes.excused(BOX, SENDER, START, START + 2 * DAY)
        self.assertEqual(excused, 100 + DAY)

    def test_paused_stays_paused(self) -> None:
        """An operator's word survives a restart."""
        self.mailboxes.pause(BOX, diagnosis("paused", "operator"), START)
        self.restart(START + 1, START + 2)
        self.assertEqual(self.mailboxes.may_send(BOX, START + 2), inf)

    def test_damaged_state_is_refused_whole(self) -> None:
        """A file that says something else raises and changes nothing."""
        for damaged in ({}, {"stops": [["mailbox", BOX, {}]], "excuses": {"past": [], "at": 1}}):
            with self.assertRaises((ValueError, TypeError, LookupError)):
                self.mailboxes.restore(damaged, START)
        self.assertTrue(self.may(BOX, START))


class NewSettingsTests(MailboxesCase):
    """The mailboxes change while mail flows."""

    def configure(self, *addresses: str, mended: tuple[str, ...] = ()) -> None:
        accounts = [Account(each, "contoso", "smtp.office365.com:587") for each in addresses]
        self.mailboxes.configure(accounts, mended, START + 10)

    def test_removed(self) -> None:
        """What stopped it ends with its incident; what was under way for it can still be judged."""
        self.answer(AUTH_OFF, START)
        self.configure(TWIN)
        self.assertEqual(self.mailboxes.addresses, (TWIN,))
        self.assertNotIn(BOX, self.mailboxes)
        self.assertEqual(len(self.events("incident.closed")), 1)
        self.answer(AUTH_OFF, START + 20)
        self.mailboxes.passed(BOX, SENDER, None, START + 30)

    def test_back_again(self) -> None:
        """Mail that waited for a mailbox that was missing may go, and the incident closes."""
        self.configure(TWIN)
        self.mailboxes.missing(BOX, START + 20)
        self.configure(BOX, TWIN)
        self.assertTrue(self.may(BOX, START + 30))
        self.assertEqual(len(self.events("incident.closed")), 1)

    def test_still_missing(self) -> None:
        """A reload that does not bring it back tells nothing anew."""
        self.configure(TWIN)
        self.mailboxes.missing(BOX, START + 20)
        self.configure(TWIN)
        self.mailboxes.missing(BOX, START + 30)
        self.assertEqual(len(self.events("incident.opened")), 1)
        self.assertEqual(self.events("incident.closed"), [])

    def test_mended(self) -> None:
        """A mailbox that was set up anew is tried at once; another waits on."""
        for mailbox in (BOX, TWIN):
            self.answer(AUTH_OFF, START, mailbox=mailbox)
        self.configure(BOX, TWIN, mended=(BOX,))
        self.assertEqual([self.may(box, START + 10) for box in (BOX, TWIN)], [True, False])
