"""Who signed in at Microsoft, where nobody was expected by name: read from the id token, checked.

MSAL checks the nonce of an id token and nothing else of it. It came straight from the token
endpoint over TLS, so its signature need not be looked at (OpenID Connect Core 3.1.3.7); audience,
issuer and tenant are, here. Someone is known by the account's id (of account and home tenant, which
nobody can choose); the user name says only which mailbox is meant. A guest in a tenant is somebody
of another one, whose mailbox is not there: refused.

Failures: `TokenUnavailable`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from attrs import field, frozen

from m365gw.config.settings import Mailbox
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.sign_in import demand_refresh_token

PERSONAL_TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"  # of all personal accounts
LONGEST_NAME: Final = 100  # characters of a name that are shown

_USER_NAME = re.compile(
    r"[0-9A-Za-z'_!#^~+-]+(?:\.[0-9A-Za-z'_!#^~+-]+)*@(?:[0-9A-Za-z-]{1,63}\.)+[0-9A-Za-z-]{2,63}"
)


@frozen
class Person:
    """Somebody who has signed in, and what Microsoft gave for it."""

    address: str  # the user name, which is the address of the mailbox; in small letters
    name: str  # as the person is called
    account: str  # the account's id, for ever the same
    is_personal: bool
    cache: bytes = field(repr=False)  # of MSAL, with the refresh token


def person_of(app: Any, answer: Mapping[str, Any], mailbox: Mailbox, cloud: Cloud) -> Person:
    """The person of an answer to an authorization code. Raises `TokenUnavailable`.

    `mailbox` stands for the app registration: its client id and tenant are held against the answer.
    """
    claims: Mapping[str, Any] = answer.get("id_token_claims") or {}
    tenant = str(claims.get("tid", ""))
    address = _address(str(claims.get("preferred_username", "")))
    account = _account(app, str(claims.get("oid", "")))
    is_ours = claims.get("aud") == mailbox.client_id and str(claims.get("iss", "")).startswith(
        f"{cloud.authority_of(tenant)}/"
    )
    if not (is_ours and tenant and address and account):
        raise _refused(
            "signin-incomplete",
            "Microsoft did not say who signed in.",
            "Its answer lacks the name or the id of the account, or is not for this app.",
            "Sign in again.",
        )
    is_personal = tenant == PERSONAL_TENANT
    if account.rpartition(".")[2] != tenant:
        raise _refused(
            "signin-guest",
            f"{address} is a guest here: the mailbox is in another organisation.",
            "Only people whose mailbox is in the organisation they sign in to can send by it.",
            "Choose the button for your own organisation, or another account.",
        )
    if not _fits(mailbox.tenant.lower(), tenant.lower()):
        raise _refused(
            "signin-wrong-kind",
            f"{address} is {'a personal account' if is_personal else 'of another organisation'}.",
            "This button is for other accounts.",
            "Choose another account, or another button.",
        )
    demand_refresh_token(app, answer, mailbox)
    name = "".join(each for each in str(claims.get("name", "")) if each.isprintable())
    cache = app.token_cache.serialize().encode()
    return Person(address, name[:LONGEST_NAME], account, is_personal, cache)


def _fits(wanted: str, tenant: str) -> bool:
    """Whether accounts of a tenant are those a registration is for."""
    if wanted == "consumers":
        return tenant == PERSONAL_TENANT
    if tenant == PERSONAL_TENANT:
        return False
    try:
        return str(UUID(wanted)) == tenant
    except ValueError:
        return True  # "organizations", or a domain: then Entra asked for accounts of it alone


def _account(app: Any, object_id: str) -> str:
    """The id of the one account in MSAL's cache, "OBJECT.TENANT"; "" when it is not certain."""
    known = [str(each.get("home_account_id", "")) for each in app.get_accounts()]
    return known[0] if len(known) == 1 and "." in known[0] and object_id else ""


def _address(name: str) -> str:
    """A user name as an address; "" when it is none.

    Only what Microsoft allows in user names: nothing in it can be taken for a pattern, or quoted.
    """
    return name.lower() if len(name) <= 254 and _USER_NAME.fullmatch(name) else ""


def _refused(key: str, what: str, why: str, fix: str) -> TokenUnavailable:
    return TokenUnavailable("restart", Diagnosis(key, what, why, fix, "mailbox-user"))
