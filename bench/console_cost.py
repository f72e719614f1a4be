"""What the console costs mail: `python -m bench.console_cost`.

The gateway takes 10 KiB messages over 10 sessions, in turns without a console, with one nobody
looks at, and with two pages open that live: overview and queue, as a browser keeps them (a stream
of events each, and a part fetched anew at each event). Nothing is delivered, so the queue the pages
show grows all the while.
"""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlencode

import click

from bench.cells import HEADLINE
from bench.certificate import certificate
from bench.gateway import gateway
from bench.ground import Ground
from bench.measure import Measured, accepting
from bench.report import table
from bench.rounds import Unquiet, interleaved
from bench.servers import free_port

SECONDS = 12.0  # measured, of each run
PARTS = ("/?part=now", "/queue?part=rows&start=0")
WITHOUT, UNSEEN, OPEN = "no console", "console, unseen", "two pages open"
LOGIN = "bench"


@click.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--anyway", is_flag=True, help="Show figures of a disturbed machine too.")
def main(rounds: int, anyway: bool) -> None:
    """Measure what the console costs mail."""
    with tempfile.TemporaryDirectory(prefix="m365gw-bench-") as place:
        ground, proof = Ground(Path(tempfile.gettempdir())), certificate(Path(place))

        def measure(rival: str) -> Measured:
            with ground.fresh() as folder:
                return _measured(rival, folder, proof)

        names = (WITHOUT, UNSEEN, OPEN)
        try:
            found = interleaved(names, measure, rounds, say=_tell, anyway=anyway)
        except Unquiet as error:
            sys.exit(f"No report: others used this machine too much.\n{error}")
        click.echo("\n".join(table("Accepted, durably, 10 KiB, 10 sessions", found, WITHOUT)))


def _measured(rival: str, folder: Path, proof: Path) -> Measured:
    port = free_port()
    web = f'[web]\nendpoint = "tcp:{port}:interface=127.0.0.1"\n' if rival != WITHOUT else ""
    with gateway(folder, proof, more=web) as server:
        is_open = rival == OPEN
        with pages(port, _password(folder)) if is_open else nullcontext():
            return accepting(server, HEADLINE, SECONDS, thorough=False)


def _password(folder: Path) -> str:
    """That of an operator who is made for it."""
    command = Path(sys.executable).with_name("m365gw")
    said = subprocess.run(
        [command, "--config", folder / "m365gw.toml", "operator", "add", LOGIN],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"\b[a-z2-9]{32}\b", said.stdout + said.stderr)
    assert found, said
    return found[0]


@contextmanager
def pages(port: int, password: str) -> Iterator[None]:
    """Two pages, open and alive, until the block ends. Raises what ends one of them before."""
    cookie = _signed_in(port, password)
    is_over, faults, looks = threading.Event(), list[BaseException](), list[str]()

    def live(part: str) -> None:
        try:
            stream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            stream.request("GET", "/live", headers={"Cookie": cookie, "X-Live": "1"})
            events = stream.getresponse()
            assert events.status == 200
            while not is_over.is_set():
                if events.readline() == b"event: changed\n":
                    assert _answer(port, part, cookie).status == 200
                    looks.append(part)
            stream.close()
        except BaseException as fault:
            faults.append(fault)

    open_pages = [threading.Thread(target=live, args=(part,)) for part in PARTS]
    for page in open_pages:
        page.start()
    try:
        yield
    finally:
        is_over.set()
        for page in open_pages:
            page.join()
    if faults:
        raise faults[0]
    assert set(looks) == set(PARTS), "a page was told of nothing"


def _signed_in(port: int, password: str) -> str:
    """The cookie of a session."""
    door = _answer(port, "/login", "")
    before = (door.headers["Set-Cookie"] or "").partition(";")[0]
    token = re.search(r'name="token" value="([^"]+)"', door.read_text)
    assert token, "the page to sign in has no token"
    form = {"login": LOGIN, "password": password, "token": token[1], "next": "/"}
    entered = _answer(port, "/login", before, urlencode(form))
    assert entered.status == 303, (entered.status, entered.read_text[:500])
    return (entered.headers["Set-Cookie"] or "").partition(";")[0]


class _Answered:
    """An answer that was read to its end."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.headers = answer.status, answer.headers
        self.read_text = answer.read().decode()


def _answer(port: int, path: str, cookie: str, form: str | None = None) -> _Answered:
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if form else {"X-Live": "1"}
    asking = http.client.HTTPConnection("127.0.0.1", port)
    method = "POST" if form else "GET"
    asking.request(method, path, body=form, headers={"Cookie": cookie, **kind})
    answered = _Answered(asking.getresponse())
    asking.close()
    return answered


def _tell(text: str) -> None:
    click.echo(f"... {text}", err=True)


if __name__ == "__main__":
    main()
