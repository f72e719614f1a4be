"""PostgreSQL, where `[directory] url` names one. What hangs is given up after seconds.

Nothing said here shows the url, which may have a password in it.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

_PATIENCE: Final = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 10000,  # milliseconds, as all below
    "keepalives_idle": 30,
    "application_name": "m365gw",
    "options": "-c statement_timeout=15000 -c lock_timeout=10000"
    " -c idle_in_transaction_session_timeout=60000",
}


def connect(url: str) -> Engine:
    """The database of this url. Nothing is opened yet. Raises ValueError, in words."""
    try:
        return create_engine(
            _parsed(url),
            connect_args=_PATIENCE,
            hide_parameters=True,
            pool_pre_ping=True,  # a server that was restarted costs nobody an error
            pool_size=4,
            max_overflow=8,
            pool_timeout=10,
        )
    except ModuleNotFoundError:
        raise ValueError(
            "PostgreSQL needs the package psycopg: pip install 'm365gw[postgresql]'."
        ) from None


def words(url: str, problem: Any) -> str:
    """Why the database cannot be used, and what to do."""
    parsed = _parsed(url)
    text = " ".join(str(problem).split())
    for secret in (parsed.password, parsed.query.get("password")):
        text = text.replace(str(secret), "***") if secret else text
    place = f"{parsed.database} on {parsed.host or parsed.query.get('host') or 'this machine'}"
    return f"The PostgreSQL database {place} cannot be used: {text}"


def _parsed(url: str) -> URL:
    try:
        return make_url(url).set(drivername="postgresql+psycopg")
    except ArgumentError:
        raise ValueError("The url of the database cannot be read.") from None
