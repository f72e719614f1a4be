"""Docker in a machine: Debian's own packages of it, and images that are made here.

No registry of images is asked. `debian:trixie-slim` is debootstrap's smallest tree, all others are
built on it. Whatever fetches packages is built by a daemon that has the network of this machine and
gives its containers no other; all containers are run by the one that systemd starts, whose networks
lead nowhere else.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from attrs import frozen

from tests.machine.debian import Debian
from tests.machine.machine import AS_HERE, Machine

REPOSITORY = "/root/m365gw"  # root's copy of ours
SLIM = "debian:trixie-slim"
PACKAGES = "docker.io docker-cli docker-compose docker-buildx iptables"
# By this, and what the tree took over, a build reaches the package index as this machine does.
PIP = "[global]\ncert = /root/authorities.pem\n"
# A daemon makes its networks again when it starts, and this one would make them here: so there must
# be none yet.
BUILDER = """\
test -z "$(docker network ls --quiet --filter type=custom)"
systemctl stop docker.socket docker.service
trap 'kill %1 && wait' EXIT
dockerd --bridge=none --ip-forward=false --iptables=false --ip6tables=false \\
    >/var/log/builder.log 2>&1 &
until docker info >/dev/null 2>&1; do sleep 0.1; done
{line}
"""
# Debian's programs under the names the Compose file has, started as those images start theirs.
HAPROXY = f"""\
FROM {SLIM}
RUN apt-get update && apt-get install --yes --no-install-recommends haproxy
USER haproxy
CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
"""
PROMETHEUS = f"""\
FROM {SLIM}
RUN apt-get update && apt-get install --yes --no-install-recommends prometheus \\
 && install -d -o nobody -g nogroup /prometheus
USER nobody
VOLUME ["/prometheus"]
WORKDIR /prometheus
ENTRYPOINT ["prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
"""
# Debian has no Grafana. This stands where it would, so that what depends on it is started.
NO_GRAFANA = f"""\
FROM {SLIM}
CMD ["sleep", "infinity"]
"""


@frozen
class Docker:
    """The engine of a machine, and its commands."""

    machine: Machine

    @classmethod
    def installed(cls, machine: Machine) -> Docker:
        """Docker and Compose, with the slim image."""
        # In memory and beside the machine's own files: layers cannot be laid upon layers.
        machine.run("mkdir /var/lib/docker && mount -t tmpfs -o mode=0711 tmpfs /var/lib/docker")
        machine.run(
            f"apt-get install --quiet=2 --yes --no-install-recommends {PACKAGES}",
            fetches=True,
        )
        docker = cls(machine)
        docker._import_slim(Debian.slim())
        return docker

    def _import_slim(self, tree: Path) -> None:
        given = os.environ.get("PIP_INDEX_URL")
        index = f"index-url = {given}\n" if given else ""
        (self.machine.path("/root") / "pip.conf").write_text(PIP + index)
        image = self.machine.path("/root/slim.tar")
        left_out = ["--exclude=./var/cache/apt/archives/*", "--exclude=./var/lib/apt/lists/*"]
        pack = ["tar", "--create", f"--file={image}", *left_out, f"--directory={tree}", "."]
        more = [
            f"--directory={image.parent}",
            "--transform=s|^pip.conf|./etc/pip.conf|",
            "pip.conf",
        ]
        subprocess.run([*pack, *more], check=True)
        self.machine.run(f"docker import slim.tar {SLIM} && rm slim.tar")

    def build_peers(self) -> None:
        """HAProxy and Prometheus of Debian, and what stands for Grafana."""
        images = {
            "haproxy:3.0-alpine": HAPROXY,
            "prom/prometheus:v3.5.0": PROMETHEUS,
            "grafana/grafana:12.2.0": NO_GRAFANA,
        }
        folder = self.machine.path("/root/peers")
        folder.mkdir()
        lines = []
        for number, (name, text) in enumerate(images.items()):
            (folder / f"{number}").write_text(text)
            lines.append(f"docker build -t {name} -f {number} .")
        self.build("\n".join(lines), "~/peers")

    def build(self, line: str, folder: str = REPOSITORY) -> str:
        """What lines that say `docker build` say, with the network of this machine."""
        proxies = "".join(f" --build-arg {name}" for name in AS_HERE if name in os.environ)
        line = line.replace("docker build ", f"docker build --network host{proxies} ")
        said = self.machine.run(BUILDER.format(line=line), folder=folder, fetches=True)
        self.machine.run("systemctl start docker.service")
        return said
