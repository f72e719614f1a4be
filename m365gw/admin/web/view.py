"""What a page is given, and what it gives back: plain values, nothing of Twisted.

A page is a function of a `View`. It gives a `Page` (a template and its values), a `Redirect`, or a
`File`; or it raises `Refusal`, which becomes a page with the same words. So a page can be tested by
calling it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, urlencode

from attrs import field, frozen

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.arrival import Arrival
from m365gw.directory.operators import Role

MOST_FIELDS: Final = 2000  # of a form; a selection of 500 messages has some 510

Tone = Literal["good", "bad", "note"]

# A path of ours: it begins with one slash, and nothing in it makes a browser leave.
_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\\\x7f]*")


@frozen
class SignedIn:
    """Who asks, as pages know him."""

    login: str
    role: Role = "viewer"

    @property
    def may_change(self) -> bool:
        return self.role == "operator"


@frozen
class Fields:
    """The fields of a query or a form, in order; each name may be there several times."""

    pairs: Sequence[tuple[str, str]] = ()

    def get(self, name: str, default: str = "") -> str:
        """The first field of this name, without white space at its ends."""
        return next((value.strip() for key, value in self.pairs if key == name), default)

    def raw(self, name: str) -> str:
        """The first field of this name as it was typed: for passwords."""
        return next((value for key, value in self.pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        """All fields of this name that are not empty."""
        return [value.strip() for key, value in self.pairs if key == name and value.strip()]

    def number(self, name: str, default: int = 0) -> int:
        """A field as a number that is not negative; what is none is the default."""
        said = self.get(name)
        return int(said) if re.fullmatch(r"[0-9]{1,15}", said) else default

    def url(self, path: str, **changes: str | int) -> str:
        """A path with these fields as its query; with changes, of which "" leaves a field out."""
        kept = [(key, value) for key, value in self.pairs if key not in changes and value]
        new = [(key, str(value)) for key, value in changes.items() if value not in ("", 0)]
        query = urlencode([*kept, *new], quote_via=quote)
        return f"{path}?{query}" if query else path


@frozen
class View:
    """One request, of somebody known."""

    path: str
    arrival: Arrival
    operator: SignedIn | None = None  # None only on pages that are there for everybody
    session: str = ""  # the digest of its id, "" without
    browser: str = ""  # the digest of the browser's cookie for this part of the site
    browsers: frozenset[str] = frozenset()  # those of all its cookies of ours
    token: str = ""  # what every form of this page has to send back
    query: Fields = Fields()
    form: Fields = Fields()
    part: str = ""  # the id of the element that is wanted; "": the whole page
    now: float = 0.0  # seconds since 1970
    names: Mapping[str, str] = field(factory=dict)  # the variable parts of the path

    @property
    def home(self) -> str:
        """Where to go from a page that leads nowhere."""
        return "/me" if self.path.startswith(("/me", "/auth/")) else "/"

    @property
    def by(self) -> str:
        """Who asks, as log and audit name them."""
        return self.operator.login if self.operator else ""


@frozen
class Page:
    """A template and what it shows."""

    template: str
    values: Mapping[str, Any] = field(factory=dict)
    status: int = 200


@frozen
class Redirect:
    """Go elsewhere on this site; `toast` is said there, once.

    `key` is a new cookie for the browser, for the part of the site it leads to: of a session that
    begins, or "" when it ends.
    """

    to: str
    toast: str = ""
    tone: Tone = "good"
    key: str | None = field(default=None, repr=False)


@frozen
class Away:
    """Go to another site: to Microsoft's sign-in page. Never where a request has named."""

    url: str = field(repr=False)  # has the state of the sign-in in it
    key: str | None = field(default=None, repr=False)  # as that of a Redirect


@frozen
class File:
    """Octets to be kept by the browser under a name of its own; never shown."""

    octets: bytes
    name: str


Answer = Page | Redirect | Away | File
PageFunction = Callable[[View], Answer | Awaitable[Answer]]


def page(template: str, /, **values: Any) -> Page:
    """`page("overview.html", flow=..., mailboxes=...)`."""
    return Page(template, values)


def local_path(said: str, default: str = "/") -> str:
    """A path of ours that somebody was on his way to; anything else is the default."""
    return said if len(said) <= 2000 and _LOCAL.fullmatch(said) else default


def fields_of(octets: bytes) -> Fields:
    """The fields of a query or of an urlencoded form. Raises `Refusal` when there are too many."""
    try:
        pairs = parse_qsl(
            octets.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise Refusal(400, "The form has too many fields.") from None
    return Fields(tuple(pairs))
