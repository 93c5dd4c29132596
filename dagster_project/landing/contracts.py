"""Landing contracts: what each export looks like, read from the `meta` of the dbt sources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from dagster_project.errors import ThroughlineError
from dagster_project.settings import DBT_DIR

STAGING_DIR = DBT_DIR / "models" / "staging"
IDENTIFIER_TYPES = ("device_id", "user_id", "email", "phone", "crm_id", "support_id", "card_id", "account_id")
#: One person has the same e-mail and phone everywhere: these need no namespace.
GLOBAL_IDENTIFIER_TYPES = ("email", "phone")
#: What a column may tell of a person, by which people without a common identifier are found to be one.
PROFILE_FIELDS = (
    "full_name",
    "given_name",
    "surname",
    "birth_date",
    "phone",
    "person_number",
    "house_number",
    "street",
    "street_2",
    "city",
    "postcode",
)
#: Columns that landing itself adds to every raw table.
PROVENANCE = {
    "_file_id": "varchar",
    "_row_number": "bigint",
    "_row_key": "uuid",
    "_loaded_at": "timestamp",
    "_occurred_at": "timestamp",
    "available_at": "timestamp",
}

# The parser in C is ten times as fast; it is there wherever PyYAML was built with it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DATA_TYPE = re.compile(r"varchar|bigint|double|boolean|date|timestamp|json|decimal\(\d{1,2}, ?\d{1,2}\)")
_SOURCE_KEYS = {"on_failure", "timezone", "encoding", "consent_default"}
_TABLE_KEYS = {
    "key",
    "duplicates",
    "time",
    "available",
    "order_namespace",
    "ignore",
    "pairs",
    "turns",
    "timezone",
    "encoding",
    "on_failure",
}
_COLUMN_KEYS = {
    "from",
    "required",
    "identifier",
    "namespace",
    "first_of",
    "personal",
    "profile",
    "text",
    "speaker",
    "url",
    "formats",
    "time_zone",
    "states_present",
}
_PURPOSES = {"analytics", "marketing", "personalisation"}


@dataclass(frozen=True, kw_only=True)
class ColumnContract:
    """One column of a raw table and what landing does with it.

    Attributes
    ----------
    name : str
        Column name in `raw` (or in the vault).
    path : str
        Where the value stands: a header of a CSV file, a dot path of a JSON line.
    data_type : str
        `varchar | bigint | double | decimal(p,s) | boolean | date | timestamp | json`.
    required : bool
        A row without a value is quarantined; a file without the column wholly so.
    identifier, namespace : str or None
        Identifier type and namespace; the value becomes a token.
    first_of : str or None
        What separates the identifiers of a list, whose first one counts, such as `;`.
    personal : bool
        The readable value is kept in the vault only.
    profile : str or None
        What of `PROFILE_FIELDS` the readable value tells of the person; of two columns that tell the same the first
        one that has a value counts. A `street` may have the house number in it, a `full_name` begins with the given
        name or has a comma before it.
    text : bool
        Message text: scrubbed into the vault, `raw` holds its id.
    speaker : str or None
        Of a transcript only what this one says. A turn begins on a line with a name and a colon, such as
        `Customer:` or `Agent Kim:`, and goes on to the next such line. Two columns may read one transcript,
        one of them whole.
    url : bool
        Stripped of user info, fragment and private query parameters.
    formats : tuple of str
        strptime formats of dates and timestamps, or `epoch` / `epoch_ms` / `epoch_us`; empty means ISO 8601.
    time_zone : bool
        Holds the name of an IANA time zone; any other value is quarantined.
    states_present : bool
        Speaks of the day of the export, not of the event's time.
    """

    name: str
    path: str
    data_type: str
    description: str = ""
    required: bool = False
    identifier: str | None = None
    namespace: str | None = None
    first_of: str | None = None
    personal: bool = False
    profile: str | None = None
    text: bool = False
    speaker: str | None = None
    url: bool = False
    formats: tuple[str, ...] = ()
    time_zone: bool = False
    states_present: bool = False

    @property
    def raw_type(self) -> str | None:
        """Type in the raw table, None when the column lives in the vault only."""
        if self.identifier or self.text:
            return "varchar"
        return None if self.personal else self.data_type

    @property
    def vault_type(self) -> str | None:
        """Type in the vault table, None when the vault does not hold the column."""
        return self.data_type if self.personal and not self.text else None


@dataclass(frozen=True, kw_only=True)
class TableContract:
    """What landing knows about one export.

    Of its settings, `timezone`, `encoding`, `on_failure` and `consent_default` may stand at the source, for all of its
    tables; the first three may stand at a table too, where they count for that table alone.

    Attributes
    ----------
    key : tuple of str
        Columns that say what a row is about, kept letter by letter; empty where rows have nothing of the kind, and two
        that say the same in one file are two.
    duplicates : str
        `drop` or `keep` for a row that says, field by field, what another one has said.
    occurred, sent, received : str or None
        Columns of the `time` setting: when it happened, and by two clocks when it was sent and received, which put
        right what the sender's clock says.
    available : tuple of (str, object)
        Ways to find `available_at`, tried in order: `("received", column)`,
        `("path_date", regex)`, `("delay_hours", hours)`, `("since", date)`.
    order_namespace : str or None
        Whose order numbers these are: tables that name the same one report the same orders.
    ignore : tuple of str
        Fields that are known and left aside: neither read nor kept nor reported as new.
    pairs : tuple of str
        Fields of a JSON line that are lists of `{key, value}`, as BigQuery exports them; columns name
        what is in them as if they were objects, such as `event_params.page_location`.
    turns : mapping of str to str
        Fields of a JSON line that are lists of the turns of a conversation, and which field of a turn says
        whose it is; columns name what is in them as if there were one object for each side. With
        `turns: {messages: from}` the column `messages.visitor.text` is the `text` of those messages whose
        `from` is `visitor`: a text joins them, a line each, any other column takes the first.
    on_failure : str
        `warn` or `stop`: what a failed file means for publishing.
    timezone : str
        IANA zone of times without an offset, and in which the day in a path ends; UTC unless given.
    encoding : str or None
        Encoding of text files by its name in Python; UTF-8 unless given.
    consent_default : mapping of str to str
        `granted` or `denied` for `analytics`, `marketing` and `personalisation`: what holds for who has not answered.
    """

    source: str
    table: str
    columns: tuple[ColumnContract, ...]
    description: str = ""
    key: tuple[str, ...] = ()
    duplicates: str = "drop"
    occurred: str | None = None
    sent: str | None = None
    received: str | None = None
    available: tuple[tuple[str, Any], ...] = ()
    order_namespace: str | None = None
    ignore: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    turns: Mapping[str, str] = field(default_factory=dict)
    on_failure: str = "warn"
    timezone: str = "UTC"
    encoding: str | None = None
    consent_default: Mapping[str, str] = field(default_factory=dict)
    path: Path = Path()

    @property
    def name(self) -> str:
        """`<source>__<table>`: the table's name in `raw` and in the vault."""
        return f"{self.source}__{self.table}"

    @property
    def raw_columns(self) -> dict[str, str]:
        """Name and type of every column of the raw table."""
        return {c.name: c.raw_type for c in self.columns if c.raw_type} | PROVENANCE

    @property
    def vault_columns(self) -> dict[str, str]:
        """Name and type of every column of the vault table."""
        own = {c.name: c.vault_type for c in self.columns if c.vault_type}
        return {"content_hash": "varchar", "row_number": "bigint"} | own | {"extra": "json"}

    def column(self, name: str) -> ColumnContract:
        """Return the column named `name`."""
        return next(c for c in self.columns if c.name == name)


def load_contracts(folder: Path = STAGING_DIR) -> list[TableContract]:
    """Read and check every landing contract below a folder.

    Parameters
    ----------
    folder : Path
        Folder that holds `<source>/_<source>__sources.yml`.

    Returns
    -------
    list of TableContract
        In order of source and table.

    Raises
    ------
    ThroughlineError
        If a contract is wrong: one sentence with the file, table, column and fault.
    """
    contracts: list[TableContract] = []
    for path in sorted(folder.rglob("_*__sources.yml")):
        contracts += _file_contracts(path)
    seen: dict[str, Path] = {}
    for contract in contracts:
        if contract.name in seen:
            raise ThroughlineError(f"{contract.path}: {contract.name} is already contracted in {seen[contract.name]}.")
        seen[contract.name] = contract.path
    return sorted(contracts, key=lambda c: (c.source, c.table))


def _file_contracts(path: Path) -> list[TableContract]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ThroughlineError(f"{path} is not valid YAML ({' '.join(str(error).split())}).") from None
    found = []
    for source in document.get("sources") or []:
        for table in source.get("tables") or []:
            if _meta(table) is not None:
                found.append(_table(path, source, table))
    return found


def _meta(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the `config.meta.landing` block of a node, or None without one."""
    meta = ((node.get("config") or {}).get("meta") or {}).get("landing")
    return None if meta is None else dict(meta)


class _Fault:
    """Raises one-sentence errors that say where the fault is."""

    def __init__(self, path: Path, where: str) -> None:
        self.path, self.where = path, where

    def __call__(self, fault: str) -> ThroughlineError:
        return ThroughlineError(f"{self.path}: {self.where}: {fault}.")

    def keys(self, given: Mapping[str, Any], known: set[str]) -> None:
        for key in given:
            if key not in known:
                raise self(f"'{key}' is no landing setting; known are {', '.join(sorted(known))}")

    def choice(self, name: str, value: Any, options: tuple[str, ...]) -> str:
        if value not in options:
            raise self(f"{name} is '{value}' but must be one of {', '.join(options)}")
        return str(value)

    def flag(self, given: Mapping[str, Any], name: str, default: bool = False) -> bool:
        value = given.get(name, default)
        if not isinstance(value, bool):
            raise self(f"{name} is '{value}' but must be true or false")
        return value


def _table(path: Path, source: Mapping[str, Any], table: Mapping[str, Any]) -> TableContract:
    source_name, table_name = str(source.get("name")), str(table.get("name"))
    fault = _Fault(path, f"{source_name}.{table_name}")
    outer, inner = _meta(source) or {}, _meta(table) or {}
    fault.keys(outer, _SOURCE_KEYS)
    fault.keys(inner, _TABLE_KEYS)
    for name in (source_name, table_name):
        if not _NAME.fullmatch(name):
            raise fault(f"'{name}' must be lower case letters, digits and underscores")
    if source.get("schema") != "raw":
        raise fault("the source's schema must be raw")
    if table.get("identifier") != f"{source_name}__{table_name}":
        raise fault(f"identifier must be {source_name}__{table_name}")
    columns = tuple(_column(path, f"{source_name}.{table_name}", c) for c in table.get("columns") or [])
    if not columns:
        raise fault("it names no columns")
    names = [c.name for c in columns]
    for name in names:
        if names.count(name) > 1:
            raise fault(f"column {name} stands there twice")

    def known(setting: str, name: Any, *, is_time: bool = False) -> str:
        if name not in names:
            raise fault(f"{setting} names '{name}', which is none of its columns")
        column = columns[names.index(name)]
        if is_time and column.data_type not in ("timestamp", "date"):
            raise fault(f"{setting} names '{name}', whose data_type must be timestamp or date")
        if column.personal and not column.identifier:
            raise fault(f"{setting} names '{name}', which is personal and so not in raw")
        return str(name)

    settings = outer | inner
    time = dict(inner.get("time") or {})
    fault.keys(time, {"occurred", "sent", "received"})
    times = {k: known(f"time.{k}", v, is_time=True) for k, v in time.items()}
    zone = str(settings.get("timezone", "UTC"))
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise fault(f"timezone '{zone}' is no IANA time zone") from None
    if (encoding := settings.get("encoding")) is not None:
        try:
            "".encode(str(encoding))
        except LookupError:
            raise fault(f"encoding '{encoding}' is unknown to Python") from None
    key = inner.get("key") or []
    if not isinstance(key, list):
        raise fault("key must be a list of columns")
    consent = dict(settings.get("consent_default") or {})
    for purpose, value in consent.items():
        fault.choice("consent_default", purpose, tuple(sorted(_PURPOSES)))
        fault.choice(f"consent_default.{purpose}", value, ("granted", "denied"))
    return TableContract(
        source=source_name,
        table=table_name,
        columns=columns,
        description=str(table.get("description") or ""),
        key=tuple(known("key", k) for k in key),
        duplicates=fault.choice("duplicates", inner.get("duplicates", "drop"), ("drop", "keep")),
        occurred=times.get("occurred"),
        sent=times.get("sent"),
        received=times.get("received"),
        available=_available(fault, inner.get("available"), times=times, known=known),
        order_namespace=inner.get("order_namespace"),
        ignore=tuple(str(p) for p in inner.get("ignore") or []),
        pairs=_pairs(fault, inner.get("pairs") or [], columns=columns),
        turns=_turns(fault, inner.get("turns") or {}, columns=columns),
        on_failure=fault.choice("on_failure", settings.get("on_failure", "warn"), ("warn", "stop")),
        timezone=zone,
        encoding=None if encoding is None else str(encoding),
        consent_default=consent,
        path=path,
    )


def _pairs(fault: _Fault, given: Any, *, columns: tuple[ColumnContract, ...]) -> tuple[str, ...]:
    """Check the fields that are lists of keys and values: some column must read each of them."""
    if not isinstance(given, list):
        raise fault("pairs must be a list of fields")
    for name in given:
        if not any(c.path.startswith(f"{name}.") for c in columns):
            raise fault(f"pairs names '{name}', of which no column reads anything")
    return tuple(str(name) for name in given)


def _turns(fault: _Fault, given: Any, *, columns: tuple[ColumnContract, ...]) -> dict[str, str]:
    """Check the fields that are lists of turns: their columns name a side and one field of its turns."""
    if not isinstance(given, dict):
        raise fault("turns must name fields and which field of a turn says whose it is, such as {messages: from}")
    for name in given:
        read = [c for c in columns if c.path.startswith(f"{name}.")]
        if not read:
            raise fault(f"turns names '{name}', of which no column reads anything")
        for column in read:
            if column.path.count(".") != 2:
                raise fault(
                    f"{column.name} reads '{column.path}' of turns but must name a side and a field of its turns"
                )
    return {str(name): str(side) for name, side in given.items()}


def _available(fault: _Fault, given: Any, *, times: Mapping[str, str], known: Any) -> tuple[tuple[str, Any], ...]:
    """Check the ways to find `available_at` and put them in the order in which they are tried."""
    given = dict(given or ({"delay_hours": 0} if "occurred" in times else {}))
    fault.keys(given, {"received", "path_date", "delay_hours", "since"})
    if not given:
        raise fault("available must say when its rows could be known (received, path_date, delay_hours or since)")
    ways: list[tuple[str, Any]] = []
    if "received" in given:
        ways.append(("received", known("available.received", given["received"], is_time=True)))
    if "path_date" in given:
        try:
            groups = re.compile(str(given["path_date"])).groups
        except re.error as error:
            raise fault(f"available.path_date is no regular expression ({error})") from None
        if groups != 1:
            raise fault("available.path_date must have exactly one group, the date as 2026-01-31 or 20260131")
        ways.append(("path_date", str(given["path_date"])))
    if "delay_hours" in given:
        hours = given["delay_hours"]
        if isinstance(hours, bool) or not isinstance(hours, int | float) or hours < 0:
            raise fault(f"available.delay_hours is '{hours}' but must be a number of 0 or more")
        if "occurred" not in times:
            raise fault("available.delay_hours needs time.occurred")
        ways.append(("delay_hours", hours))
    if "since" in given:
        try:
            ways.append(("since", _iso_date(given["since"])))
        except ValueError:
            raise fault(f"available.since is '{given['since']}' but must be a date such as 2026-01-31") from None
    return tuple(ways)


def _iso_date(value: Any) -> str:
    from datetime import date

    return (value if isinstance(value, date) else date.fromisoformat(str(value))).isoformat()


def _column(path: Path, table: str, column: Mapping[str, Any]) -> ColumnContract:
    name = str(column.get("name"))
    fault = _Fault(path, f"{table}.{name}")
    meta = _meta(column) or {}
    fault.keys(meta, _COLUMN_KEYS)
    if not _NAME.fullmatch(name) or name in PROVENANCE:
        raise fault("a column's name must be lower case letters, digits and underscores, and none that landing adds")
    if name in ("content_hash", "row_number", "extra") and meta.get("personal"):
        raise fault("the vault uses this name itself; give the column another")
    identifier, namespace = meta.get("identifier"), meta.get("namespace")
    if identifier is not None:
        fault.choice("identifier", identifier, IDENTIFIER_TYPES)
        is_global = identifier in GLOBAL_IDENTIFIER_TYPES
        if is_global and namespace is not None:
            raise fault(f"{identifier} is the same everywhere and takes no namespace")
        if not is_global and not _NAME.fullmatch(str(namespace)):
            raise fault(f"{identifier} needs a namespace in lower case, such as the source's name")
    elif namespace is not None:
        raise fault("a namespace needs an identifier")
    first_of = meta.get("first_of")
    if first_of is not None and identifier is None:
        raise fault("first_of needs an identifier")
    if first_of is not None and not (isinstance(first_of, str) and re.fullmatch(r"[^\w\s]", first_of)):
        raise fault(f"first_of is '{first_of}' but must be the mark between the identifiers, such as ';'")
    data_type = str(column.get("data_type") or "varchar").lower()
    if not _DATA_TYPE.fullmatch(data_type):
        raise fault(
            f"data_type '{data_type}' must be varchar, bigint, double, decimal(18,2), boolean, date, timestamp or json"
        )
    is_text, is_url = fault.flag(meta, "text"), fault.flag(meta, "url")
    if (identifier or is_text or is_url) and data_type != "varchar":
        raise fault("an identifier, text or url must be varchar")
    if sum([identifier is not None, is_text, is_url]) > 1:
        raise fault("it can be only one of identifier, text and url")
    is_zone = fault.flag(meta, "time_zone")
    if is_zone and (data_type != "varchar" or identifier or is_text or is_url or fault.flag(meta, "personal")):
        raise fault("a time_zone must be varchar, and none of identifier, text, url and personal")
    if (profile := meta.get("profile")) is not None:
        fault.choice("profile", profile, PROFILE_FIELDS)
        if not fault.flag(meta, "personal") or is_text:
            raise fault("a profile is told by a personal column that is no text")
    speaker = meta.get("speaker")
    if speaker is not None and not is_text:
        raise fault("a speaker is for a text")
    formats = meta.get("formats") or []
    if isinstance(formats, str):
        formats = [formats]
    if formats and data_type not in ("timestamp", "date"):
        raise fault("formats are for a date or timestamp")
    return ColumnContract(
        name=name,
        path=str(meta.get("from", name)),
        data_type=data_type,
        description=str(column.get("description") or ""),
        required=fault.flag(meta, "required"),
        identifier=identifier,
        namespace=namespace,
        first_of=first_of,
        personal=fault.flag(meta, "personal"),
        profile=profile,
        text=is_text,
        speaker=None if speaker is None else str(speaker),
        url=is_url,
        formats=tuple(str(f) for f in formats),
        time_zone=is_zone,
        states_present=fault.flag(meta, "states_present"),
    )
