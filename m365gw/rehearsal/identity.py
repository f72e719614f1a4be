"""Pretend Azure hosts that give tokens to managed identities, over plain HTTP on loopback.

    GET /metadata/identity/oauth2/token   as a virtual machine (IMDS): the address without a path is
                                          AZURE_POD_IDENTITY_AUTHORITY_HOST
    GET /msi/token                        as App Service: IDENTITY_ENDPOINT, with IDENTITY_HEADER

An identity is an app of the tenant whose field `managed` says "system" or "user". Answers and
errors have the shapes that Microsoft documents for either host; numbers are texts there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from m365gw.rehearsal.entra import Entra
from m365gw.rehearsal.faults import Faults
from m365gw.rehearsal.tenant import IDENTITY_HEADER, RESOURCES, App

Request = Any  # twisted.web.http.Request, whose methods have no types


class Refused(Exception):
    """No token: HTTP status, a word and a sentence."""

    def __init__(self, status: int, word: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.word, self.sentence = status, word, sentence


class IdentityPages(Resource):
    """Both kinds of host."""

    isLeaf = True

    def __init__(self, entra: Entra, faults: Faults) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._entra = entra
        self._faults = faults

    def render_GET(self, request: Request) -> bytes | int:
        """One token, or none."""
        given = {
            name.decode("latin-1"): values[0].decode("utf-8", "replace")
            for name, values in (request.args or {}).items()
        }
        fault = self._faults.due("identity", (given.get("client_id", ""),))
        if fault is not None:
            if fault.action == "drop":
                request.loseConnection()
            if fault.action != "reply":
                return NOT_DONE_YET
            for name, value in fault.headers.items():
                request.setHeader(name, value)
            request.setResponseCode(fault.status)
            return fault.body.encode()
        is_machine = request.path.startswith(b"/metadata/")
        answer = self._of_machine if is_machine else self._of_app_service
        request.setHeader("Content-Type", "application/json")
        request.setHeader("X-Rehearsal", "m365gw")
        return json.dumps(answer(request, given)).encode()

    def _of_machine(self, request: Request, given: Mapping[str, str]) -> dict[str, Any]:
        def check() -> None:
            if (request.getHeader("metadata") or "").lower() != "true":
                raise Refused(400, "invalid_request", "Required metadata header not specified")
            if request.getHeader("x-forwarded-for"):
                raise Refused(400, "invalid_request", "Requests that were forwarded get nothing")
            if given.get("api-version") != "2018-02-01":
                raise Refused(400, "invalid_request", "Required query variable api-version")

        try:
            return self._answer(check, given, {"expires_in": str(self._lifetime)})
        except Refused as refused:
            request.setResponseCode(refused.status)
            return {"error": refused.word, "error_description": refused.sentence}

    def _of_app_service(self, request: Request, given: Mapping[str, str]) -> dict[str, Any]:
        def check() -> None:
            if request.getHeader("x-identity-header") != IDENTITY_HEADER:
                raise Refused(401, "Unauthorized", "X-IDENTITY-HEADER is missing or wrong")
            if given.get("api-version") != "2019-08-01":
                raise Refused(400, "BadRequest", "api-version is missing or not known")

        ends = int(self._entra.clock.seconds()) + self._lifetime
        try:
            return self._answer(check, given, {"expires_on": str(ends)})
        except Refused as refused:
            request.setResponseCode(refused.status)
            return {"statusCode": refused.status, "message": refused.sentence}

    def _answer(
        self, check: Callable[[], None], given: Mapping[str, str], life: Mapping[str, str]
    ) -> dict[str, Any]:
        check()
        resource = given.get("resource", "").removesuffix("/")
        if resource not in RESOURCES:
            raise Refused(400, "invalid_resource", "AADSTS500011: The resource was not found")
        app = self._identity(given.get("client_id", ""))
        entra = self._entra
        token = entra.tokens.issue(entra.issuer(), app, "", resource, app.roles)
        return {
            "access_token": token,
            "client_id": app.client_id,
            "resource": resource,
            "token_type": "Bearer",
            **life,
        }

    def _identity(self, client_id: str) -> App:
        wanted = "user" if client_id else "system"
        for app in self._entra.tenant.apps.values():
            if app.managed == wanted and app.enabled and client_id in ("", app.client_id):
                return app
        raise Refused(400, "invalid_request", "Identity not found")

    @property
    def _lifetime(self) -> int:
        return int(self._entra.tenant.token_lifetime)
