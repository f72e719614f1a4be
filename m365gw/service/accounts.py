"""What is asked of mailboxes, logins and networks, and done to them: one for all faces.

The API of the control socket, the console and whatever comes later act through the same objects, so
that a change made in one holds and is seen in the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from attrs import frozen

from m365gw.admin.api import Api
from m365gw.admin.audit_api import add_audit
from m365gw.admin.explain_api import add_explain
from m365gw.admin.registry_api import add_registry
from m365gw.admin.send_test_api import add_send_test
from m365gw.admin.sign_in_api import add_sign_in
from m365gw.admin.states_api import add_states
from m365gw.directory.audit import Audit, Change
from m365gw.service.parts import Parts
from m365gw.service.registry_desk import RegistryDesk
from m365gw.service.send_test import SendTest
from m365gw.service.signing_in import SigningIn
from m365gw.service.states import States


@frozen
class Accounts:
    """The parts of one gateway that know of accounts."""

    registry: RegistryDesk
    states: States
    test_mails: SendTest
    sign_ins: SigningIn
    changes: Callable[[int, int | None], Awaitable[list[Change]]]  # lines of the audit

    @classmethod
    def of(cls, parts: Parts) -> Accounts:
        """Those of a gateway."""
        out, directory, clock = parts.mail_out, parts.directory, parts.reactor
        probe, hostname = out.dispatch.probe, lambda: parts.settings.hostname
        return cls(
            registry=RegistryDesk(directory, parts.reload, parts.mail_in, out, clock),
            states=States(out, clock),
            test_mails=SendTest(
                hostname, parts.mail_in.intake, out.overview, probe, clock, parts.log
            ),
            sign_ins=SigningIn(lambda: parts.settings, out.way.sign_ins, probe, clock),
            changes=partial(directory.calls.call, Audit(directory.database).changes),
        )

    def serve(self, api: Api) -> None:
        """Register their endpoints."""
        add_registry(api, self.registry)
        add_explain(api, self.registry.facts)
        add_states(api, self.states)
        add_send_test(api, self.test_mails)
        add_sign_in(api, self.sign_ins)
        add_audit(api, self.changes)
