"""A connection to PostgreSQL: its URL, its transactions, and its errors as sentences that never hold a password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dagster_project.errors import ThroughlineError

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection, Cursor

VARIABLE = "THROUGHLINE_POSTGRES_URL"

_DEFAULTS = {
    "application_name": "throughline",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    # A server that vanished without a word is noticed within a minute or so, not after two hours.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


class PostgresError(ThroughlineError):
    """Why the second target could not be brought up to date, and how to mend it.

    Attributes
    ----------
    kind : str
        A short name: the same kind is alerted once, until the target is current again.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where the second target is, as far as may be told.

    Attributes
    ----------
    url : str
        For the driver only: it holds the password.
    place : str
        ``host:port/database``, for people.
    user : str
        Empty if the URL names none.
    """

    url: str = field(repr=False)
    place: str
    user: str


def read_url(url: str | None) -> Target:
    """Check a URL before the driver sees it: the driver repeats one that it cannot read, password and all.

    Raises
    ------
    PostgresError
        If it is no URL of PostgreSQL; the message never repeats it.
    """
    scheme, mark, rest = (url or "").partition("://")
    if not mark or scheme not in ("postgresql", "postgres"):
        raise _bad_url("does not begin with postgresql://")
    address, _, options = rest.partition("?")
    authority, _, database = address.partition("/")
    login, at, hosts = authority.rpartition("@")
    if "@" in login or "@" in database or "@" in options or "/" in database or "#" in rest:
        raise _bad_url("holds one of @ / ? # in its password, or twice what belongs there once")
    if re.search(r"%(?![0-9A-Fa-f]{2})", rest):
        raise _bad_url("holds a % that begins no code such as %25")
    if not all(re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(:\d*)?", host) for host in hosts.split(",")):
        raise _bad_url("has a port that is no number")
    if options and not all("=" in option for option in options.split("&")):
        raise _bad_url("has an option without a value after its ?")
    given = {option.partition("=")[0] for option in options.split("&")} if options else set()
    added = "&".join(f"{name}={value}" for name, value in _DEFAULTS.items() if name not in given)
    user = unquote(login.partition(":")[0]) if at else ""
    return Target(
        url=f"{url}{'&' if options else '?'}{added}",
        place=f"{unquote(hosts) or 'localhost'}/{unquote(database) or user}",
        user=user,
    )


def _bad_url(what: str) -> PostgresError:
    return PostgresError(
        "url",
        f"{VARIABLE} {what}, write it as postgresql://user:password@host:5432/database, with special characters "
        "of the password as percent codes",
    )


@contextmanager
def session(target: Target) -> Iterator[Connection]:
    """Connect, for the length of a block."""
    from adbc_driver_manager import Error
    from adbc_driver_postgresql import dbapi

    try:
        connection = dbapi.connect(target.url)
    except Error as error:
        raise _not_connected(str(error), target=target) from None
    try:
        yield connection
    finally:
        # A connection that broke cannot be closed well either; why it broke is told already.
        with suppress(Error):
            connection.close()


@contextmanager
def transaction(connection: Connection) -> Iterator[Cursor]:
    """Commit at the end, roll back after an error."""
    from adbc_driver_manager import Error

    try:
        with connection.cursor() as cursor:
            yield cursor
        connection.commit()
    except BaseException:
        with suppress(Error):
            connection.rollback()
        raise


@contextmanager
def speaking() -> Iterator[None]:
    """Turn the server's errors into sentences; never its details, which quote rows."""
    from adbc_driver_manager import Error, OperationalError

    try:
        yield
    except Error as error:
        state = error.sqlstate
        # The driver puts the statement before what the server said, and the server details after it.
        said = re.search(r"(?:ERROR|FATAL|PANIC):\s+(.+)", str(error))
        text = f"{state}: {said[1].strip()}" if said else f"{state}"
        if (isinstance(error, OperationalError) and state is None) or (state or "").startswith(("08", "57P")):
            raise PostgresError(
                "dropped", "the connection broke half-way, look into the server's log and the network"
            ) from None
        if state and state.startswith("53"):
            raise PostgresError(
                "full", f"the server is out of disk, memory or connections ({text}), make room there"
            ) from None
        if state == "42501":
            raise PostgresError("right", f"a right is missing ({text}), have an administrator grant it") from None
        if state == "55P03":
            raise PostgresError("locked", f"something there is locked ({text}), end what holds it") from None
        raise PostgresError(
            f"sql {state}", f"the server refused a statement ({text}), look into the server's log"
        ) from None


def _not_connected(text: str, *, target: Target) -> PostgresError:
    """Tell why there is no connection, in words of our own: the driver's may hold parts of a password."""
    place, _, database = target.place.partition("/")
    said = text.lower()
    if "could not translate host name" in said or "name or service not known" in said:
        return PostgresError("host", f"no machine is called {place}, correct {VARIABLE} or the name service")
    if "password" in said or "no pg_hba.conf entry" in said or "authentication" in said:
        return PostgresError(
            "password", f"the server does not let user {target.user or '(none)'} in, correct the password in {VARIABLE}"
        )
    if "database" in said and "does not exist" in said:
        return PostgresError("database", f"there is no database {database}, create it or correct {VARIABLE}")
    if "role" in said and "does not exist" in said:
        return PostgresError("password", f"the server has no user {target.user}, correct {VARIABLE}")
    if "too many" in said or "remaining connection slots" in said:
        return PostgresError("full", "the server has no connection left, close some or raise max_connections")
    if "starting up" in said or "shutting down" in said:
        return PostgresError("unreachable", "the server is starting or stopping, wait for it")
    if "ssl" in said or "certificate" in said:
        return PostgresError("ssl", f"no encrypted connection was agreed on, correct sslmode in {VARIABLE}")
    if fatal := re.search(r"FATAL:\s+(.+)", text):
        return PostgresError("refused", f"the server refused the connection ({fatal[1].strip()}), look into its log")
    return PostgresError("unreachable", f"nobody answers at {place}, start the server or correct {VARIABLE}")


def rows_of(cursor: Cursor, query: str) -> list[Any]:
    """Run a query; all its rows."""
    cursor.execute(query)
    return list(cursor.fetchall())


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A text as SQL writes it."""
    return "'" + str(value).replace("'", "''") + "'"
