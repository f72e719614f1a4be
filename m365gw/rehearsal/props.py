"""What a gateway proves itself with, lying ready in the folder of a rehearsal.

    app.pem           key and certificate of the app, which the pretend Entra knows
    federated-token   what a Kubernetes cluster gives a pod: a token of its OIDC issuer, which the
                      app trusts; written anew each minute, and good for ten

Both are good against this rehearsal alone. The certificate is kept over restarts, the issuer has a
new key after each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet.interfaces import IDelayedCall

from m365gw.rehearsal.certificates import app_certificate, private_pem, write_for_owner
from m365gw.rehearsal.tenant import APP_ID, AUDIENCE, Federation, Tenant

CERTIFICATE: Final = "app.pem"
TOKEN: Final = "federated-token"  # noqa: S105 - the name of a file
ISSUER: Final = "https://oidc.rehearsal.example"
SUBJECT: Final = "system:serviceaccount:mail:m365gw"
LIFETIME: Final = 600.0  # seconds a token is good for
RENEWED_EVERY: Final = 60.0


def lay_out_certificate(folder: Path, tenant: Tenant) -> None:
    """Make the app's certificate, unless there is one, and let the app know it."""
    file = folder / CERTIFICATE
    if not file.exists():
        write_for_owner(file, b"".join(app_certificate("m365gw rehearsal", days=3650)))
    tenant.register_certificate(APP_ID, file.read_bytes())


class TokenFile:
    """The federated token in the folder, from `start` to `stop`."""

    def __init__(self, folder: Path, tenant: Tenant, clock: Any) -> None:
        self._file = folder / TOKEN
        self._tenant = tenant
        self._clock = clock
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._next: IDelayedCall | None = None
        self._claims: dict[str, Any] = {}

    def start(self) -> None:
        """Let the app trust the issuer, and write tokens from now on."""
        public = self._key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        trusted = Federation(issuer=ISSUER, subject=SUBJECT, key=public.decode())
        self._tenant.change_app(APP_ID, federations=(trusted,))
        self.write({})

    def write(self, claims: Mapping[str, Any]) -> None:
        """From now on tokens have these claims instead of the right ones; {}: all are right.

        `lifetime` is in seconds from now; what is negative has ended already.
        """
        unknown = set(claims) - {"iss", "sub", "aud", "lifetime"}
        if unknown:
            raise ValueError(f"a token has iss, sub, aud and lifetime, not {sorted(unknown)}")
        self._claims = dict(claims)
        self.stop()
        self._renew()

    def stop(self) -> None:
        """Write no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _renew(self) -> None:
        now = int(self._clock.seconds())
        lifetime = float(self._claims.get("lifetime", LIFETIME))
        claims = {"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, **self._claims}
        claims.pop("lifetime", None)
        begins = now if lifetime > 0 else int(now + 2 * lifetime)
        claims |= {"iat": begins, "nbf": begins, "exp": int(now + lifetime)}
        key = private_pem(self._key)
        write_for_owner(self._file, jwt.encode(claims, key, "ES256").encode())
        self._next = self._clock.callLater(RENEWED_EVERY, self._renew)
