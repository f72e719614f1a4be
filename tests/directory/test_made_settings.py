"""Listeners and single settings made beside the configuration: the file counts before them."""

from __future__ import annotations

from typing import Any

from attrs import evolve, fields
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settable import Configured, settable, value_of, with_values
from m365gw.config.settings import Listener, Queue, Settings
from m365gw.directory.audit import Audit
from m365gw.directory.entries import Made, Setting
from m365gw.directory.facts import Facts
from m365gw.directory.last_known import LastKnown
from m365gw.directory.merge import merged
from m365gw.directory.orders import SetSettings
from tests.directory.databases import OnPostgresql
from tests.directory.test_registry import CONFIGURED, RegistryTestCase

SMTPS = {"name": "smtps", "endpoint": "tcp:465", "tls": "implicit"}


def configured(base: Settings, **places: str) -> Configured:
    """Settings of a file that names these keys ("queue__delivery")."""
    values: dict[str, Any] = {each.name: getattr(base, each.name) for each in fields(Settings)}
    named = {key.replace("__", "."): place for key, place in places.items()}
    return Configured(**values, places=named)


class SettingTests(RegistryTestCase):
    def test_set_and_taken_back(self) -> None:
        """Text as in a variable; who did it is in the audit, with the value."""
        values = {"queue.delivery": "false", "limits.message_size_limit": "25M", "hostname": "a.b"}
        self.registry.arrange(values, None, "anna")
        found, problems = merged(self.configured, self.entries.read())
        self.assertEqual(problems, ())
        self.assertEqual(
            (found.queue.delivery, found.limits.message_size_limit, found.hostname),
            (False, 25 * 1024**2, "a.b"),
        )
        self.registry.arrange({"hostname": None, "queue.report_limit": None}, None, "bert")
        self.assertEqual(merged(self.configured, self.entries.read())[0].hostname, "gw")
        last = Audit(self.database).changes()[0]
        self.assertEqual(
            (last.by, last.action, last.subject), ("bert", "setting.unset", "hostname")
        )

    def test_what_stands_in_the_file_is_locked(self) -> None:
        """Also where it stands there with its default; the place is told."""
        self.configured = configured(CONFIGURED, queue__delivery="m365gw.toml:7")
        [problem] = self.rejected(self.registry.arrange, {"queue.delivery": "false"}, None, "anna")
        self.assertIn("m365gw.toml:7", problem.fault)

    def test_every_fault_is_told_at_once(self) -> None:
        """Of settings and listeners; nothing is changed then."""
        values = {"queue.delivery": "maybe", "web.endpoint": "tcp:80", "hostname": "gw"}
        listeners = [{**SMTPS, "tls": "always"}, {"name": "submission", "endpoint": "tcp:25"}]
        problems = self.rejected(self.registry.arrange, values, listeners, "anna")
        told = "\n".join(map(str, problems))
        for words in ("queue.delivery", "web.endpoint", '"always" is not one', "submission"):
            self.assertIn(words, told)

    def test_settings_that_do_not_fit_together(self) -> None:
        """What the file says is asked with it."""
        self.configured = configured(
            evolve(CONFIGURED, queue=Queue(maximal_backoff_time=400.0)),
            queue__maximal_backoff_time="m365gw.toml:7",
        )
        values = {"queue.minimal_backoff_time": "500s"}
        [problem] = self.rejected(self.registry.arrange, values, None, "anna")
        self.assertIn("is longer than maximal_backoff_time", problem.fault)

    def test_what_is_shown(self) -> None:
        """Each setting with its value and where that was said."""
        self.registry.arrange({"queue.delay_warning_time": "4h"}, None, "anna")
        before = configured(CONFIGURED, hostname="m365gw.toml:1")
        made = self.entries.read()
        rows = {
            row["key"]: row
            for row in Facts(before, made, merged(before, made)[0]).single_settings()
        }
        self.assertEqual(list(rows), list(settable()))
        told = [
            rows[key]["origin"] for key in ("hostname", "queue.delay_warning_time", "log.level")
        ]
        self.assertEqual(told, ["file", "directory", "default"])
        row = rows["queue.delay_warning_time"]
        self.assertEqual((row["value"], row["made"], row["made_by"]), (14400.0, "4h", "anna"))
        self.assertEqual(rows["hostname"]["place"], "m365gw.toml:1")

    def test_a_start_without_the_database(self) -> None:
        """Listeners and settings are among what was last known."""
        self.vault.prepare()
        SetSettings({"queue.delivery": "false"}, (SMTPS,)).carry_out(self.registry, "anna")
        made = self.entries.read()
        kept = LastKnown(self.state_dir, self.vault.seal)
        kept.keep(made)
        read = kept.read()
        self.assertEqual((read.settings, read.listeners), (made.settings, made.listeners))


class ListenerTests(RegistryTestCase):
    def test_added_changed_removed(self) -> None:
        """As other entries."""
        self.registry.add_listener(SMTPS, "anna")
        self.registry.change_listener("smtps", {"auth": "offer"}, "anna")
        [smtps] = self.entries.read().listeners
        self.assertEqual((smtps.endpoint, smtps.auth), ("tcp:465", "offer"))
        self.registry.remove_listener("smtps", "anna")
        self.assertEqual(self.entries.read().listeners, ())

    def test_a_place_that_is_taken(self) -> None:
        """Two listeners cannot share an endpoint, wherever they stand."""
        values = {**SMTPS, "endpoint": "tcp:587"}
        [problem] = self.rejected(self.registry.add_listener, values, "anna")
        self.assertIn("is there twice", problem.fault)

    def test_what_comes_into_the_file_counts(self) -> None:
        """A listener of the same name made before does not."""
        self.registry.add_listener(SMTPS, "anna")
        mine = Listener(name="smtps", endpoint="tcp:4650")
        found, _ = merged(evolve(CONFIGURED, listener=(mine,)), self.entries.read())
        self.assertEqual(found.listener, (mine,))

    def test_all_at_once(self) -> None:
        """Those that are not named go; those that are as before have no line in the audit."""
        self.registry.add_listener(SMTPS, "anna")
        self.registry.add_listener({"name": "old", "endpoint": "tcp:26"}, "anna")
        said = len(Audit(self.database).changes())
        wanted = [SMTPS, {"name": "mail", "endpoint": "tcp:25", "auth": "offer"}]
        self.registry.arrange({}, wanted, "bert")
        self.assertEqual([each.name for each in self.entries.read().listeners], ["mail", "smtps"])
        new = Audit(self.database).changes()[: -said or None]
        self.assertEqual(
            {(each.action, each.subject) for each in new},
            {("listener.removed", "old"), ("listener.added", "mail")},
        )


class MadeSettingsOnPostgresqlTests(OnPostgresql, SettingTests):
    """The same on PostgreSQL."""


TEXTS = {
    "hostname": "made.example.com",
    "queue.delivery": "false",
    "queue.on_uncertain": "hold",
    "queue.minimal_backoff_time": "7m",
    "limits.recipient_limit": "77",
    "limits.message_size_limit": "7M",
    "governor.internal_domains": "a.example, b.example",
    "governor.messages_per_minute": "7.5",
    "log.level": "debug",
    "alerts.mail_to": "ops@contoso.com",
}


class MergeTests(SynchronousTestCase):
    @settings(max_examples=60, deadline=None)
    @given(st.sets(st.sampled_from(sorted(TEXTS))), st.sets(st.sampled_from(sorted(TEXTS))))
    def test_the_file_always_wins(self, in_file: set[str], made: set[str]) -> None:
        """Whatever is made: a key of the file keeps its value, each other one has the made one."""
        base = configured(CONFIGURED, **{key.replace(".", "__"): "f:1" for key in in_file})
        texts = {key: TEXTS[key] for key in made}
        beside = Made(settings=tuple(Setting(*each) for each in texts.items()))
        found, problems = merged(base, beside)
        self.assertEqual(problems, ())
        for key in TEXTS:
            source = with_values(base, {key: texts[key]} if key in made - in_file else {})
            self.assertEqual(value_of(found, key), value_of(source, key), key)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.sampled_from(["a", "b", "c"]), unique=True), st.sets(st.sampled_from("abc")))
    def test_a_listener_of_the_file_always_wins(self, made: list[str], in_file: set[str]) -> None:
        """Each name is there once, and where the file has it, as the file has it."""
        own = tuple(Listener(name=each, endpoint=f"tcp:{100 + ord(each)}") for each in in_file)
        beside = Made(
            listeners=tuple(Listener(name=each, endpoint=f"tcp:{300 + ord(each)}") for each in made)
        )
        found, _ = merged(evolve(CONFIGURED, listener=own), beside)
        self.assertEqual(found.listener[: len(own)], own)
        self.assertEqual(sorted(each.name for each in found.listener), sorted(in_file | {*made}))

    def test_a_setting_that_does_not_fit_any_more(self) -> None:
        """It is left out and said; the others of its table go with it only where it is unclear."""
        beside = Made(
            settings=(
                Setting("queue.report_limit", "0"),
                Setting("queue.delivery", "false"),
                Setting("log.level", "debug"),
            )
        )
        found, problems = merged(CONFIGURED, beside)
        self.assertEqual((found.queue.report_limit, found.queue.delivery), (30, False))
        self.assertEqual((found.log.level, len(problems)), ("debug", 1))
