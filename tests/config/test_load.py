"""Loading: files and environment become settings, or every problem is named at once.

The tests write a configuration into a folder of their own and load it; the environment is passed
in, so that nothing of the machine plays a part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config import load as load_module
from m365gw.config.load import Loaded, load
from m365gw.config.problems import ConfigError
from m365gw.config.settable import places_of
from m365gw.config.web import FIRST_PLACE

HASH = "$hmac-sha256$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

GOOD = f"""\
hostname = "relay.example.com"

[[listener]]
name = "submission"
endpoint = "tcp:587"

[[mailbox]]
address = "relay@contoso.com"
flow = "device"
tenant = "contoso.onmicrosoft.com"
client_id = "00000000-0000-0000-0000-000000000000"

[[client]]
login = "printer3"
password_hash = "{HASH}"
senders = ["scan@contoso.com", "*@devices.contoso.com"]
mailbox = "relay@contoso.com"
"""


class LoadingTestCase(SynchronousTestCase):
    """A folder for the files of one test."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.config = self.folder / "m365gw.toml"

    def load(self, text: str, environment: dict[str, str] | None = None) -> Loaded:
        self.config.write_text(text)
        return load(str(self.config), environment or {})

    def problems(self, text: str, environment: dict[str, str] | None = None) -> str:
        error = self.assertRaises(ConfigError, self.load, text, environment)
        return str(error)


class GoodConfigurationTests(LoadingTestCase):
    def test_defaults_fill_what_is_not_said(self) -> None:
        """A short file is enough: the rest is Postfix's defaults."""
        settings = self.load(GOOD).settings
        self.assertEqual(settings.hostname, "relay.example.com")
        self.assertEqual(settings.listener[0].tls, "starttls")
        self.assertEqual(settings.queue.maximal_queue_lifetime, 5 * 86400)
        self.assertEqual(settings.client[0].senders[1], "*@devices.contoso.com")

    def test_units_in_the_file(self) -> None:
        """Durations and sizes may carry units."""
        settings = self.load(
            GOOD + '[queue]\nmaximal_queue_lifetime = "2d"\n[limits]\nmessage_size_limit = "25M"\n'
        ).settings
        self.assertEqual(settings.queue.maximal_queue_lifetime, 2 * 86400)
        self.assertEqual(settings.limits.message_size_limit, 25 * 1024 * 1024)

    def test_conf_d_adds_rows_and_overrides_values(self) -> None:
        """Files in conf.d are read in order: tables are merged, arrays of tables grow."""
        (self.folder / "conf.d").mkdir()
        (self.folder / "conf.d" / "10-more.toml").write_text(
            'hostname = "other.example.com"\n'
            f'[[client]]\nlogin = "erp"\npassword_hash = "{HASH}"\n'
            'senders = ["*"]\nmailbox = "relay@contoso.com"\n'
        )
        settings = self.load(GOOD).settings
        self.assertEqual(settings.hostname, "other.example.com")
        self.assertEqual([client.login for client in settings.client], ["printer3", "erp"])

    def test_environment_wins(self) -> None:
        """A variable wins over the file, with lists by commas and rows by number."""
        loaded = self.load(
            GOOD,
            {
                "M365GW_HOSTNAME": "env.example.com",
                "M365GW_QUEUE__MAXIMAL_QUEUE_LIFETIME": "1d",
                "M365GW_LIMITS__RECIPIENT_LIMIT": "7",
                "M365GW_QUEUE__DELIVERY": "false",
                "M365GW_CLIENT__0__SENDERS": "a@contoso.com, b@contoso.com",
                "OTHER": "x",
            },
        )
        self.assertEqual(loaded.settings.hostname, "env.example.com")
        self.assertEqual(loaded.settings.queue.maximal_queue_lifetime, 86400)
        self.assertEqual(loaded.settings.limits.recipient_limit, 7)
        self.assertFalse(loaded.settings.queue.delivery)
        self.assertEqual(loaded.settings.client[0].senders, ("a@contoso.com", "b@contoso.com"))
        self.assertEqual(
            loaded.tree.origin(("queue", "maximal_queue_lifetime")).place,
            "environment  M365GW_QUEUE__MAXIMAL_QUEUE_LIFETIME",
        )

    def test_origins_name_file_and_line(self) -> None:
        """Each value knows the line it was given on."""
        loaded = self.load(GOOD)
        self.assertEqual(loaded.tree.origin(("hostname",)).place, f"{self.config}:1")
        self.assertEqual(loaded.tree.origin(("client", 0, "login")).place, f"{self.config}:14")

    def test_relative_files_belong_to_the_folder_of_the_file(self) -> None:
        """A relative file name means the same wherever the service is started."""
        (self.folder / "secret").write_text("s3cret\n")
        os.chmod(self.folder / "secret", 0o600)
        settings = self.load(
            GOOD.replace('"device"', '"secret"\nclient_secret_file = "secret"')
        ).settings
        self.assertEqual(settings.mailbox[0].client_secret, "s3cret")
        self.assertEqual(settings.mailbox[0].client_secret_file, str(self.folder / "secret"))

    def test_secrets_are_not_in_the_repr(self) -> None:
        """A traceback that prints the settings prints no secret."""
        settings = self.load(
            GOOD.replace('"device"', '"secret"\nclient_secret = "s3cret"')
        ).settings
        self.assertNotIn("s3cret", repr(settings))


class BadConfigurationTests(LoadingTestCase):
    def test_all_errors_at_once_with_line_and_suggestion(self) -> None:
        """Every mistake is named, with its line and what was probably meant."""
        said = self.problems(
            GOOD.replace('endpoint = "tcp:587"', 'endpoint = "tcp:587"\ntls = "startls"\nprot = 25')
            + '[queue]\nminimal_backoff_time = "5 days"\n'
        )
        self.assertIn(f"{self.config}:6  listener[0].tls", said)
        self.assertIn('Did you mean "starttls"?', said)
        self.assertIn(f"{self.config}:7  listener[0].prot  unknown setting", said)
        self.assertIn("queue.minimal_backoff_time  '5 days' is not a duration", said)
        self.assertIn("3 errors; the service does not start with this.", said)

    def test_unknown_variable(self) -> None:
        """A misspelt variable is an error, not silence."""
        said = self.problems(GOOD, {"M365GW_QUEUE__LIFETIME": "5d"})
        self.assertIn("environment  M365GW_QUEUE__LIFETIME  unknown setting", said)
        self.assertIn('Did you mean "M365GW_QUEUE__MAXIMAL_QUEUE_LIFETIME"?', said)

    def test_variable_that_is_no_place(self) -> None:
        """A variable that leads nowhere says how variables are named."""
        self.assertIn("rows count from 0", self.problems(GOOD, {"M365GW_CLIENT__9__LOGIN": "x"}))

    def test_missing_file(self) -> None:
        """A file that was asked for and is not there is an error."""
        error = self.assertRaises(ConfigError, load, str(self.folder / "none.toml"), {})
        self.assertIn("cannot be read", str(error))

    def test_invalid_toml(self) -> None:
        """A syntax error names file and line."""
        self.assertIn("line 1", self.problems("hostname = \n"))

    def test_missing_required(self) -> None:
        """A row without a required key says which."""
        said = self.problems(GOOD.replace('tenant = "contoso.onmicrosoft.com"\n', ""))
        self.assertIn("mailbox[0].tenant  is missing", said)

    def test_wrong_shape(self) -> None:
        """A value where a table belongs is explained."""
        self.assertIn("Write it as a table: [queue]", self.problems("queue = 5\n"))

    def test_no_secret_in_an_error(self) -> None:
        """A table in single brackets, a list, a number: what is wrong is told without the value."""
        row = '[[mailbox]]\nclient_secret = "s3cret"\n'
        for wrong in (
            row.replace("[[mailbox]]", "[mailbox]"),
            row.replace('"s3cret"', '["s3cret"]'),
            row.replace('"s3cret"', "53"),
        ):
            with self.subTest(wrong=wrong):
                said = self.problems('hostname = "relay"\n' + wrong)
                self.assertNotIn("s3cret", said)
                self.assertNotIn("53", said)
        self.assertIn(
            "write each as [[mailbox]]", self.problems(row.replace("[[mailbox]]", "[mailbox]"))
        )

    def test_variable_for_a_table(self) -> None:
        """A variable that names a whole table says how one key of it is named."""
        said = self.problems(GOOD, {"M365GW_QUEUE": "5"})
        self.assertIn("has the wrong shape\n    It is a table: name a key in it", said)

    def test_number_that_is_none(self) -> None:
        """The words are ours, whatever Python would say."""
        said = self.problems(GOOD, {"M365GW_GOVERNOR__MESSAGES_PER_MINUTE": "lots"})
        self.assertIn("must be a number, not 'lots'", said)

    def test_default_file_is_not_there(self) -> None:
        """It need not be; where something else is wrong, what was looked for is said first."""
        self.patch(load_module, "DEFAULT_PATH", str(self.folder / "none.toml"))
        wrong = {"M365GW_LOG__LEVEL": "loud"}
        said = str(self.assertRaises(ConfigError, load, None, wrong))
        self.assertTrue(said.startswith(f"{self.folder / 'none.toml'}  is not there\n"), said)
        self.assertEqual(load(None, {}).settings.listener, ())
        (self.folder / "conf.d").mkdir()
        (self.folder / "conf.d" / "more.toml").write_text('[log]\nlevel = "loud"\n')
        said = str(self.assertRaises(ConfigError, load, None, {}))
        self.assertNotIn("is not there", said)  # as conf.d says all there is

    def test_default_folder_that_may_not_be_looked_into(self) -> None:
        """As a folder of root's that a container mounts: it says so, and does not start without."""
        self.patch(load_module, "DEFAULT_PATH", str(self.folder / "closed" / "m365gw.toml"))

        def refuse(path: Path, **options: bool) -> os.stat_result:
            raise PermissionError(13, "Permission denied")

        self.patch(Path, "stat", refuse)
        self.patch(Path, "read_text", refuse)
        said = str(self.assertRaises(ConfigError, load, None, {}))
        self.assertIn("m365gw.toml  cannot be read: Permission denied", said)

    def test_conf_d_that_cannot_be_read(self) -> None:
        """Rules that cannot be read are a fault, not no rules."""
        (self.folder / "conf.d").mkdir()

        def refuse(path: Path) -> Iterator[Path]:
            raise PermissionError(13, "Permission denied")

        self.patch(Path, "iterdir", refuse)
        self.assertIn("conf.d  cannot be read: Permission denied", self.problems(GOOD))

    def test_endpoints(self) -> None:
        """What Twisted could not listen on is told before the service starts."""
        for endpoint in ("587", "tcp", "tcp:abc", "tcp:70000", "tcp:25:interfac=::1", "udp:25"):
            with self.subTest(endpoint=endpoint):
                said = self.problems(GOOD.replace("tcp:587", endpoint))
                self.assertIn("listener[0].endpoint", said)
        for endpoint in (
            "tcp:0",
            r"tcp6:25:interface=\\:\\:1",
            "unix:/run/smtp",
            "tcp:25:backlog=9",
        ):
            with self.subTest(endpoint=endpoint):
                self.load(GOOD.replace("tcp:587", endpoint))

    def test_one_port_for_two_listeners(self) -> None:
        """Each needs its own; any free port (0) is its own."""
        more = '[[listener]]\nname = "more"\nendpoint = "tcp:587"\n'
        said = self.problems(GOOD + more)
        self.assertIn('listener[1].endpoint  "tcp:587" is there twice', said)
        self.load((GOOD + more).replace("tcp:587", "tcp:0"))

    def test_what_would_let_nothing_through(self) -> None:
        """Limits of nothing, and names that are none."""
        for text, key in (
            ("[limits]\nconnection_limit = 0\n", "limits.connection_limit  must be more than 0"),
            ("[governor]\nburst = -1\n", "governor.burst  must be more than 0"),
            ('[queue]\npostmaster = "nobody"\n', 'queue.postmaster  "nobody" is not a mail'),
            ('[queue]\nreport_from = "a@b.c"\n', 'queue.report_from  there is no mailbox "a@b.c"'),
            ("[queue]\nreport_limit = 0\n", "queue.report_limit  must be at least 1"),
        ):
            with self.subTest(key=key):
                self.assertIn(key, self.problems(GOOD + text))
        said = self.problems(GOOD.replace("relay.example.com", "relay example"))
        self.assertIn("'relay example' is not a host name", said)

    def test_references(self) -> None:
        """A client whose mailbox does not exist is found before any mail is."""
        said = self.problems(
            GOOD.replace('mailbox = "relay@contoso.com"', 'mailbox = "other@contoso.com"')
        )
        self.assertIn('there is no mailbox "other@contoso.com"', said)

    def test_nothing_at_all(self) -> None:
        """An empty configuration takes no mail; it is set up in the console, on this machine."""
        settings = self.load("").settings
        self.assertEqual((settings.listener, settings.client, settings.network), ((), (), ()))
        self.assertEqual(settings.web.endpoint, FIRST_PLACE)

    def test_where_each_value_was_given(self) -> None:
        """By its key: file and line, or the name of the variable; nothing for a default."""
        text = 'hostname = "gw"\n[queue]\ndelivery = true\n'
        places = places_of(self.load(text, {"M365GW_LOG__LEVEL": "debug"}).settings)
        self.assertTrue(places["queue.delivery"].endswith("m365gw.toml:3"), places)
        self.assertEqual(places["log.level"], "environment  M365GW_LOG__LEVEL")
        self.assertNotIn("log.format", places)

    def test_password_that_is_no_hash(self) -> None:
        """A password in clear is refused, and not repeated in the message."""
        for wrong in ("hunter2", "$hmac-sha256$hunter2", "$argon2id$hunter2"):
            said = self.problems(GOOD.replace(HASH, wrong))
            self.assertIn("client add --print printer3", said)
            self.assertNotIn("hunter2", said)

    def test_several_passwords_of_a_client(self) -> None:
        """Each with its place; the old key may stand beside them or be missing."""
        more = f'[[client.password]]\nhash = "{HASH}"\nlabel = "new"\nexpires = 2027-03-31\n'
        [client] = self.load(GOOD + more).settings.client
        self.assertEqual(client.password[0].expires, date(2027, 3, 31))
        self.load(GOOD.replace(f'password_hash = "{HASH}"\n', "") + more)
        second = more.replace("2027-03-31", '"soon"')
        line = (GOOD + more).count("\n") + 4
        said = self.problems(GOOD + more + second)
        self.assertIn(f":{line}  client[0].password[1].expires  must be a day", said)

    def test_client_that_nobody_could_be(self) -> None:
        """No password, a hash that would use up the machine, networks and realms that are none."""
        costly = "$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"
        password = f'password_hash = "{HASH}"\n'
        for wrong, words in (
            ("", "client[0]  has no password"),
            (f"password_hash = '{costly}'\n", "costs too much to check"),
            (password + 'networks = ["10.1.2.3/16"]\n', "Did you mean 10.1.0.0/16"),
            (password + 'realms = ["@contoso.com"]\n', "is not a realm"),
            (
                password + f'password = [{{hash = "x"}}, {{hash = "{HASH}", networks = ["y"]}}]\n',
                "client[0].password[0].hash  is not a password hash\n"
                "    Make one: m365gw client passwd --print printer3",
            ),
            (
                password
                + f"password = [{', '.join([f'{{hash = {chr(39)}{HASH}{chr(39)}}}'] * 9)}]\n",
                "too many passwords",
            ),
        ):
            with self.subTest(words=words):
                self.assertIn(words, self.problems(GOOD.replace(password, wrong)))

    def test_host_bits(self) -> None:
        """A network with host bits is refused with the network that was meant."""
        said = self.problems(
            GOOD + '[[network]]\ncidr = "10.1.2.3/16"\nsenders = ["*"]\n'
            'mailbox = "relay@contoso.com"\n'
        )
        self.assertIn("Did you mean 10.1.0.0/16?", said)

    def test_one_thing_written_in_two_ways(self) -> None:
        """Two rules for one network, or one login: nobody could tell which of them counts."""
        rule = 'senders = ["*"]\nmailbox = "relay@contoso.com"\n'
        both = "".join(f'[[network]]\ncidr = "{c}"\n{rule}' for c in ("10.1.2.3", "10.1.2.3/32"))
        self.assertIn('"10.1.2.3/32" is there twice', self.problems(GOOD + both))
        logins = "".join(
            f'[[client]]\nlogin = "{name}"\npassword_hash = "{HASH}"\n{rule}'
            for name in ("caf\u00e9", "cafe\u0301")
        )
        self.assertIn('"caf\u00e9" is there twice', self.problems(GOOD + logins))

    def test_secret_everybody_can_read(self) -> None:
        """A secret file open to all is refused with the command that mends it."""
        (self.folder / "secret").write_text("s3cret\n")
        os.chmod(self.folder / "secret", 0o644)
        said = self.problems(GOOD.replace('"device"', '"secret"\nclient_secret_file = "secret"'))
        self.assertIn("chmod o-rwx", said)
        self.assertNotIn("s3cret", said)

    def test_secret_twice(self) -> None:
        """A secret and its file together are one too many."""
        said = self.problems(
            GOOD.replace('"device"', '"secret"\nclient_secret = "a"\nclient_secret_file = "b"')
        )
        self.assertIn("Keep one of the two", said)

    def test_pattern_that_would_never_match(self) -> None:
        """A star in the wrong place is refused; one for all that is below a domain is not."""
        wrong = GOOD.replace("*@devices.contoso.com", "scan-*@contoso.com")
        self.assertIn("a star stands for a whole local part", self.problems(wrong))
        self.load(GOOD.replace("*@devices.contoso.com", "*@*.contoso.com"))

    def test_numbers_that_are_none(self) -> None:
        """Endless and undefined paces are refused, in the file and in the environment."""
        for wrong in ("nan", "inf", '"fast"'):
            with self.subTest(wrong=wrong):
                said = self.problems(GOOD + f"[governor]\nmessages_per_minute = {wrong}\n")
                self.assertIn("must be a number", said)
        self.assertIn(
            "must be a number", self.problems(GOOD, {"M365GW_GOVERNOR__MESSAGES_PER_MINUTE": "nan"})
        )

    def test_login_that_is_never_offered(self) -> None:
        """A listener that demands a login it never offers is a mistake."""
        said = self.problems(GOOD.replace('"tcp:587"', '"tcp:25"\ntls = "none"'))
        self.assertIn("without TLS none is offered", said)


class RehearsalTests(LoadingTestCase):
    """A production configuration cannot point at a rehearsal by accident, nor the reverse."""

    CLOUD = """\
[cloud.mine]
smtp = "{smtp}"
authority = "https://{host}:8443/TENANT"
rehearsal = {is_one}
"""

    def cloud(self, smtp: str, host: str, is_one: str) -> str:
        return GOOD + self.CLOUD.format(smtp=smtp, host=host, is_one=is_one)

    def test_loopback_must_say_it_is_a_rehearsal(self) -> None:
        """A cloud on loopback without rehearsal = true is refused."""
        for host in ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"]:
            with self.subTest(host=host):
                said = self.problems(self.cloud(f"{host}:2587", host, "false"))
                self.assertIn("so it is not Microsoft", said)

    def test_rehearsal_must_be_on_loopback(self) -> None:
        """A rehearsal that points at a real host is refused."""
        said = self.problems(self.cloud("smtp.example.com:587", "127.0.0.1", "true"))
        self.assertIn("a rehearsal must be on loopback", said)

    def test_rehearsal_on_loopback(self) -> None:
        """A rehearsal that says so is taken."""
        settings = self.load(self.cloud("127.0.0.1:2587", "127.0.0.1", "true")).settings
        self.assertTrue(settings.cloud["mine"].rehearsal)

    def test_microsoft_clouds_cannot_be_redefined(self) -> None:
        """The names of Microsoft's clouds keep their meaning."""
        said = self.problems(
            self.cloud("127.0.0.1:2587", "127.0.0.1", "true").replace(".mine", ".worldwide")
        )
        self.assertIn('"worldwide" is the name of a Microsoft cloud', said)
