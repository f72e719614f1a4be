"""What a finished image has to do: start, be found well, and carry a message to Microsoft."""

from __future__ import annotations

import json
import re
import smtplib
import subprocess
import threading
import time
import urllib.request
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.image import Stage

PATIENCE = 60.0  # seconds
REHEARSAL = "/tmp/rehearsal"
CONFIGURATION = """\
hostname = "gateway.contoso.example"

[[listener]]
name = "trusted"
endpoint = "tcp:0:interface=127.0.0.1"
networks = ["127.0.0.0/8"]

[[mailbox]]
address = "relay@contoso.example"
flow = "secret"
tenant = "contoso.example"
client_id = "00000000-0000-4000-8000-0000000000a1"
client_secret = "SECRET"
cloud = "rehearsal"

[[network]]
cidr = "127.0.0.0/8"
senders = ["*@contoso.example"]
mailbox = "relay@contoso.example"

[log]
format = "json"
"""


def trial(stage: Stage, folder: Path) -> None:
    """Start a rehearsal and the gateway from the sealed tree, and send a message through."""
    python = stage.entrypoint[0].replace("twistd", "python")
    (stage.tree / REHEARSAL.lstrip("/")).mkdir(mode=0o777)
    (stage.tree / REHEARSAL.lstrip("/")).chmod(0o777)
    microsoft = _start(stage, [python, "-m", "m365gw.rehearsal", "--folder", REHEARSAL])
    gateway: subprocess.Popen[str] | None = None
    try:
        places = _await(stage.tree / f"{REHEARSAL}/rehearsal.json".lstrip("/"))
        cloud = (stage.tree / f"{REHEARSAL}/cloud.toml".lstrip("/")).read_text()
        configuration = CONFIGURATION.replace("SECRET", _secret(stage, python))
        config = stage.tree / "etc/m365gw/m365gw.toml"
        config.write_text(configuration + cloud)
        config.chmod(0o644)
        gateway = _start(stage, stage.entrypoint)
        port = _port(gateway)
        _send(port)
        arrived = _arrived(places["control"])
        print(f"\nDelivered: {arrived['sender']} -> {arrived['recipients']}")
        health = subprocess.run(stage.started(stage.healthcheck), env=_environment(), check=False)
        if health.returncode:
            raise SystemExit("The image is not well.")
        gateway.terminate()
        if gateway.wait(PATIENCE):
            raise SystemExit("The image did not stop in good order.")
        print("The image starts read-only and without rights, is well, carries mail, and stops.")
    finally:
        for process in (gateway, microsoft):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONUNBUFFERED": "1"}


def _start(stage: Stage, command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        stage.started(command), env=_environment(), stdout=subprocess.PIPE, text=True
    )


def _secret(stage: Stage, python: str) -> str:
    """The client secret the rehearsal knows, as the installed package says."""
    ask = "from m365gw.rehearsal.tenant import APP_SECRET; print(APP_SECRET)"
    said = subprocess.run(
        stage.started([python, "-c", ask]), env=_environment(), stdout=subprocess.PIPE, check=True
    )
    return said.stdout.decode().strip()


def _await(path: Path) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"{path} did not come.")
        time.sleep(0.1)
    return json.loads(path.read_text())


def _port(gateway: subprocess.Popen[str]) -> int:
    """Where it listens, from its log, which is read on in the background."""
    assert gateway.stdout is not None
    for line in gateway.stdout:
        print(line, end="")
        found = re.search(r'"listener.ready".*"address": ?"127.0.0.1:(\d+)"', line)
        if found:
            threading.Thread(target=lambda: list(gateway.stdout or ()), daemon=True).start()
            return int(found[1])
    raise SystemExit("The image does not start.")


def _send(port: int) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "scanner@contoso.example", "you@example.com"
    message["Subject"] = "From an image"
    message.set_content("It works.\n")
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
        client.send_message(message)


def _arrived(control: int) -> Any:
    address = f"http://127.0.0.1:{control}/rehearsal/messages?since=0&limit=1"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with opener.open(address, timeout=PATIENCE) as answer:
            messages = json.loads(answer.read())["messages"]
        if messages:
            return messages[0]
        time.sleep(0.1)
    raise SystemExit("The message did not arrive.")
