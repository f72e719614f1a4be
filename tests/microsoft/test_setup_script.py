"""Tests of the set-up scripts, without PowerShell: quotes, brackets, values, and what is in them.

No PowerShell runs here. What is checked is how they read: that all quotes and brackets close, that
no value leaves its quotes, and that each step asks before it changes anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.microsoft.setup_script.plan import ENVIRONMENTS, MODES, Plan
from m365gw.microsoft.setup_script.script import render, render_undo
from tests.microsoft.powershell_reader import tokens
from tests.microsoft.setup_scripts import CLIENT_ID, FOLDER, PLAN, kept

HOSTILE = st.text(st.sampled_from("a@.'\"\u2019\u201c$`(){};#|&<> \\-"), min_size=1, max_size=30)
CHANGES = re.compile(r"(?m)^\s*(?:\$\w+ = )?((?:New|Set|Add|Update|Remove)-\w+)")
HARMLESS = {"New-Object", "Set-StrictMode"}


def unasked(text: str) -> Iterator[str]:
    """The lines that change something and stand under no `if (Test-Step ...) {`."""
    questions: list[int] = []  # how deep in braces each one stands that is open
    depth = 0
    for line in text.splitlines():
        found = CHANGES.match(line)
        if found and found[1] not in HARMLESS and not questions:
            yield line
        if "if (Test-Step " in line:
            questions.append(depth)
        elif line.strip().startswith("}") and questions and depth - 1 <= questions[-1]:
            questions.pop()
        bare = re.sub(r"'[^']*'", "", line)
        depth += bare.count("{") - bare.count("}")


class KeptTests(SynchronousTestCase):
    def test_scripts_are_as_they_were_read_last(self) -> None:
        """Whoever changes a script reads all of what changes (tests.microsoft.setup_scripts)."""
        self.assertEqual({path.name for path in FOLDER.iterdir()}, set(kept()))
        for name, text in kept().items():
            with self.subTest(script=name):
                self.assertEqual((FOLDER / name).read_text("utf-8"), text)

    def test_quotes_and_brackets_close(self) -> None:
        """Each script reads to its end."""
        for name, text in kept().items():
            with self.subTest(script=name):
                self.assertGreater(len(tokens(text)), 100)

    def test_every_change_is_asked_for(self) -> None:
        """No line changes anything but under a question that -WhatIf answers with no."""
        for name, text in kept().items():
            for line in unasked(text):
                self.fail(f"{name}: {line}")

    def test_no_variable_runs_into_a_colon(self) -> None:
        """ "$Name:" in a text would be a drive to PowerShell."""
        for name, text in kept().items():
            for kind, raw in tokens(text):
                with self.subTest(script=name, text=raw):
                    self.assertFalse(kind == "text" and re.search(r"\$\w+:", raw))


class ValueTests(SynchronousTestCase):
    @given(HOSTILE, HOSTILE)
    def test_no_value_escapes_its_quotes(self, tenant: str, address: str) -> None:
        """Whatever a value holds, the script reads the same, with that value as a string."""
        plan = evolve(PLAN, tenant=tenant, mailboxes=(address,))
        plain = evolve(PLAN, tenant="t", mailboxes=("m",))
        for write in (render, render_undo):
            found, expected = tokens(write(plan)), tokens(write(plain))
            swapped = [
                ("string", {"t": tenant, "m": address}.get(value, value))
                if kind == "string"
                else (kind, value)
                for kind, value in expected
            ]
            self.assertEqual(found, swapped)

    def test_a_line_end_is_refused(self) -> None:
        """A value of two lines cannot stand in a script."""
        plan = evolve(PLAN, tenant="contoso.com\nRemove-Mailbox")
        self.assertRaises(ValueError, render, plan)

    def test_what_is_no_id_is_refused(self) -> None:
        """It would stand in a filter of Graph."""
        for change in ({"client_id": "x' or 1 eq 1"}, {"app_name": "a'b"}, {"mailboxes": ()}):
            with self.subTest(change=change):
                self.assertRaises(ValueError, lambda change=change: evolve(PLAN, **change))


class ContentTests(SynchronousTestCase):
    def test_certificate_comes_with_a_scoped_role_and_no_permission(self) -> None:
        """The least right: a role in Exchange for these mailboxes."""
        text = render(PLAN)
        self.assertIn("$RoleName = 'Application SMTP.SendAsApp'", text)
        self.assertIn("-CustomResourceScope $ScopeName", text)
        self.assertIn("-ObjectId $Principal.Id", text)
        self.assertIn("Test-ServicePrincipalAuthorization", text)
        self.assertNotIn("New-MgServicePrincipalAppRoleAssignment", text)

    def test_national_clouds_have_no_such_role(self) -> None:
        """There it is the permission, and access to each mailbox; with the names of the cloud."""
        for cloud, environment in ENVIRONMENTS.items():
            text = render(evolve(PLAN, cloud=cloud))
            with self.subTest(cloud=cloud):
                self.assertIn(f"$GraphEnvironment = '{environment.graph}'", text)
                self.assertIn(f"$ExchangeEnvironment = '{environment.exchange}'", text)
                self.assertEqual("Add-MailboxPermission" in text, cloud != "worldwide")

    def test_graph_wants_no_smtp_auth(self) -> None:
        """Mail.Send, scoped, and the switch for SMTP left alone."""
        text = render(evolve(PLAN, exit="graph"))
        self.assertIn("$RoleName = 'Application Mail.Send'", text)
        self.assertNotIn("Set-CASMailbox", text)

    def test_each_mode_undoes_what_it_did(self) -> None:
        """What one script makes, the other removes."""
        pairs = {
            "New-ServicePrincipal ": "Remove-ServicePrincipal ",
            "New-ManagementScope ": "Remove-ManagementScope ",
            "New-ManagementRoleAssignment ": "Remove-ManagementRoleAssignment ",
            "Add-MailboxPermission ": "Remove-MailboxPermission ",
            "Set-CASMailbox ": "Set-CASMailbox ",
            "Add-MgApplicationPassword ": "Remove-MgApplicationPassword ",
            "New-MgOauth2PermissionGrant ": "Remove-MgOauth2PermissionGrant ",
            "New-MgApplicationFederatedIdentityCredential ": (
                "Remove-MgApplicationFederatedIdentityCredential "
            ),
            "New-MgServicePrincipalAppRoleAssignment ": (
                "Remove-MgServicePrincipalAppRoleAssignment "
            ),
        }
        for mode in MODES:
            for cloud in ENVIRONMENTS:
                plan: Plan = evolve(PLAN, mode=mode, cloud=cloud)
                made, undone = render(plan), render_undo(plan)
                for command, opposite in pairs.items():
                    with self.subTest(mode=mode, cloud=cloud, command=command):
                        self.assertTrue(command not in made or opposite in undone)

    def test_the_ids_are_filled_in(self) -> None:
        """What the configuration knows, nobody has to type."""
        text = render(evolve(PLAN, what_if=True))
        self.assertIn(f"$ClientId = '{CLIENT_ID}'", text)
        self.assertIn("@('relay@contoso.com', 'o''hara@contoso.com')", text)
        self.assertIn("$CertificateBase64 = 'MIIC'", text)
        self.assertIn("$ShowFirst = $true", text)
