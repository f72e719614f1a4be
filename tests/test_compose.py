"""`etc/compose.yaml`: what it mounts is there, what it sets is known, all find each other."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.load import load
from m365gw.config.settings import Settings
from tests.edge.handshake import write_pair

ETC = Path(__file__).parents[1] / "etc"
COMPOSE: dict[str, Any] = yaml.safe_load((ETC / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GATEWAYS = ("gateway", "gateway-behind-haproxy")
WAYS = (["direct", "monitoring"], ["haproxy", "monitoring"])
THEIRS = {"./config"}  # made by whoever installs


def settings_of(service: str) -> Settings:
    """What the gateway of a service would start with, without a file."""
    return load(environment=SERVICES[service]["environment"]).settings


class ComposeTests(SynchronousTestCase):
    def test_what_is_mounted_is_there(self) -> None:
        """Files beside it, volumes of its own, services that are depended on."""
        for name, service in SERVICES.items():
            for volume in service["volumes"]:
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue(source in THEIRS or (ETC / source).exists(), volume)
                else:
                    self.assertIn(source, COMPOSE["volumes"], name)
            for other in service.get("depends_on", ()):
                shared = set(SERVICES[other]["profiles"]) & set(service["profiles"])
                self.assertTrue(shared, f"{name} would start without {other}")

    def test_images_have_a_version(self) -> None:
        """What runs tomorrow is what was tried."""
        for name, service in SERVICES.items():
            if name not in GATEWAYS:
                self.assertRegex(service["image"], r":v?\d+\.\d+")

    def test_no_port_is_wanted_twice(self) -> None:
        """By what starts together."""
        for profiles in WAYS:
            started = [each for each in SERVICES.values() if set(each["profiles"]) & set(profiles)]
            ports = [port.rpartition(":")[0] for each in started for port in each["ports"]]
            self.assertEqual(len(ports), len(set(ports)), ports)

    def test_a_gateway_is_what_the_image_is(self) -> None:
        """Volumes and user of the Dockerfile; its health check stays."""
        image = (ETC.parent / "Dockerfile").read_text()
        volumes = re.findall(r'"([^"]+)"', re.findall(r"^VOLUME (.*)$", image, re.MULTILINE)[0])
        (user,) = re.findall(r"^USER (\d+):", image, re.MULTILINE)
        for name in GATEWAYS:
            service = SERVICES[name]
            self.assertEqual(set(volumes), {each.split(":")[1] for each in service["volumes"]})
            self.assertIn(f"uid={user},", service["tmpfs"][1])
            self.assertNotIn("healthcheck", service)
            self.assertTrue(service["read_only"])

    def test_the_settings_are_good(self) -> None:
        """A gateway starts with them; metrics are for the networks of the containers."""
        for name in GATEWAYS:
            settings = settings_of(name)
            self.assertTrue(settings.web.tls)
            self.assertTrue(settings.web.endpoint.endswith(":8025"))
            (subnet,) = (
                each["subnet"] for each in COMPOSE["networks"]["default"]["ipam"]["config"]
            )
            inside = ipaddress.ip_network(subnet)
            scrapers = [ipaddress.ip_network(each) for each in settings.web.metrics_from]
            self.assertTrue(any(inside.subnet_of(each) for each in scrapers))  # type: ignore[arg-type]

    def test_haproxy_is_believed_and_finds_each_listener(self) -> None:
        """Its address, and nobody else's, on each port it hands connections to."""
        haproxy = SERVICES["haproxy"]
        address = haproxy["networks"]["default"]["ipv4_address"]
        gateway = SERVICES["gateway-behind-haproxy"]["networks"]["default"]["ipv4_address"]
        self.assertNotIn(gateway, (address, None))  # HAProxy looks its name up once, at its start
        listeners = settings_of("gateway-behind-haproxy").listener
        self.assertEqual([(address,)] * 3, [each.proxy_from for each in listeners])
        handed = {each for each in haproxy["environment"].values() if ":" in each}
        there = {f"gateway-behind-haproxy:{each.endpoint[4:]}" for each in listeners}
        self.assertEqual(there, handed)

    def test_haproxy_takes_its_file(self) -> None:
        """With these variables, with none, and with a certificate of its own."""
        folder = Path(self.mktemp())
        folder.mkdir()
        pair = write_pair(str(folder), "relay.example.com")
        pem = folder / "relay.pem"
        pem.write_bytes(Path(pair.certificate).read_bytes() + Path(pair.key).read_bytes())
        here = {
            key: value.replace("gateway-behind-haproxy", "127.0.0.1")
            for key, value in SERVICES["haproxy"]["environment"].items()
        }
        for variables in (here, {}, {"M365GW_PEM": str(pem)}):
            done = subprocess.run(
                ["haproxy", "-c", "-f", str(ETC / "haproxy.cfg")],
                env={**os.environ, **variables},
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual(0, done.returncode, done.stderr)

    def test_prometheus_finds_the_gateway(self) -> None:
        """By a name it has whichever way it was started, over TLS, at the port of the console."""
        (job,) = yaml.safe_load((ETC / "prometheus" / "prometheus.yml").read_text())[
            "scrape_configs"
        ]
        (target,) = (target for each in job["static_configs"] for target in each["targets"])
        self.assertEqual(("gateway:8025", "https"), (target, job["scheme"]))
        aliases = SERVICES["gateway-behind-haproxy"]["networks"]["default"]["aliases"]
        self.assertEqual(["gateway"], aliases)

    def test_grafana_finds_its_dashboards_and_prometheus(self) -> None:
        """The folder of its provisioning is the one of the volume, the host a service."""
        provided = ETC / "grafana" / "provisioning" / "dashboards" / "m365gw.yml"
        (provider,) = yaml.safe_load(provided.read_text())["providers"]
        mounted = dict(each.split(":")[:2] for each in SERVICES["grafana"]["volumes"])
        self.assertEqual(provider["options"]["path"], mounted["./grafana/dashboards"])
        sources = ETC / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
        (source,) = yaml.safe_load(sources.read_text())["datasources"]
        self.assertEqual("http://prometheus:9090", source["url"])
