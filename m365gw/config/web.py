"""The settings of the console: where browsers find it, and how long a sign-in lasts."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from m365gw.config.fields import Seconds, setting

# Where the console is as long as no listener is configured: there the gateway is set up.
FIRST_PLACE: Final = "tcp:8025:interface=127.0.0.1"


@frozen(kw_only=True)
class Web:
    endpoint: str = setting(
        "",
        "Where browsers reach the console, as a Twisted endpoint:"
        ' "tcp:8025:interface=127.0.0.1". Empty: there is none, or that one while there is no'
        " [[listener]].",
    )
    tls: bool = setting(
        False, "true: https, with the certificates of [tls]. false: http; TLS may end at a proxy."
    )
    public_url: str = setting(
        "",
        'What people type: "https://relay.example.com". Requests for other hosts are refused, but'
        " for those for this machine itself. Empty: with tls also those for an address in figures.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        "Proxies (networks) whose X-Forwarded-For and X-Forwarded-Proto are believed;"
        ' "unix": those that come by a UNIX socket.',
    )
    metrics_from: tuple[str, ...] = setting(
        ("127.0.0.0/8", "::1/128"),
        "Networks that may read /metrics. From elsewhere it takes a token (m365gw token add), as"
        " the API does.",
    )
    idle_time: Seconds = setting(1800.0, "A session in which nothing is done ends after so long.")
    session_time: Seconds = setting(43200.0, "Every session ends after so long.")
    sign_in: str = setting(
        "",
        "The [[sign_in]] by which operators may sign in too: who signs in at Microsoft is the "
        "operator whose login is that address. Its tenant must be one. Empty: by password alone.",
    )
