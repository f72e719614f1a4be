"""What people and programs see of a running gateway: the control socket, and the console.

Failures: none end the program. A control socket that cannot be had is an incident, a port of the
console that cannot be had is said in the log, and mail flows without them.
"""

from __future__ import annotations

from m365gw.admin import answers
from m365gw.admin.api import Api
from m365gw.admin.control_socket import ControlSocket, ControlUnavailable
from m365gw.admin.doctor_api import Examines, add_doctor
from m365gw.admin.incident_api import add_incidents
from m365gw.admin.openapi import described
from m365gw.admin.queue_api import add_queue
from m365gw.admin.trace_api import Traces, add_trace
from m365gw.config.settings import Settings
from m365gw.doctor.casebook import Casebook
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.service import endpoints
from m365gw.service.accounts import Accounts
from m365gw.service.examination import Examination
from m365gw.service.parts import Parts
from m365gw.service.rounds import Rounds
from m365gw.service.status import Status
from m365gw.service.web import Web

NO_CONTROL = "control-socket-unavailable"  # the key of its incident


class Faces:
    """All faces of one gateway, from `open` to `close`; `apply` takes new settings."""

    def __init__(self, parts: Parts) -> None:
        self._incidents = parts.incidents
        self._settings = settings = parts.settings
        status = Status(
            parts.spool, parts.mail_in, parts.mail_out, parts.reload, parts.drain, parts.reactor
        )
        self._examination = Examination(
            lambda: parts.settings,
            lambda: parts.directory.made.revision,
            status,
            parts.mail_out.way.tokens,
            parts.reactor,
            parts.log,
        )
        self._rounds = Rounds(
            examine=self._examination,
            book=Casebook(settings.state_dir),
            every=lambda: parts.settings.doctor.every,
            calls=parts.directory.calls,
            clock=parts.reactor,
            incidents=parts.incidents,
            log=parts.log,
        )
        accounts = Accounts.of(parts)
        mode = int(settings.control_socket_mode, 8)
        api = Api(parts.log)
        fill(api, parts, status, accounts, self._rounds)
        self._control = ControlSocket(parts.reactor, settings.control_socket, mode, api)
        self._web = Web(parts, status, accounts, self._rounds, api)

    def open(self) -> None:
        """Answer from now on, and make the rounds of the doctor."""
        self._rounds.start()
        self._web.apply(self._settings)
        if not self._settings.control_socket:
            return
        try:
            self._control.open()
        except ControlUnavailable as error:
            self._incidents.open(_no_control(error), level="error")
        else:
            self._incidents.close(NO_CONTROL)

    def apply(self, settings: Settings) -> None:
        """Go on with new settings. It cannot fail."""
        self._web.apply(settings)

    async def close(self) -> None:
        """Answer nobody any more, and end what was begun for them."""
        self._rounds.stop()
        await self._control.close()
        await self._web.stop()
        await self._examination.stop()


def fill(api: Api, parts: Parts, status: Status, accounts: Accounts, examines: Examines) -> None:
    """Register every endpoint there is."""
    endpoints.serve(api, status, parts.reload.reload, parts.drain.begin)
    add_queue(api, parts.mail_out.operations)
    add_incidents(api, parts.desk)
    add_doctor(api, examines)
    accounts.serve(api)
    add_trace(api, Traces(parts.log.tracing, parts.reactor))
    api.get("/openapi.json", lambda: described(api.endpoints), answers.Described)


def _no_control(error: ControlUnavailable) -> Diagnosis:
    return Diagnosis(
        NO_CONTROL,
        "The control socket could not be opened: m365gw status, reload, drain and queue cannot"
        " reach the service.",
        str(error),
        "Mend that and restart the service. Until then mail flows, and SIGHUP reloads.",
        "operator",
    )
