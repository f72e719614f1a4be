"""Entra's errors: the OAuth word, the HTTP status, the suberror and the words for each number."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from attrs import frozen


@frozen
class EntraError:
    """What belongs to one AADSTS number."""

    error: str
    text: str
    status: int = 400
    suberror: str = ""


def _grant(text: str, suberror: str = "") -> EntraError:
    return EntraError("invalid_grant", text, suberror=suberror)


def _client(text: str) -> EntraError:
    return EntraError("invalid_client", text, status=401)


def _request(text: str) -> EntraError:
    return EntraError("invalid_request", text)


def _interaction(text: str, suberror: str = "basic_action") -> EntraError:
    return EntraError("interaction_required", text, suberror=suberror)


def _config(text: str) -> EntraError:
    return EntraError("unauthorized_client", text)


def _busy(text: str) -> EntraError:
    return EntraError("temporarily_unavailable", text, 503)


ERRORS: dict[int, EntraError] = {
    16000: _interaction("User account selection is required."),
    28002: EntraError("invalid_scope", "Scopes for several resources were asked for."),
    28003: EntraError("invalid_scope", "The scope is empty."),
    40010: EntraError("temporarily_unavailable", "The service has a transient problem.", 503),
    50011: _request("The redirect URI does not match those registered for the app."),
    50013: _client("Assertion failed signature validation."),
    50020: _grant("The user account from this identity provider does not exist in the tenant."),
    50033: _busy("A transient error has occurred."),
    50034: _grant("The user account does not exist in the directory."),
    50053: _grant("The account is locked, too many wrong sign-ins or a malicious IP address."),
    50055: _grant("The password is expired.", "user_password_expired"),
    50057: _grant("The user account is disabled."),
    50058: _interaction("Session information is not sufficient for single sign-on."),
    50059: _request("No tenant-identifying information found in the request."),
    50072: _interaction("User needs to enrol for second factor authentication."),
    50074: _interaction("Strong authentication is required."),
    50076: _interaction("Due to a configuration change you must use multi-factor authentication."),
    50078: _interaction("Presented multi-factor authentication has expired."),
    50079: _interaction("Due to a configuration change you must enrol in multi-factor."),
    50087: _busy("A transient error has occurred during sign-out."),
    50089: _grant("The flow token has expired.", "token_expired"),
    50105: _grant("The signed in user is not assigned to a role for the application."),
    50131: _grant("Authentication failed: conditional access or a device.", "bad_token"),
    50132: _grant("The session is not valid: the password expired or was changed.", "bad_token"),
    50133: _grant("The session is not valid: the password was changed.", "bad_token"),
    50158: _interaction("An external security challenge was not satisfied."),
    50173: _grant("The provided grant has expired due to it being revoked.", "bad_token"),
    50194: _request("The app is not multi-tenant; /common is not supported for it."),
    50196: EntraError("invalid_grant", "The server stopped a request loop of the client."),
    53000: _interaction("Device is not in required device state.", "message_only"),
    53001: _interaction("Device is not domain joined.", "message_only"),
    53002: _interaction("The app is not an approved one.", "message_only"),
    53003: _interaction("Access has been blocked by Conditional Access policies.", "message_only"),
    53011: _interaction("The user is blocked due to risk.", "message_only"),
    54005: _grant("The authorization code was already redeemed."),
    65001: _grant("The user or administrator has not consented to the app.", "consent_required"),
    65004: EntraError("access_denied", "User declined to consent to access the app."),
    65005: _config("The app has required resource access that is not there."),
    70000: _grant("The provided grant is invalid or malformed."),
    70001: _config("The application is disabled."),
    70002: _client("Error validating credentials."),
    70003: EntraError("unsupported_grant_type", "The app requested an unsupported grant type."),
    70008: _grant("The refresh token has expired due to inactivity.", "token_expired"),
    70012: EntraError("server_error", "A server error occurred.", 500),
    70011: EntraError("invalid_scope", "The provided value for the input scope is not valid."),
    70016: EntraError("authorization_pending", "OAuth 2.0 device flow: authorization pending."),
    70018: EntraError("bad_verification_code", "Invalid verification code or device code."),
    70019: EntraError("expired_token", "Verification code expired."),
    70020: EntraError("expired_token", "The provided device code has expired."),
    70021: _client("No matching federated identity record found for the presented assertion."),
    70043: _grant("The refresh token expired due to sign-in frequency checks.", "token_expired"),
    80005: _busy("The authentication agent cannot be reached."),
    90002: EntraError("invalid_tenant", "Tenant not found. Check the tenant id and the cloud."),
    90006: _busy("The external server is temporarily unavailable."),
    90012: _busy("The request has timed out."),
    90014: _request("A required field is missing from the request."),
    90024: _busy("The request budget was exceeded, a transient error."),
    90033: EntraError("temporarily_unavailable", "A transient error has occurred.", 503),
    90038: _request("The tenant lives in another national cloud."),
    90055: _busy("The tenant is throttled."),
    90090: _busy("The service of Microsoft Graph was not available."),
    90094: _grant("An administrator of the tenant must consent.", "consent_required"),
    90130: _request("The app is not supported over /common or /consumers."),
    500011: EntraError("invalid_resource", "The resource principal was not found in the tenant."),
    500133: _client("The assertion is not within its valid time range."),
    500208: _grant("The domain is not a valid sign-in domain for this account type."),
    501481: _grant("The Code_Verifier does not match the code_challenge."),
    530032: _interaction("Blocked by security policy.", "message_only"),
    530035: _interaction("Access has been blocked by security defaults.", "message_only"),
    650056: _config("The app is misconfigured: it lacks required permissions."),
    650057: _config("Invalid resource: the app does not list it as required."),
    700016: EntraError("unauthorized_client", "Application was not found in the directory."),
    700020: _interaction("Interaction is required."),
    700022: EntraError("invalid_scope", "Scopes of several resources cannot be combined."),
    700023: _client("Client assertion audience claim does not match the token endpoint."),
    700024: _client("Client assertion is not within its valid time range."),
    700025: _client("Client is public so neither client_assertion nor client_secret is allowed."),
    700027: _client("The certificate or the signature of the client assertion is not known."),
    700084: _grant("The refresh token of a single page app has expired.", "token_expired"),
    700211: _client("No matching federated identity record found for the issuer."),
    700212: _client("No matching federated identity record found for the audience."),
    700213: _client("No matching federated identity record found for the subject."),
    900023: EntraError("invalid_tenant", "The tenant identifier is neither a domain nor an id."),
    700082: _grant("The refresh token has expired due to inactivity.", "token_expired"),
    1002012: EntraError("invalid_scope", "Client credential flows must ask for /.default."),
    9002332: _request("The app takes accounts of organisations only, not of /consumers."),
    7000112: EntraError("unauthorized_client", "Application is disabled."),
    7000215: _client("Invalid client secret provided. Send the secret's value, not its id."),
    7000218: _client("The body must contain client_assertion or client_secret."),
    7000222: _client("The provided client secret keys are expired."),
}


class Declined(Exception):
    """A sign-in that is refused, by its AADSTS number."""

    def __init__(self, number: int, error: str = "") -> None:
        super().__init__(f"AADSTS{number}")
        self.number = number
        known = ERRORS[number]
        self.error = error or known.error
        self.status = known.status


def error_body(declined: Declined, now: float, correlation_id: str = "") -> dict[str, Any]:
    """The JSON object Entra answers with, for an error at a time (seconds since the epoch)."""
    known = ERRORS[declined.number]
    stamp = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%SZ}"
    trace, correlation = str(uuid.uuid4()), correlation_id or str(uuid.uuid4())
    body: dict[str, Any] = {
        "error": declined.error,
        "error_description": (
            f"AADSTS{declined.number}: {known.text} (m365gw rehearsal, not Microsoft)"
            f" Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
        ),
        "error_codes": [declined.number],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
    }
    if known.suberror:
        body["suberror"] = known.suberror
    return body
