"""The directory under a running service: changed, stopped, broken, stolen, and put back."""

from __future__ import annotations

import base64
import json
import shutil
import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime

import requests
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from m365gw.config.load import load
from m365gw.directory import passwords
from m365gw.directory.api_tokens import ApiTokens
from m365gw.directory.database import Database
from m365gw.directory.operators import Operators
from m365gw.directory.registry import Registry
from m365gw.directory.vault import Vault
from m365gw.edge.listening.self_signed import self_signed
from m365gw.rehearsal.certificates import app_certificate
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET, PUBLIC_APP_ID, WEB_APP_ID
from tests.directory.databases import Server
from tests.whole.stage import (
    CONFIGURATION,
    PASSWORD,
    PASSWORD_HASH,
    PATIENCE,
    RELAY,
    SENDER,
    Gateway,
    WholeTestCase,
)
from tests.whole.test_clients import unverified

DEVICE = (
    CONFIGURATION.replace('flow = "secret"', 'flow = "device"')
    .replace(f'client_secret = "{APP_SECRET}"', "")
    .replace(APP_ID, PUBLIC_APP_ID)
)
HOOK_PATH, HOOK_SECRET = "path-only-we-know", "what-signs-the-news"
OPERATOR = "the password of an operator"
BUTTON_SECRET = "what-a-button-signs-in-with"
CONSOLE = f"""\
[web]
endpoint = "tcp:0:interface=127.0.0.1"

[[alerts.webhook]]
url = "http://127.0.0.1:9/{HOOK_PATH}"
secret = "{HOOK_SECRET}"
loopback = true

[[sign_in]]
name = "Contoso account"
tenant = "contoso.example"
client_id = "{WEB_APP_ID}"
client_secret = "{BUTTON_SECRET}"
cloud = "rehearsal"
"""
QUICK = '[queue]\nminimal_backoff_time = "1s"\nmaximal_backoff_time = "1s"\n'
FAX = {
    "login": "fax",
    "senders": ["*@contoso.example"],
    "mailbox": RELAY,
    "password": [{"hash": PASSWORD_HASH}],
}
PHRASE = "several words are a good passphrase"


class DirectoryTestCase(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")

    def vault(self, gate: Gateway) -> Vault:
        """What the gateway keeps, as another process sees it."""
        settings = load(str(gate.config), {}).settings
        self.database = Database(settings.directory.url, settings.state_dir)
        self.addCleanup(self.database.close)
        return Vault(self.database, settings.state_dir)

    def registry(self, gate: Gateway) -> Registry:
        vault = self.vault(gate)
        return Registry(self.database, vault, lambda: load(str(gate.config), {}).settings)

    def send(self, gate: Gateway, login: str = "fax") -> str:
        """A message by a login; gives its queue id."""
        with smtplib.SMTP("127.0.0.1", gate.ports["submission"]) as client:
            client.starttls(context=unverified())
            client.login(login, PASSWORD)
            client.mail(SENDER)
            client.rcpt("you@elsewhere.example")
            _, text = client.data(f"From: {SENDER}\r\n\r\nHello\r\n".encode())
        return text.decode().split()[-1]

    def assert_sent(self, gate: Gateway, qid: str) -> None:
        gate.wait_for("delivery", qid=qid, status="sent")


class PostgresqlTests(DirectoryTestCase):
    def test_stopped_under_a_running_service(self) -> None:
        """Mail is taken and sent as before, also after a restart; what needs it waits for it."""
        server = Server()
        self.addCleanup(shutil.rmtree, server.folder)
        self.addCleanup(server.stop)
        url = server.new_database()
        url_file = self.folder / "url"
        url_file.write_text(url)
        url_file.chmod(0o600)
        directory = f'[directory]\nurl_file = "{url_file}"\n'
        gate = self.gateway(self.microsoft365, directory + QUICK, DEVICE)
        gate.sign_in(self.microsoft365)
        self.registry(gate).add_client(FAX, "anna")
        changed = gate.wait_for("service.reloaded")
        self.assertEqual(changed["note"], "directory read anew: client fax added")
        self.assert_sent(gate, self.send(gate))

        server.stop()
        gate.wait_for("incident.opened", key="directory-unreachable")
        self.assert_sent(gate, self.send(gate))
        gate.kill()
        gate.start()
        waiting = self.send(gate)
        gate.wait_for("incident.opened", key="vault-failed")

        server.start()
        self.assert_sent(gate, waiting)
        gate.wait_for("incident.closed", key="directory-unreachable")
        self.assertEqual(gate.of("delivery", status="bounced"), [])


class SqliteTests(DirectoryTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.gate = self.gateway(self.microsoft365, QUICK + CONSOLE, DEVICE)
        self.state = self.gate.folder / "state"
        self.gate.sign_in(self.microsoft365)
        self.registry(self.gate).add_client(FAX, "anna")
        self.gate.wait_for("service.reloaded")
        self.assert_sent(self.gate, self.send(self.gate))
        self.phrase = self.folder / "phrase"
        self.phrase.write_text(PHRASE)
        self.phrase.chmod(0o600)

    def command(self, *words: str) -> str:
        """A command that ends well; gives what it said."""
        done = self.gate.command(*words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def signed_in(self) -> str:
        """An operator signs in to the console; gives what the browser keeps of it."""
        Operators(self.database).add("anna", passwords.hash_chosen(OPERATOR), "admin", "console")
        place = self.gate.wait_for("web.ready")["address"]
        with requests.Session() as browser:
            browser.trust_env = False
            page = browser.get(f"http://{place}/login", timeout=PATIENCE).text
            token = page.partition('name="token" value="')[2].partition('"')[0]
            form = {"token": token, "login": "anna", "password": OPERATOR}
            came = browser.post(
                f"http://{place}/login", form, timeout=PATIENCE, allow_redirects=False
            )
            self.assertEqual(came.status_code, 303)
            return str(next(iter(browser.cookies.get_dict().values())))

    def test_damaged_and_restored(self) -> None:
        """It flows meanwhile; the backup brings everything back, sign-ins too."""
        file = self.folder / "backup"
        words = ["--passphrase-file", str(self.phrase)]
        self.command("backup", str(file), *words)
        refused = self.gate.command("restore", str(file), *words)
        self.assertIn("The service runs", refused.stderr)

        (self.state / "state.db").write_bytes(b"rubbish" * 1000)
        self.gate.wait_for("incident.opened", key="directory-unreachable")
        self.assert_sent(self.gate, self.send(self.gate))
        self.gate.kill()
        self.gate.start()
        waiting = self.send(self.gate)
        self.gate.stop()

        refused = self.gate.command("restore", str(file), *words)
        self.assertIn("--replace", refused.stderr)
        self.command("restore", str(file), "--replace", *words)
        self.gate.start()
        self.assert_sent(self.gate, waiting)
        self.assert_sent(self.gate, self.send(self.gate))

    def test_on_another_machine(self) -> None:
        """With the configuration out of the backup, and another key beside."""
        file, there = self.folder / "backup", self.folder / "there"
        words = ["--passphrase-file", str(self.phrase)]
        self.command("backup", str(file), *words)
        self.gate.stop()
        self.command("restore", str(file), "--configuration", str(there), *words)
        shutil.rmtree(self.gate.folder)
        shutil.copytree(there, self.gate.folder)
        self.gate.start()
        self.assert_sent(self.gate, self.send(self.gate))

    def test_stolen_without_the_key(self) -> None:
        """No secret can be read in state_dir, in no form, also not in what was deleted."""
        key, certificate = app_certificate("m365gw")
        mailbox = {
            "address": "app@contoso.example",
            "flow": "certificate",
            "tenant": "contoso.example",
            "client_id": APP_ID,
            "certificate": (sealed_by(key, "phrase of a key") + certificate).decode(),
            "certificate_passphrase": "phrase of a key",
            "cloud": "rehearsal",
        }
        registry, vault = self.registry(self.gate), self.vault(self.gate)
        registry.add_mailbox(mailbox, "anna")
        second = {**mailbox, "address": "second@contoso.example"}
        registry.add_mailbox(second, "anna")  # and stays
        other = {**mailbox, "flow": "secret", "client_secret": APP_SECRET}
        other |= {"certificate": None, "certificate_passphrase": None}
        registry.change_mailbox("app@contoso.example", other, "anna")
        own = {"flow": "web", "tenant": "contoso.example", "sign_in": "Contoso account"}
        own |= {"client_id": WEB_APP_ID, "cloud": "rehearsal"}
        registry.add_mailbox({"address": "alice@contoso.example", **own}, "alice")
        vault.store("webhook-secret", b"the secret of a webhook")
        cache = json.loads(vault.load(f"sign-in {RELAY}") or b"")
        tokens = [
            each["secret"]
            for kind in ("AccessToken", "RefreshToken", "IdToken")
            for each in cache.get(kind, {}).values()
        ]
        self.assertGreaterEqual(len(tokens), 2)
        tls = self_signed(str(self.state), "gateway.contoso.example", datetime.now(UTC)).read().key
        lines = [*key.decode().splitlines()[1:3], *tls.decode().splitlines()[1:3]]
        secrets = [*tokens, APP_SECRET, PASSWORD, "the secret of a webhook", *lines]
        secrets += [
            BUTTON_SECRET,
            "phrase of a key",
            HOOK_PATH,
            HOOK_SECRET,
            OPERATOR,
            self.signed_in(),
        ]
        secrets.append(ApiTokens(self.database).add("prometheus", "viewer", "anna"))
        self.gate.command("incident", "test")
        self.command("keys", "rotate")
        self.assert_sent(self.gate, self.send(self.gate))
        for running in (True, False):
            if not running:
                self.gate.stop()
            searched = 0
            for path in self.state.rglob("*"):
                if path.is_file() and path.relative_to(self.state).parts[0] != "keys":
                    searched += 1
                    octets = path.read_bytes()
                    for secret in secrets:
                        for form in _forms(secret):
                            self.assertNotIn(form, octets, path)
            self.assertGreaterEqual(searched, 2)
        self.gate.start()
        self.assert_sent(self.gate, self.send(self.gate))


def sealed_by(key: bytes, phrase: str) -> bytes:
    """A private key that opens with a passphrase."""
    seal = BestAvailableEncryption(phrase.encode())
    return load_pem_private_key(key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, seal)


def _forms(secret: str) -> Iterator[bytes]:
    """What a secret may look like in a file: a stretch of each, wherever in base64 it begins."""
    plain = secret.encode()
    yield plain
    yield plain.hex().encode()
    yield secret.encode("utf-16-le")
    yield json.dumps(secret)[1:-1].encode()
    for start in range(3):
        yield base64.b64encode(plain[start:])[:24]
        yield base64.urlsafe_b64encode(plain[start:])[:24]
