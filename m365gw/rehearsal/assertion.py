"""Signed client assertions (RFC 7523), checked as Entra does: against registered certificates.

PS256 with the thumbprint x5t#S256, or RS256 with x5t. The certificate inside the assertion (x5c)
proves nothing and is not looked at. Without a thumbprint it is the token of somebody else, and one
of the app's federated credentials must name issuer, subject and audience.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from m365gw.rehearsal.aadsts import Declined
from m365gw.rehearsal.tenant import App

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SKEW = 300.0  # seconds a clock may be wrong

# Times and audience are checked here, by the rehearsal's clock and with Entra's errors.
_BY_THE_REHEARSAL: Final[Any] = dict.fromkeys(
    ("verify_exp", "verify_nbf", "verify_iat", "verify_aud"), False
)


def check_assertion(app: App, assertion: str, audiences: frozenset[str], now: float) -> None:
    """Returns when the assertion is the app's and valid now. Declined when not."""
    try:
        header = jwt.get_unverified_header(assertion)
        if not header.keys() & {"x5t", "x5t#S256"}:
            _check_federated(app, assertion, now)
            return
        certificate = _registered(app, header)
        claims = _verified(assertion, certificate, str(header.get("alg", "")))
    except jwt.InvalidTokenError as error:
        raise Declined(700027) from error
    if claims.get("aud") not in audiences:
        raise Declined(700023)
    if claims.get("iss") != app.client_id or claims.get("sub") != app.client_id:
        raise Declined(700027)
    _check_times(claims, now)
    if not certificate.not_valid_before_utc.timestamp() <= now:
        raise Declined(700027)
    if certificate.not_valid_after_utc.timestamp() < now:
        raise Declined(700027)


def _check_federated(app: App, assertion: str, now: float) -> None:
    """Returns when the token of another issuer proves the app. Declined when not."""
    told = jwt.decode(assertion, options={"verify_signature": False})
    if not app.federations:
        raise Declined(70021)
    known = [each for each in app.federations if each.issuer == told.get("iss")]
    if not known:
        raise Declined(700211)
    known = [each for each in known if each.subject == told.get("sub")]
    if not known:
        raise Declined(700213)
    if told.get("aud") not in (known[0].audience, [known[0].audience]):
        raise Declined(700212)
    try:
        jwt.decode(
            assertion,
            known[0].key,
            algorithms=["RS256", "ES256"],
            options=_BY_THE_REHEARSAL,
        )
    except (jwt.InvalidTokenError, ValueError) as error:
        raise Declined(50013) from error
    _check_times(told, now)


def _check_times(claims: dict[str, Any], now: float) -> None:
    begins, ends = claims.get("nbf", claims.get("iat", 0)), claims.get("exp", 0)
    if not (_is_time(begins) and _is_time(ends) and begins - SKEW <= now < ends + SKEW):
        raise Declined(700024)


def _registered(app: App, header: dict[str, Any]) -> x509.Certificate:
    """The app's certificate that the assertion names by its thumbprint."""
    named = str(header.get("x5t#S256" if header.get("alg") == "PS256" else "x5t", ""))
    for pem in app.certificates:
        certificate = x509.load_pem_x509_certificate(pem)
        # SHA-1 only names the certificate; the signature is checked with SHA-256.
        digest = hashes.SHA256() if header.get("alg") == "PS256" else hashes.SHA1()
        if named.rstrip("=") == thumbprint(certificate, digest):
            return certificate
    raise Declined(700027)


def _verified(assertion: str, certificate: x509.Certificate, algorithm: str) -> dict[str, Any]:
    key = certificate.public_key()
    if algorithm not in ("PS256", "RS256") or not isinstance(key, rsa.RSAPublicKey):
        raise Declined(700027)
    return jwt.decode(
        assertion,
        key,
        algorithms=[algorithm],
        options=_BY_THE_REHEARSAL,
    )


def thumbprint(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> str:
    """The base64url digest of a certificate, as a JWT header names it."""
    return base64.urlsafe_b64encode(certificate.fingerprint(algorithm)).rstrip(b"=").decode()


def _is_time(value: object) -> bool:
    return isinstance(value, int | float)
