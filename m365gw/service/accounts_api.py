"""The endpoints of the API that are about who may send, and by what."""

from __future__ import annotations

from functools import partial
from typing import Any

from m365gw.admin.api import Api
from m365gw.admin.audit_api import add_audit
from m365gw.admin.explain_api import add_explain
from m365gw.admin.registry_api import add_registry
from m365gw.admin.send_test_api import add_send_test
from m365gw.admin.sign_in_api import add_sign_in
from m365gw.admin.states_api import add_states
from m365gw.directory.audit import Audit
from m365gw.events import EventLog
from m365gw.service.directory import Directory
from m365gw.service.mail_in import MailIn
from m365gw.service.mail_out import MailOut
from m365gw.service.registry_desk import RegistryDesk
from m365gw.service.reload import Reload
from m365gw.service.send_test import SendTest
from m365gw.service.signing_in import SigningIn
from m365gw.service.states import States


def serve(
    api: Api,
    directory: Directory,
    reload: Reload,
    mail_in: MailIn,
    out: MailOut,
    reactor: Any,
    log: EventLog,
) -> None:
    """Answer for mailboxes, clients and networks, and send test mails."""
    desk = RegistryDesk(directory, reload, out, reactor)
    add_registry(api, desk)
    add_explain(api, desk.facts)
    add_states(api, States(out, reactor))
    hostname, probe = reload.settings.hostname, out.dispatch.probe
    add_send_test(api, SendTest(hostname, mail_in.intake, out.overview, probe, reactor, log))
    add_sign_in(api, SigningIn(lambda: reload.settings, out.tokens, probe, reactor))
    add_audit(api, partial(directory.calls.call, Audit(directory.database).changes))
