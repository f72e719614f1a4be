"""Entra errors about a person's sign-in, and about policies that forbid one."""

from __future__ import annotations

from typing import Final

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.entra_rows import EntraRow, EntraVerdict
from m365gw.microsoft.reactions import HOUR

_pending = Diagnosis(
    "signin-pending",
    "The sign-in is not finished yet.",
    "Nobody has entered the code and confirmed it so far.",
    "Open the address shown, enter the code, and sign in as <mailbox>.",
    "mailbox-user",
)
_slow_down = Diagnosis(
    "signin-slow-down",
    "Microsoft wants to be asked less often.",
    "The sign-in is not finished yet.",
    "Nothing but to sign in: the gateway asks less often by itself.",
    "nobody",
)
_expired = Diagnosis(
    "signin-code-expired",
    "The sign-in code is no longer valid.",
    "It was not used within fifteen minutes.",
    "Begin again: m365gw mailbox signin <mailbox>",
    "operator",
)
_wrong_code = Diagnosis(
    "signin-code-wrong",
    "Microsoft does not know the sign-in code.",
    "It belongs to another sign-in, was used before, or was changed on the way.",
    "Begin again: m365gw mailbox signin <mailbox>",
    "operator",
)
_declined = Diagnosis(
    "signin-declined",
    "The sign-in was refused by the person who was asked.",
    "Somebody chose No or Cancel on Microsoft's page.",
    "If that was a mistake, begin again: m365gw mailbox signin <mailbox>",
    "mailbox-user",
)
_interaction = Diagnosis(
    "signin-interaction",
    "Microsoft wants a person to sign in for <mailbox> in a browser.",
    "A second factor, a notice or a choice is needed that a program cannot give.",
    "Sign in again: m365gw mailbox signin <mailbox>. To avoid it for good, use flow certificate.",
    "mailbox-user",
)
_second_factor = Diagnosis(
    "signin-second-factor",
    "Microsoft wants a second factor for <mailbox>.",
    "Its policy asks for one now, or it has to be registered first.",
    "Sign in again with the second factor: m365gw mailbox signin <mailbox>. To avoid it for good,"
    " use flow certificate.",
    "mailbox-user",
)
_grant = Diagnosis(
    "signin-not-valid",
    "The stored sign-in of <mailbox> is not valid any more.",
    "Microsoft does not say why.",
    "Sign in again: m365gw mailbox signin <mailbox>",
    "mailbox-user",
)
_revoked = Diagnosis(
    "signin-revoked",
    "The stored sign-in of <mailbox> was revoked.",
    "The password was changed, or a user or administrator ended all sessions.",
    "Sign in again: m365gw mailbox signin <mailbox>. Flow certificate survives such changes.",
    "mailbox-user",
)
_too_old = Diagnosis(
    "signin-too-old",
    "The stored sign-in of <mailbox> has run out.",
    "It was not used for 90 days.",
    "Sign in again: m365gw mailbox signin <mailbox>",
    "mailbox-user",
)
_frequency = Diagnosis(
    "signin-frequency",
    "The stored sign-in of <mailbox> is older than a policy allows.",
    "A Conditional Access policy sets a sign-in frequency.",
    "Sign in again: m365gw mailbox signin <mailbox>. To end it for good, exclude the account from"
    " that policy (Entra admin centre > Protection > Conditional Access), or use flow certificate.",
    "mailbox-user",
)
_changed = Diagnosis(
    "signin-session-changed",
    "The session of <mailbox> has ended.",
    "Password, device or session changed since the sign-in.",
    "Sign in again: m365gw mailbox signin <mailbox>",
    "mailbox-user",
)
_password_expired = Diagnosis(
    "password-expired",
    "The password of <mailbox> has expired.",
    "Microsoft gives no token until it is changed.",
    "Change it at https://myaccount.microsoft.com, then: m365gw mailbox signin <mailbox>",
    "mailbox-user",
)
_used = Diagnosis(
    "signin-code-used",
    "The answer of this sign-in was used before.",
    "A page was loaded twice; each answer works once.",
    "Begin again: m365gw mailbox signin <mailbox>",
    "operator",
)
_verifier = Diagnosis(
    "signin-verifier",
    "The end of the sign-in does not fit its beginning.",
    "It was finished in another browser session than it was begun in.",
    "Begin again: m365gw mailbox signin <mailbox>",
    "operator",
)
_message = Diagnosis(
    "signin-message",
    "Microsoft shows the user of <mailbox> a message and gives no token.",
    "Only the page in the browser says what it is.",
    "Sign in again and read it: m365gw mailbox signin <mailbox>",
    "mailbox-user",
)
_consent = Diagnosis(
    "consent-missing",
    "Nobody has allowed the app to send mail for <mailbox>.",
    "The permission was never consented to, or it was taken back.",
    "Entra admin centre > App registrations > the app > API permissions > Grant admin consent;"
    " or let the user consent: m365gw mailbox signin <mailbox>",
    "entra-admin",
)
_admin_consent = Diagnosis(
    "admin-consent-needed",
    "An administrator must allow the app; users may not in this tenant.",
    "The tenant's consent policy does not let users permit access to mail.",
    "Entra admin centre > App registrations > the app > API permissions > Grant admin consent.",
    "entra-admin",
)
_blocked_by_policy = Diagnosis(
    "conditional-access-blocked",
    "A Conditional Access policy blocks the sign-in of <mailbox>.",
    "Its conditions (place, risk, app or device code flow) forbid it.",
    "Entra admin centre > Monitoring > Sign-in logs names the policy (tab Conditional Access)."
    " Exclude the account or the gateway's network from it. It is tried again each hour.",
    "entra-admin",
)
_device = Diagnosis(
    "device-not-compliant",
    "A policy wants a managed or compliant device for <mailbox>.",
    "A gateway is none and cannot become one.",
    "Exclude the account from that policy (Entra admin centre > Protection > Conditional Access),"
    " or use flow certificate.",
    "entra-admin",
)
_security_policy = Diagnosis(
    "security-policy-blocked",
    "The tenant's security policy blocks the sign-in of <mailbox>.",
    "Security defaults or a policy managed by Microsoft forbid it.",
    "Use flow certificate, which signs in without a user; or look at Entra admin centre >"
    " Overview > Properties > Manage security defaults.",
    "entra-admin",
)
_locked = Diagnosis(
    "account-locked",
    "Microsoft has locked the sign-in of <mailbox>.",
    "There were too many failed attempts, or this network address is rated as malicious.",
    "Wait; find out who tries (Entra admin centre > Monitoring > Sign-in logs), then unlock the"
    " account or clear the address there. The gateway asks only once an hour.",
    "entra-admin",
)
_disabled = Diagnosis(
    "account-disabled",
    "The account <mailbox> is switched off.",
    "An administrator blocked its sign-in.",
    "Entra admin centre > Users > <mailbox> > Account enabled.",
    "entra-admin",
)
_not_assigned = Diagnosis(
    "user-not-assigned",
    "<mailbox> is not among the users of the app.",
    "The app requires that users are assigned to it.",
    "Entra admin centre > Enterprise applications > the app > Users and groups > add <mailbox>;"
    " or Properties > Assignment required: No.",
    "entra-admin",
)

GUARD_ATTEMPTS: Final = 2  # a single bad answer must not end a sign-in
GUARD_TIME: Final = 900.0

ROWS: Final = (
    EntraRow(EntraVerdict("poll", _pending), (70016,), ("authorization_pending",)),
    EntraRow(EntraVerdict("poll", _slow_down, least_wait=5), errors=("slow_down",)),
    EntraRow(EntraVerdict("restart", _expired), (70019, 70020), ("expired_token",)),
    EntraRow(EntraVerdict("restart", _wrong_code), errors=("bad_verification_code",)),
    EntraRow(EntraVerdict("restart", _used), (54005,)),
    EntraRow(EntraVerdict("restart", _verifier), (501481,)),
    EntraRow(
        EntraVerdict("stop", _declined),
        (65004,),
        ("authorization_declined",),
        vague=("access_denied",),
    ),
    EntraRow(
        EntraVerdict("login", _second_factor),
        (50072, 50074, 50076, 50078, 50079, 50158),
        suberrors=("additional_action",),
    ),
    EntraRow(
        EntraVerdict("login", _interaction),
        (16000, 50058, 700020),
        suberrors=("basic_action",),
        vague=("interaction_required", "login_required"),
    ),
    EntraRow(EntraVerdict("login", _revoked), (50173,)),
    EntraRow(EntraVerdict("login", _too_old), (70008, 700082, 700084), (), ("token_expired",)),
    EntraRow(EntraVerdict("login", _frequency), (70043,)),
    EntraRow(EntraVerdict("login", _changed), (50089, 50131, 50132, 50133)),
    EntraRow(
        EntraVerdict("login", _password_expired), (50055,), suberrors=("user_password_expired",)
    ),
    EntraRow(EntraVerdict("login", _grant), (70000,), suberrors=("bad_token",)),
    EntraRow(EntraVerdict("login", _message), suberrors=("message_only",)),
    EntraRow(
        EntraVerdict("login", _grant, attempts=GUARD_ATTEMPTS, patience=GUARD_TIME),
        vague=("invalid_grant",),
    ),
    EntraRow(
        EntraVerdict("admin", _consent, least_wait=HOUR),
        (65001,),
        suberrors=("consent_required",),
        vague=("consent_required",),
    ),
    EntraRow(EntraVerdict("admin", _admin_consent, least_wait=HOUR), (90094,)),
    EntraRow(EntraVerdict("admin", _blocked_by_policy, least_wait=HOUR), (53003,)),
    EntraRow(EntraVerdict("admin", _device, least_wait=HOUR), (53000, 53001, 53002, 53011)),
    EntraRow(EntraVerdict("admin", _security_policy, least_wait=HOUR), (530032, 530035)),
    EntraRow(EntraVerdict("admin", _locked, least_wait=HOUR), (50053,)),
    EntraRow(EntraVerdict("admin", _disabled, least_wait=HOUR), (50057,)),
    EntraRow(EntraVerdict("admin", _not_assigned, least_wait=HOUR), (50105,)),
)
