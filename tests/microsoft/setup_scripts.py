"""The plans whose scripts are kept as files, to be read when they change.

`python -m tests.microsoft.setup_scripts` writes them anew.
"""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from m365gw.microsoft.setup_script.connector import (
    ConnectorPlan,
    render_connector,
    render_connector_undo,
)
from m365gw.microsoft.setup_script.plan import MODES, Plan
from m365gw.microsoft.setup_script.script import render, render_undo

FOLDER = Path(__file__).parent / "setup_scripts_kept"
CLIENT_ID = "11111111-2222-4333-8444-555555555555"
PLAN = Plan(
    mode="certificate",
    mailboxes=("relay@contoso.com", "o'hara@contoso.com"),
    tenant="contoso.onmicrosoft.com",
    client_id=CLIENT_ID,
    certificate="MIIC",
    redirect_uri="https://relay.example.com/auth/callback",
)


def kept() -> dict[str, str]:
    """File name to text."""
    texts = {}
    for mode in MODES:
        plan = evolve(PLAN, mode=mode)
        texts[f"{mode}.ps1"] = render(plan)
        texts[f"{mode}-undo.ps1"] = render_undo(plan)
    graph = evolve(PLAN, exit="graph", client_id="")
    texts["certificate-graph.ps1"] = render(graph)
    texts["certificate-graph-undo.ps1"] = render_undo(graph)
    china = evolve(PLAN, cloud="china", what_if=True)
    texts["certificate-china.ps1"] = render(china)
    texts["certificate-china-undo.ps1"] = render_undo(china)
    connector = ConnectorPlan(domains=("contoso.com",), certificate_name="relay.contoso.com")
    texts["connector.ps1"] = render_connector(connector)
    texts["connector-undo.ps1"] = render_connector_undo(connector)
    return texts


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in kept().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
