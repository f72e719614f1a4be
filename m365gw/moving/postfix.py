"""Plain Postfix with sasl-xoauth2: main.cf, its tables, the token files, the networks it trusts.

Read are `main.cf` in the given folder and what it names; a folder `.../etc/postfix` of a copied
tree takes all paths inside of that tree. Logins are those of `smtpd_sender_login_maps` and of
Dovecot's `/etc/dovecot/users`; only the latter has passwords. A rule here has one mailbox, so a
login whose senders left by several is left out.

Each setting that stands in main.cf and is not taken is said. Failures: all that cannot be read is
among what is found.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Final

from attrs import Factory, define

from m365gw.moving.found import Found, Login, Table
from m365gw.moving.main_cf import MainCf, main_cf, rows_of_table, table_files
from m365gw.moving.mynetworks import networks_in
from m365gw.moving.owners import of_networks, without_others
from m365gw.moving.passwd_file import Line, lines_of
from m365gw.moving.places import Folder, Place, Unreadable, text_of
from m365gw.moving.postfix_mailboxes import Mailboxes
from m365gw.moving.postfix_permits import Permits
from m365gw.moving.postfix_words import pattern_of

NAME: Final = "postfix"
DOVECOT: Final = "etc/dovecot/users"
TAKEN: Final = (
    *("relayhost", "smtp_sasl_password_maps", "sender_dependent_relayhost_maps", "mynetworks"),
    *("smtp_sender_dependent_authentication", "smtpd_sender_login_maps", "mydomain", "myorigin"),
    *("smtpd_sender_restrictions", "smtp_sasl_auth_enable", "smtp_sasl_mechanism_filter"),
    *("smtp_sasl_security_options", "smtpd_sasl_auth_enable", "compatibility_level"),
    *("queue_directory", "smtp_tls_security_level", "smtp_tls_CAfile", "smtp_tls_CApath"),
)
# Settings of the same meaning here.
SAME: Final = {
    "myhostname": "hostname",
    "message_size_limit": "limits.message_size_limit",
    "smtpd_tls_cert_file": "tls.certificate",
    "smtpd_tls_key_file": "tls.key",
    "queue_run_delay": "queue.queue_run_delay",
    "minimal_backoff_time": "queue.minimal_backoff_time",
    "maximal_backoff_time": "queue.maximal_backoff_time",
    "maximal_queue_lifetime": "queue.maximal_queue_lifetime",
    "bounce_queue_lifetime": "queue.bounce_queue_lifetime",
    "delay_warning_time": "queue.delay_warning_time",
}
_MISMATCH: Final = ("reject_sender_login_mismatch", "reject_authenticated_sender_login_mismatch")


def read_folder(path: Path, cloud: str = "") -> Found:
    """What Postfix in this folder goes by."""
    path = path.absolute()
    is_tree = path.parts[-2:] == ("etc", "postfix")
    root = path.parent.parent if is_tree else Path("/")
    return read(Folder(root), str(path.relative_to(root)), cloud)


def read(root: Place, folder: str, cloud: str = "") -> Found:
    """The same with all its files below `root`; `folder` is where main.cf is."""
    found = Found()
    try:
        text = text_of(root, f"{folder}/main.cf")
        if text is None:
            raise Unreadable(f"{folder}/main.cf", "is not there")
        config, odd = main_cf(text)
        for number in odd:
            found.breaks(f"main.cf, line {number}", "is not a setting")
        permits = Permits(config, text_of(root, f"{folder}/master.cf") or "")
        _Reading(root, config, permits, found, Mailboxes(root, config, cloud, found)).read()
    except Unreadable as problem:
        found.breaks(problem.name, problem.why)
    return found


@define
class _Reading:
    _root: Place
    _config: MainCf
    _permits: Permits
    found: Found
    _mailboxes: Mailboxes
    _senders: dict[str, list[str]] = Factory(dict)  # as they stand in the map, by login

    def read(self) -> None:
        """Gather all there is."""
        self._mailboxes.read()
        if self.found.mailboxes:
            self._networks()
            self._logins()
            self._listeners()
        self._others()

    def _networks(self) -> None:
        default = self._mailboxes.default
        if "mynetworks" not in self._config.settings:
            self.found.leaves_out(
                "main.cf, mynetworks", "is not set: only this machine was trusted"
            )
        if not self._is_let(self._permits.networks, "mynetworks"):
            return
        for cidr in networks_in(self._words("mynetworks"), "main.cf, mynetworks", self.found):
            if not default:
                self.found.leaves_out("main.cf, mynetworks", f"{cidr}: {_SEVERAL}")
                continue
            self.found.networks[cidr] = {"cidr": cidr, "senders": ["*"], "mailbox": default}

    def _is_let(self, may: Callable[[], bool], place: str) -> bool:
        """Whether Postfix let those send; if not, or if nobody can tell, it is said."""
        try:
            if may():
                return True
            self.found.leaves_out(f"main.cf, {place}", _NOT_LET[place])
        except ValueError as error:
            self.found.breaks(f"main.cf, {place}", str(error))
        return False

    def _words(self, name: str) -> list[str]:
        try:
            return self._config.words(name)
        except ValueError as error:
            self.found.breaks(f"main.cf, {name}", str(error))
            return []

    def _logins(self) -> None:
        lines = self._passwords()
        self._read_senders()
        is_bound = bool(self._config.settings.get("smtpd_sender_login_maps"))
        if is_bound and not any(w in _MISMATCH for w in self._words("smtpd_sender_restrictions")):
            why = "is asked by no restriction in main.cf; here logins are held to it"
            self.found.leaves_out("main.cf, smtpd_sender_login_maps", why)
        if self._senders and self.found.networks:
            self.found.leaves_out("main.cf, mynetworks", of_networks(self.found.networks))
        if self._config.value("smtpd_sasl_auth_enable") == "yes" and not {*lines, *self._senders}:
            why = "logins are not in its files; make each: m365gw client add"
            self.found.leaves_out("main.cf, smtpd_sasl_auth_enable", why)
        logins = {**lines, **self._senders}
        if not logins or not self._is_let(self._permits.logins, "smtpd_sasl_auth_enable"):
            return
        allowed = without_others(self._senders, self.found)
        for login in logins:
            missing = Line(0, login, why_new=f"{login!r} has no password in its files")
            senders = allowed.get(login, []) if is_bound else ["*"]
            self._login(lines.get(login, missing), senders)

    def _login(self, line: Line, senders: list[str]) -> None:
        place = f"login {line.login}"
        if not senders:
            self.found.leaves_out(place, "may send as nobody, so it could not send")
            return
        mailboxes = {self._mailboxes.of_sender(sender) for sender in senders}
        if len(mailboxes) > 1 or "" in mailboxes:
            self.found.leaves_out(place, _SEVERAL)
            return
        values: Table = {"login": line.login, "senders": senders, "mailbox": mailboxes.pop()}
        login = Login(values, line.clear, line.hash, line.why_new)
        self.found.logins[line.login] = login

    def _passwords(self) -> dict[str, Line]:
        lines = {}
        for line in lines_of(text_of(self._root, DOVECOT) or ""):
            if line.fault:
                self.found.breaks(f"/{DOVECOT}, line {line.number}", line.fault)
            else:
                lines[line.login] = line
        return lines

    def _read_senders(self) -> None:
        try:
            files = table_files(self._config.value("smtpd_sender_login_maps"))
            domain = self._config.value("myorigin")
        except ValueError as error:
            self.found.breaks("main.cf, smtpd_sender_login_maps", str(error))
            return
        for file in files:
            text = text_of(self._root, file.lstrip("/"))
            if text is None:
                self.found.breaks(file, "is not there")
            for number, key, value in rows_of_table(text or ""):
                try:
                    pattern = pattern_of(key, domain)
                except ValueError as error:
                    self.found.breaks(f"{file}, line {number}", f"{key!r}: {error}")
                    continue
                for login in value.replace(",", " ").split():
                    patterns = self._senders.setdefault(login, [])
                    patterns += [] if pattern in patterns else [pattern]

    def _listeners(self) -> None:
        networks = " ".join(f"--network {cidr}" for cidr in self.found.networks)
        auth = "offer" if self.found.logins else "off"
        words = f"m365gw listener add smtp tcp:25 --auth {auth} {networks}"
        self.found.advice.append(words.rstrip())
        if self.found.logins:
            self.found.advice.append("m365gw listener add submission tcp:587 --tls require")

    def _others(self) -> None:
        """What else stands in main.cf: the same here, or nothing."""
        for name in self._config.settings:
            if name in SAME:
                try:
                    value = self._config.value(name)
                except ValueError as error:
                    self.found.leaves_out(f"main.cf, {name}", str(error))
                    continue
                self.found.advice.append(f"m365gw settings set {SAME[name]} {shlex.quote(value)}")
            elif name not in TAKEN and not self._config.is_referred_to(name):
                self.found.leaves_out(f"main.cf, {name}", "is not taken over")


_NOT_LET: Final = {
    "mynetworks": "its restrictions let no network send without a login; no network is taken over",
    "smtpd_sasl_auth_enable": (
        "neither main.cf nor master.cf takes logins and lets them send; no login is taken over"
    ),
}
_SEVERAL: Final = (
    "its senders left by several mailboxes, and a rule here has one; make a login for each of them"
)
