"""The Helm chart in `etc/helm`, read and rendered by Helm itself (as a library)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import yaml
from helm_python.chart import Chart, lint
from helm_python.errors import HelmValuesError
from twisted.trial.unittest import SynchronousTestCase

from m365gw import __version__
from m365gw.config.checks.web import web_faults
from m365gw.config.load import load
from m365gw.config.web import Web
from tests.documents.pages import blocks

CHART = Path(__file__).parents[1] / "etc" / "helm" / "m365gw"
WARNING = 2

CONFIGURATION = '[[listener]]\nname = "smtp"\nendpoint = "tcp:25"\n'
MUCH: dict[str, Any] = {
    "configuration": CONFIGURATION,
    "secrets": "m365gw-secrets",
    "environment": {"M365GW_HOSTNAME": "relay.contoso.example"},
    "ports": [{"name": "smtp", "port": 25, "nodePort": 30025}],
    "service": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
    "spool": {"size": "50Gi", "storageClass": "fast"},
    "nodeSelector": {"disk": "ssd"},
    "podAnnotations": {"contoso.example/team": "mail"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
}


def rendered(values: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """The objects by kind and name."""
    with Chart.load(CHART) as chart:
        files = chart.render(values=values, name="mail")
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    objects = [each for text in texts for each in yaml.safe_load_all(text) if each]
    return {f"{each['kind']} {each['metadata']['name']}": each for each in objects}


class ChartTests(SynchronousTestCase):
    def test_the_linter_has_nothing_to_say(self) -> None:
        """Neither of the values as they are nor of many others."""
        for values in (None, MUCH):
            report = lint(CHART, values, strict=True)
            grave = [each for each in report["messages"] if each["severity"] >= WARNING]
            self.assertEqual(([], []), (grave, report["errors"]))

    def test_values_of_the_page(self) -> None:
        """Those that `docs/containers.md` shows are good; names of objects are those it uses."""
        (block,) = (each for each in blocks("yaml") if each.page == "docs/containers.md")
        values = yaml.safe_load(block.text)
        self.assertEqual([], lint(CHART, values, strict=True)["errors"])
        objects = rendered(values)
        self.assertIn("Service mail-web", objects)
        service = objects["Service mail"]["spec"]
        self.assertEqual("Local", service["externalTrafficPolicy"])

    def test_one_gateway_that_may_little(self) -> None:
        """One pod, no root, nothing writable but its volumes, which outlive the release."""
        gateway = rendered()["StatefulSet mail"]["spec"]
        pod = gateway["template"]["spec"]
        (container,) = pod["containers"]
        self.assertEqual(1, gateway["replicas"])
        self.assertEqual("Retain", gateway["persistentVolumeClaimRetentionPolicy"]["whenDeleted"])
        self.assertEqual(3650, pod["securityContext"]["runAsUser"])
        self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
        self.assertEqual(["ALL"], container["securityContext"]["capabilities"]["drop"])
        self.assertEqual(f"m365gw:{__version__}", container["image"])

    def test_values_arrive(self) -> None:
        """Configuration, ports, secrets, volumes and labels stand where they belong."""
        objects = rendered(MUCH)
        toml = objects["ConfigMap mail"]["data"]["m365gw.toml"]
        self.assertEqual("tcp:25", tomllib.loads(toml)["listener"][0]["endpoint"])
        (port,) = objects["Service mail"]["spec"]["ports"]
        self.assertEqual((25, "smtp", 30025), (port["port"], port["targetPort"], port["nodePort"]))
        pod = objects["StatefulSet mail"]["spec"]["template"]["spec"]
        secrets = [each for each in pod["volumes"] if each["name"] == "secrets"]
        self.assertEqual("m365gw-secrets", secrets[0]["secret"]["secretName"])
        variables = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
        self.assertEqual("relay.contoso.example", variables["M365GW_HOSTNAME"])
        claims = objects["StatefulSet mail"]["spec"]["volumeClaimTemplates"]
        self.assertEqual("fast", claims[0]["spec"]["storageClassName"])
        self.assertEqual(
            "prometheus", objects["ServiceMonitor mail"]["metadata"]["labels"]["release"]
        )

    def test_probes_ask_the_web_where_it_is(self) -> None:
        """And the program itself where it is not."""
        for web, kinds in ((True, ["httpGet", "httpGet"]), (False, ["exec", "tcpSocket"])):
            pod = rendered({"web": {"enabled": web}})["StatefulSet mail"]["spec"]["template"]
            (container,) = pod["spec"]["containers"]
            probes = [container[name] for name in ("readinessProbe", "livenessProbe")]
            self.assertEqual(kinds, [next(iter(probe)) for probe in probes])
            if web:
                self.assertEqual(
                    ["/readyz", "/livez"], [each["httpGet"]["path"] for each in probes]
                )

    def test_a_gateway_starts_with_its_configuration(self) -> None:
        """File and variables together, of the values as they are and of many others."""
        for values in (None, MUCH):
            objects = rendered(values)
            config = Path(self.mktemp())
            config.write_text(objects["ConfigMap mail"]["data"]["m365gw.toml"])
            (container,) = objects["StatefulSet mail"]["spec"]["template"]["spec"]["containers"]
            said = {each["name"]: each["value"] for each in container["env"]}
            settings = load(str(config), said).settings
            ports = {each["containerPort"] for each in container["ports"]}
            listening = {int(each.endpoint.split(":")[1]) for each in settings.listener}
            self.assertLessEqual(listening, ports)

    def test_its_web_is_one_a_gateway_starts_with(self) -> None:
        """What the chart sets passes the checks, and metrics are for the cluster."""
        pod = rendered()["StatefulSet mail"]["spec"]["template"]["spec"]
        said = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
        web = Web(
            endpoint=said["M365GW_WEB__ENDPOINT"],
            tls=said["M365GW_WEB__TLS"] == "true",
            metrics_from=tuple(said["M365GW_WEB__METRICS_FROM"].split(",")),
        )
        self.assertEqual([], list(web_faults(web)))
        self.assertIn("10.0.0.0/8", web.metrics_from)

    def test_the_alerts_are_those_of_prometheus(self) -> None:
        """The same file; their scrape has the name of the service."""
        ours = CHART.parents[1] / "prometheus" / "alerts.yml"
        self.assertEqual(ours.read_text(), (CHART / "alerts.yml").read_text())
        rule = rendered(MUCH)["PrometheusRule mail"]["spec"]
        names = [each["alert"] for each in rule["groups"][0]["rules"]]
        self.assertEqual(len(yaml.safe_load(ours.read_text())["groups"][0]["rules"]), len(names))
        self.assertIn('up{job="mail-web"}', rule["groups"][0]["rules"][0]["expr"])

    def test_wrong_values_are_refused(self) -> None:
        """The schema names the value before anything is applied."""
        wrong: dict[str, dict[str, Any]] = {
            "ports": {"ports": []},
            "spool": {"spool": {"size": "much"}},
            "HOSTNAME": {"environment": {"HOSTNAME": "x"}},
            "replicas": {"replicas": 2},
        }
        with Chart.load(CHART) as chart:
            for name, values in wrong.items():
                error = self.assertRaises(HelmValuesError, chart.validate_schema, values)
                self.assertIn(name, str(error))

    def test_it_is_the_chart_of_this_version(self) -> None:
        """Chart and program are released together."""
        with Chart.load(CHART) as chart:
            self.assertEqual(__version__, chart.metadata["appVersion"])
