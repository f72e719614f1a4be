"""A walk through `docs/containers.md`: its lines as a reader would give them, and what is seen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from attrs import define, field

from m365gw.rehearsal.tenant import APP_ID, APP_SECRET
from tests.machine.contained import SCANNER, STATE, Contained
from tests.machine.docker import REPOSITORY, Docker
from tests.machine.machine import Machine

# What is written, and what is typed for it.
FILLED = (
    (r"\bcontoso\.com\b", "contoso.example"),
    (r"\b0{8}-0000-0000-0000-0{12}\b", APP_ID),
    (r"\bm365gw mailbox add\b", "m365gw mailbox add --cloud rehearsal"),
    (r" -it\b", " -i"),
    (r"(docker compose .*)\bexec ", r"\1exec -T "),
)
TYPED = (
    (r"\bm365gw backup ", "a long passphrase\n" * 2),
    (r" restore ", "a long passphrase\n"),
)
COMPOSE = f"docker compose -f {REPOSITORY}/etc/compose.yaml"
EVERYTHING = f"{COMPOSE} --profile direct --profile haproxy --profile monitoring"
# A client in the network of the containers, which is its own address there.
PRINTER = "172.31.250.77"
HAPROXY = "172.31.250.10"
SEND = """\
import smtplib, ssl
with smtplib.SMTP("haproxy", 587) as client:
    client.starttls(context=ssl._create_unverified_context())
    client.login("printer3", "{password}")
    text = "From: {sender}\\r\\nSubject: {subject}\\r\\n\\r\\nIt works.\\r\\n"
    client.sendmail("{sender}", ["you@example.com"], text)
"""


# What hinders it, and what it says.
REFUSED = {
    "/srv/closed:/etc/m365gw:ro": "/etc/m365gw/m365gw.toml  cannot be read: Permission denied",
    "/srv/wrong:/etc/m365gw:ro": "the service does not start with this",
    "/srv/theirs:/var/lib/m365gw": "state_dir /var/lib/m365gw belongs to root",
}
# For the second build, as the first would give the same image again.
ANOTHER = "printf 'FROM m365gw\\nLABEL another=yes\\n' | docker build --quiet --tag m365gw -"


@define
class Walk:
    """Where it has come to."""

    docker: Docker
    gateway: Contained
    behind_haproxy: Contained
    is_built: bool = False
    as_run: str = ""
    seen: set[str] = field(factory=set)

    @classmethod
    def of(cls, docker: Docker) -> Walk:
        run = "docker exec -i m365gw"
        plain = Contained(docker.machine, run, "m365gw-state", "/srv/m365gw")
        run = f"{COMPOSE} --profile haproxy exec -T gateway-behind-haproxy"
        behind = Contained(docker.machine, run, "m365gw_state", f"{REPOSITORY}/etc/config")
        return cls(docker, plain, behind)

    @property
    def machine(self) -> Machine:
        return self.docker.machine

    def play(self, line: str, folder: str) -> None:
        """Give a line, with what belongs before it, and look at what it leads to."""
        for pattern, before in BEFORE.items():
            if re.search(pattern, line):
                before(self)
        typed = "".join(text for pattern, text in TYPED if re.search(pattern, line))
        for pattern, text in FILLED:
            line = re.sub(pattern, text, line)
        if line.startswith("docker build ") and not self.is_built:
            said = self.docker.build(line, folder)
        elif line.startswith("docker build "):
            said = self.machine.run(ANOTHER)
        else:
            said = self.machine.run(line, folder=folder, typed=typed)
        for pattern, after in AFTER.items():
            if re.search(pattern, line):
                self.seen.add(pattern)
                after(self, line, said)

    def left(self) -> set[str]:
        """Patterns of checks that no line had."""
        return set(AFTER) - self.seen

    # Before a line.

    def write_secret(self) -> None:
        """The file the page takes for granted."""
        self.machine.path(f"{REPOSITORY}/secret.txt").write_text(f"{APP_SECRET}\n")

    def lead_to_rehearsal(self) -> None:
        """It takes the place of Microsoft."""
        self.gateway.rehearse()

    def kill_while_mail_waits(self) -> None:
        """At the second build: SIGKILL loses nothing, and then mail waits for the new image."""
        if not self.is_built:
            return
        self.machine.run("docker restart m365gw")  # the rehearsal is gone with that
        self.gateway.wait_until_it_answers()
        self.gateway.submit("killed")
        self.machine.run("docker kill -s KILL m365gw && docker start m365gw")
        self.gateway.rehearse()
        self.gateway.run("m365gw queue flush")
        self.gateway.arrived("killed")
        self.machine.run("docker restart m365gw")
        self.gateway.wait_until_it_answers()
        self.gateway.submit("upgraded")

    def begin_anew(self) -> None:
        """No other gateway has the ports."""
        self.machine.run(f"docker rm --force m365gw; {EVERYTHING} down --remove-orphans")

    def go_behind_haproxy(self) -> None:
        self.begin_anew()
        self.machine.run(f"{COMPOSE} --profile haproxy up --detach")
        self.behind_haproxy.wait_until_it_answers()

    def refuse_to_start(self) -> None:
        """What the table above the line says is what Docker shows."""
        self.machine.run("rm -r /srv/m365gw/conf.d")  # the rehearsal is not in another's volumes
        self.machine.run("install -d -m 0700 /srv/closed && install -d /srv/wrong /srv/theirs")
        self.machine.path("/srv/closed/m365gw.toml").write_text("")
        self.machine.path("/srv/wrong/m365gw.toml").write_text('hostnam = "relay"\n')
        for volume, words in REFUSED.items():
            said = self.machine.run(f"! docker run --rm --volume {volume} m365gw")
            assert words in said, said

    # After a line, with what was typed and what it said.

    def was_built(self, line: str, said: str) -> None:
        self.is_built = True

    def is_sealed(self, line: str, said: str) -> None:
        """No root, no right, nothing writable that is not meant to be; the set-up is there."""
        self.as_run = line
        self.logs_say("docker logs m365gw", "to look at it: https://localhost:8025")
        status = dict(
            row.split(":\t", 1) for row in self.gateway.run("cat /proc/1/status").splitlines()
        )
        assert status["Uid"].split() == ["3650"] * 4, status
        rights = {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")}
        assert (rights, status["NoNewPrivs"].strip()) == ({0}, "1"), status
        said = self.gateway.run("sh -c 'touch /opt/m365gw/x 2>&1 || true'")
        assert "Read-only file system" in said, said
        page = "https://localhost:8025/setup"
        self.machine.wait_until(
            lambda: "One-time" in self.machine.from_here("curl", "--silent", "--insecure", page),
            f"{page} does not answer",
        )

    def has_set_up(self, line: str, said: str) -> None:
        assert "One-time password" in said, said

    def has_stopped(self, line: str, said: str) -> None:
        """In good order, with what was accepted on disk."""
        state = "docker inspect --format '{{.State.ExitCode}}' m365gw"
        assert self.machine.run(state).strip() == "0"
        self.logs_say("docker logs --tail 5 m365gw", "all that was accepted is in the spool")

    def answers_again(self, line: str, said: str) -> None:
        self.gateway.wait_until_it_answers()

    def mail_arrives(self, line: str, said: str) -> None:
        """From a device on the machine, over the published port."""
        self.gateway.run("m365gw listener add devices tcp:587")
        self.gateway.let_printer_in()
        self.gateway.submit("first")
        self.gateway.arrived("first")

    def is_upgraded(self, line: str, said: str) -> None:
        """The same `docker run` with another image goes on with the mail that waits."""
        self.machine.run(self.as_run)
        self.gateway.wait_until_it_answers()
        waiting = self.gateway.run("m365gw queue list --json").splitlines()
        assert len(waiting) == 1, waiting
        self.gateway.rehearse()
        self.gateway.run("m365gw queue flush")
        self.gateway.arrived("upgraded")

    def has_written_the_cloud(self, line: str, said: str) -> None:
        """The rehearsal inside says where it is, before the next line takes that over."""
        cloud = f"docker exec m365gw test -s {STATE}/rehearsal/cloud.toml"
        self.machine.wait_until(lambda: self.machine.ends(cloud), "the rehearsal did not come")

    def becomes_healthy(self, line: str, said: str) -> None:
        self.machine.wait_until(
            lambda: self.machine.run(line).strip() == "healthy", "it does not become healthy"
        )

    def shows_set_up_in_compose(self, line: str, said: str) -> None:
        self.logs_say(f"{COMPOSE} --profile direct logs gateway", "One-time password")

    def knows_clients_behind_haproxy(self, line: str, said: str) -> None:
        """A client has its own address in the message, not that of HAProxy."""
        gateway = self.behind_haproxy
        gateway.wait_until_it_answers()
        gateway.rehearse()
        gateway.add_mailbox()
        gateway.let_printer_in()
        code = SEND.format(sender=SCANNER, password=gateway.password, subject="proxied")
        self.machine.wait_until(lambda: self.is_sent(code), "nothing is taken behind HAProxy")
        received = gateway.arrived("proxied")
        assert f"[{PRINTER}]".encode() in received, received
        assert HAPROXY.encode() not in received, received

    def is_sent(self, code: str) -> bool:
        """Whether a client beside HAProxy could send, which has to have seen the gateway first."""
        return self.machine.ends(
            f"docker run --rm --network m365gw_default --ip {PRINTER} "
            f"--entrypoint /opt/m365gw/bin/python m365gw -c '{code}'"
        )

    def is_scraped(self, line: str, said: str) -> None:
        """Prometheus reads the metrics, and has the alerts."""
        there = "http://127.0.0.1:9090/api/v1"
        ask = ["curl", "--silent", "--retry-connrefused", "--retry", "60"]

        def is_up() -> bool:
            said = json.loads(self.machine.from_here(*ask, f"{there}/query?query=up"))
            return [row["value"][1] for row in said["data"]["result"]] == ["1"]

        self.machine.wait_until(is_up, "Prometheus does not reach the gateway")
        rules = json.loads(self.machine.from_here(*ask, f"{there}/rules"))
        assert rules["data"]["groups"][0]["name"] == "m365gw", rules

    def logs_say(self, command: str, words: str) -> None:
        self.machine.wait_until(
            lambda: words in self.machine.run(command), f"{command} does not say: {words}"
        )


BEFORE: dict[str, Callable[[Walk], None]] = {
    r"^docker build ": Walk.kill_while_mail_waits,
    r"^install -D .* secret\.txt": Walk.write_secret,
    r"\bm365gw mailbox add": Walk.lead_to_rehearsal,
    r"^docker compose .* up -d": Walk.begin_anew,
    r"^docker compose .* gateway-behind-haproxy": Walk.go_behind_haproxy,
    r" m365gw check$": Walk.refuse_to_start,
}
AFTER: dict[str, Callable[[Walk, str, str], None]] = {
    r"^docker build ": Walk.was_built,
    r"^docker run -d ": Walk.is_sealed,
    r"^docker logs m365gw ": Walk.has_set_up,
    r"^docker stop ": Walk.has_stopped,
    r"^docker start ": Walk.answers_again,
    r" m365gw rehearsal ": Walk.has_written_the_cloud,
    r"\bm365gw mailbox add": Walk.mail_arrives,
    r"^docker rm m365gw$": Walk.is_upgraded,
    r"^docker inspect .*Health": Walk.becomes_healthy,
    r"--profile direct up -d$": Walk.shows_set_up_in_compose,
    r"--profile haproxy up -d": Walk.knows_clients_behind_haproxy,
    r"--profile monitoring up -d": Walk.is_scraped,
}
