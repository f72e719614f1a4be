"""What the endpoints of the API answer, as types. More keys may come with a new version."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Nothing(TypedDict):
    """Done; there is nothing to say."""


class Anything(TypedDict):
    """What there is to say, by name."""


class Described(TypedDict):
    """This description of the API."""

    openapi: str
    paths: dict[str, Any]


class Diagnosis(TypedDict):
    """What is wrong, what it means, what to do, and who must do it."""

    key: str
    what: str
    why: str
    fix: str
    who: str


class Trouble(TypedDict):
    """Why no mail is taken now."""

    what: str
    why: str
    fix: str


class Health(TypedDict):
    """Whether mail is taken."""

    good: bool
    troubles: list[Trouble]


class Waiting(TypedDict):
    """How much mail is there."""

    in_flight: int
    scheduled: int
    without_mailbox: int


class Place(TypedDict):
    """Where a listener is."""

    listener: str
    address: str


class Status(TypedDict):
    """The gateway as a whole. Times are seconds since 1970."""

    version: str
    pid: int
    started_at: float
    hostname: str
    is_draining: bool
    drains_until: float | None
    health: Health
    queue: Waiting
    connections: int
    listeners: list[Place]


class Reloaded(TypedDict):
    """What a reload has changed, and what waits for a restart."""

    changed: list[str]
    needs_restart: list[str]


class Active(TypedDict):
    """The messages an attempt runs for."""

    active: list[str]


class Result(TypedDict):
    """What became of one message: done, later, gone, unchanged or failed."""

    queue_id: str
    result: str
    words: str


class Results(TypedDict):
    """What became of each message."""

    results: list[Result]


class Released(TypedDict):
    """How many messages are tried now."""

    released: int


class Incident(TypedDict):
    """What somebody has to know, from its opening to its closing."""

    id: str
    key: str
    level: str
    subject: dict[str, str]
    state: str
    what: str
    why: str
    fix: str
    who: str
    opened_at: float
    closed_at: float | None
    note: str


class Incidents(TypedDict):
    """Incidents."""

    incidents: list[Incident]


class Trial(TypedDict):
    """What came of one way to tell people."""

    way: str
    is_good: bool
    words: str


class Trials(TypedDict):
    """What came of telling people."""

    trials: list[Trial]


class End(TypedDict):
    """When something ends, in seconds since 1970; null: nobody knows."""

    kind: str
    name: str
    ends_at: float | None
    note: str
    warned: int | None


class Credentials(TypedDict):
    """When certificates, secrets, sign-ins and passwords end."""

    credentials: list[End]


class Change(TypedDict):
    """Who changed what, and when."""

    id: int
    at: float
    by: str
    action: str
    subject: str
    detail: dict[str, Any]


class Changes(TypedDict):
    """The audit, the newest first."""

    changes: list[Change]


class MailboxState(TypedDict):
    """A mailbox as it is now."""

    address: str
    state: str
    since: float | None
    until: float | None
    diagnosis: Diagnosis | None
    budget: dict[str, Any]
    waits: int
    why: str


class Mailbox(MailboxState):
    """A mailbox: its settings, its state, its budget, and when its credentials end."""

    flow: str
    origin: str
    renews_at: float | None
    credentials: list[dict[str, Any]]


class Client(TypedDict):
    """A login: its settings, and its passwords without their hashes."""

    login: str
    origin: str
    passwords: list[dict[str, Any]]


class Network(TypedDict):
    """A network that may send without a login."""

    cidr: str
    origin: str


class Listener(TypedDict):
    """A port mail is taken on."""

    name: str
    endpoint: str


class Setting(TypedDict):
    """A single setting, its value, and where that was said."""

    key: str
    value: Any


class TestMail(TypedDict):
    """A test mail that is durable."""

    queue_id: str
    message_id: str
    mailbox: str
    sender: str
    recipients: list[str]


class Followed(TypedDict):
    """What has happened to a test mail since, and its outcome once there is one."""

    steps: list[Any]
    outcome: Any
    mailbox: MailboxState


class Trace(TypedDict):
    """A trace that has begun."""

    id: str
    until: float


class Traced(TypedDict):
    """What was spoken since; `over` says why nothing more comes."""

    lines: list[dict[str, Any]]
    missed: int
    over: str


class Changed(TypedDict):
    """What was changed, by its name; and what is shown this once."""

    address: NotRequired[str]
    login: NotRequired[str]
    cidr: NotRequired[str]
    name: NotRequired[str]
    settings: NotRequired[list[str]]
    password: NotRequired[str]
    certificate: NotRequired[str]
