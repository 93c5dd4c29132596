"""Keep people unreadable: the key, identifier tokens, scrubbed text and stripped URLs.

Everything here works on whole columns in DuckDB. `prepare_connection` installs temporary
macros; the key itself only ever enters as two session variables.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.errors import ThroughlineError
from dagster_project.settings import DBT_DIR

KEY_BYTES = 32
IDENTIFIER_RULES = DBT_DIR / "seeds" / "identifier_rules.csv"

#: What exports write for "nothing": not a value in an identifier, a number or a date.
_NULL_LIKE = r"(?i)\s*(|null|none|nil|nan|n/a|#n/a|na|undefined|\\n|\(null\)|\(none\))\s*"

#: Query parameters that tell a campaign or a click, and nothing about a person.
CLICK_IDS = (
    "gclid|gbraid|wbraid|dclid|fbclid|msclkid|ttclid|li_fat_id|twclid|epik|rdt_cid|irclickid|yclid"  # one per network
)

_EMAIL = r"[A-Za-z0-9._+'-]+(@|%40)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
_IPV4 = r"\b(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}\b"
_IPV6 = r"\b([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b|\b([0-9A-Fa-f]{1,4}:){1,6}(:[0-9A-Fa-f]{1,4}){1,6}\b"
#: 13 to 19 digits, in one piece or in groups as cards print them.
_CARD = r"\b[0-9]{4}([ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}\b|\b3[0-9]{3}[ -]?[0-9]{6}[ -]?[0-9]{5}\b"
#: A leading + or 0, or a bracketed or separated group: plain numbers (orders, prices) are left alone.
_PHONE = (
    r"\+[0-9][0-9 ().-]{6,18}[0-9]"
    r"|\(0?[0-9]{2,5}\)[ -]?[0-9][0-9 -]{4,10}[0-9]"
    r"|\b0[0-9]{2,4}[ /-]?[0-9]{3,4}[ -]?[0-9]{3,5}\b"
    r"|\b[0-9]{3}[-. ][0-9]{3}[-. ][0-9]{4}\b"
)

_PHONE_NORMALISED = "regexp_replace(regexp_replace(regexp_replace({v}, '^ *\\+', '00'), '[^0-9]', '', 'g'), '^00', '+')"
_NORMALISED = {"email": "lower(trim({v}))", "phone": _PHONE_NORMALISED}

#: A line that begins with who speaks: a name of one or two words in capitals, and a colon.
_TURN = r"[\r\n]+[ \t]*([A-Z][A-Za-z0-9_-]*( [A-Z0-9][A-Za-z0-9.]*)?):"


def normalised(identifier: str, value: str) -> str:
    """SQL that normalises an identifier's value before it is tokenised."""
    return _NORMALISED.get(identifier, "trim({v})").format(v=value)


def load_or_create_key(path: Path, *, fingerprint: str | None) -> bytes:
    """Read the token key; on a first run make it.

    Parameters
    ----------
    path : Path
        The key file, 32 random bytes, mode 0600.
    fingerprint : str or None
        Fingerprint of the key that made the tokens in the warehouse, None on a first run.

    Raises
    ------
    ThroughlineError
        If the key is missing, damaged, or another than the one in use.
    """
    if not path.exists():
        if fingerprint is not None:
            raise ThroughlineError(
                f"The key file {path} is missing but the warehouse was made with one; put the saved copy back "
                "(THROUGHLINE_KEY_FILE says where), for without it no new row can be linked to the old ones."
            )
        _create_key(path)
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ThroughlineError(
            f"The key file {path} cannot be read ({error.strerror}); give this user access to it."
        ) from None
    if len(key) != KEY_BYTES:
        raise ThroughlineError(
            f"The key file {path} holds {len(key)} bytes instead of {KEY_BYTES}; put the saved copy back."
        )
    if fingerprint is not None and fingerprint_of(key) != fingerprint:
        raise ThroughlineError(
            f"The key in {path} is not the one the warehouse was made with; put the saved copy back or point "
            "THROUGHLINE_KEY_FILE to it."
        )
    return key


def _create_key(path: Path) -> None:
    """Write a new key whole or not at all: a killed run leaves no half of a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, os.urandom(KEY_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(path)


def fingerprint_of(key: bytes) -> str:
    """Tell keys apart without showing them."""
    return hmac.new(key, b"throughline key fingerprint", hashlib.sha256).hexdigest()[:16]


def prepare_connection(connection: duckdb.DuckDBPyConnection, *, key: bytes) -> None:
    """Give a connection the key and the macros that the landing SQL is written in."""
    block = key.ljust(64, b"\0")
    _install(
        connection,
        {
            "inner_pad": bytes(b ^ 0x36 for b in block),
            "outer_pad": bytes(b ^ 0x5C for b in block),
            "row_pad": hmac.new(key, b"row key", hashlib.sha256).hexdigest(),
        },
    )
    note_now(connection)


def note_now(connection: duckdb.DuckDBPyConnection) -> None:
    """Tell a connection what time it is: nothing that it reads can have been known later."""
    connection.execute("set variable landing_now = ?", [datetime.now(UTC).replace(tzinfo=None)])


def prepared_cursor(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Return a cursor that has the key and the macros of a prepared connection."""
    names = ("inner_pad", "outer_pad", "row_pad", "landing_now")
    listed = ", ".join(f"getvariable('{name}')" for name in names)
    [values] = connection.execute(f"select {listed}").fetchall()
    cursor = connection.cursor()
    _install(cursor, dict(zip(names, values, strict=True)))
    return cursor


def _install(connection: duckdb.DuckDBPyConnection, variables: Mapping[str, object]) -> None:
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set arrow_lossless_conversion = true")  # a UUID stays one on its way through Arrow
    for name, value in variables.items():
        connection.execute(f"set variable {name} = ?", [value])
    trimmed = "trim(value, e' \\t\\r\\n')"
    for signature, body in {
        # HMAC-SHA256, its first 128 bits in hex.
        "keyed_hash(value)": "left(sha256(getvariable('outer_pad') || "
        "unhex(sha256(getvariable('inner_pad') || encode(value)))), 32)",
        # Content key of a row; keyed so that it cannot be guessed from what a row might say.
        "content_key(value)": "md5(getvariable('row_pad') || value)::uuid",
        # Most values begin with something visible, and few of them with the letter of a null-like: the
        # cheap comparison spares the rest (as would no `in` list, which becomes a join of every row).
        "present(value)": f"case when value >= '!' then value when {trimmed} <> '' then value end",
        "given(value)": "case when value >= '-' and value < ':' then value "
        f"when not regexp_full_match(value, '{_NULL_LIKE}') then value end",
        "without_emails(value)": "case when contains(value, '@') "
        f"then regexp_replace(value, '{_quoted(_EMAIL)}', '[email]', 'g') "
        f"when value >= '!' then value when {trimmed} <> '' then value end",
        "scrubbed(value)": _scrub("value"),
        "said_by(value, speaker)": _said_by("value", "speaker"),
        "stripped_url(value)": _stripped_url("value", trimmed),
    }.items():
        connection.execute(f"create or replace temp macro {signature} as {body}")


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _scrub(value: str) -> str:
    for pattern, label in ((_EMAIL, "email"), (_IPV6, "ip"), (_IPV4, "ip"), (_CARD, "card"), (_PHONE, "phone")):
        value = f"regexp_replace({value}, '{_quoted(pattern)}', '[{label}]', 'g')"
    return value


def _said_by(value: str, speaker: str) -> str:
    """Words of one speaker of a transcript, a line per turn; null without any."""
    turns = f"string_split(regexp_replace(chr(10) || {value}, '{_TURN}', chr(30) || '\\1:', 'g'), chr(30))"
    own = f"list_filter({turns}, lambda turn: starts_with(lower(turn), lower({speaker}) || ':'))"
    words = f"list_transform({own}, lambda turn: trim(substr(turn, length({speaker}) + 2), e' \\t\\r\\n'))"
    return f"nullif(array_to_string({words}, chr(10)), '')"


def _stripped_url(value: str, trimmed: str) -> str:
    """Scheme, host and path, with the campaign's query parameters alone.

    The branches test the whole URL, so that most are not taken apart and none twice.
    """
    bare = f"split_part({value}, '#', 1)"
    kept = (
        f"list_filter(string_split(split_part({bare}, '?', 2), '&'), "
        f"lambda part: starts_with(part, 'utm_') or regexp_matches(part, '^({CLICK_IDS})='))"
    )
    stripped = f"split_part({bare}, '?', 1) || coalesce('?' || nullif(array_to_string({kept}, '&'), ''), '')"
    anonymous = f"regexp_replace({stripped}, '^([A-Za-z][A-Za-z0-9+.-]*:)?//[^/?]*@', '\\1//')"
    return (
        f"case when contains({value}, '@') or contains({value}, '%40') "
        f"then regexp_replace({anonymous}, '{_quoted(_EMAIL)}', '[email]', 'g') "
        f"when contains({value}, '?') or contains({value}, '#') then {stripped} "
        f"when {value} >= '!' then {value} when {trimmed} <> '' then {value} end"
    )


def blocked_patterns(path: Path = IDENTIFIER_RULES) -> dict[str, str]:
    """Return the pattern of junk values of each identifier type, from the identifier rules."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["identifier_type"]: row["blocked_pattern"] for row in csv.DictReader(file) if row["blocked_pattern"]
        }


def token(identifier: str, *, namespace: str | None, value: str, blocked_pattern: str | None) -> str:
    """SQL that turns a normalised value into its token; junk values get a type that never links."""
    kind = f"{identifier}:{namespace}" if namespace else identifier
    junk = "''"
    if blocked_pattern:
        junk = f"case when regexp_full_match({value}, '(?i:{_quoted(blocked_pattern)})') then 'junk_' else '' end"
    prefix = f"{identifier}|{namespace or ''}|"
    return f"{junk} || '{kind}:' || keyed_hash('{prefix}' || {value})"


class Tokeniser:
    """Makes tokens column by column, each value once: an export repeats its people many times.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Prepared by `prepare_connection`.
    """

    #: Values remembered per type and namespace: at some 150 bytes each, so that memory stays bounded.
    MAX_KNOWN = 500_000

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.patterns = blocked_patterns()
        self.known: dict[tuple[str, str | None], tuple[pa.Array, pa.Array]] = {}

    def tokens(self, values: pa.ChunkedArray, *, identifier: str, namespace: str | None) -> pa.ChunkedArray:
        """Return the token of each normalised value, null for null."""
        encoded = values.combine_chunks().dictionary_encode()
        wanted = encoded.dictionary
        nothing = pa.array([], pa.string())
        known, made = self.known.get((identifier, namespace), (nothing, nothing))
        at = pc.index_in(wanted, value_set=known)
        if at.null_count:
            new_values = pa.table({"value": wanted.filter(pc.is_null(at))})
            sql = token(identifier, namespace=namespace, value="value", blocked_pattern=self.patterns.get(identifier))
            new = self._made(f"select {sql} as token from new_values", new_values)
            known = pa.concat_arrays([known, new_values.column("value").combine_chunks()])
            made = pa.concat_arrays([made, new])
            at = pc.index_in(wanted, value_set=known)
            if len(known) <= self.MAX_KNOWN:
                self.known[identifier, namespace] = (known, made)
        return pa.chunked_array([made.take(at).take(encoded.indices)])

    def _made(self, query: str, new_values: pa.Table) -> pa.Array:
        """Run a query over `new_values`, which DuckDB finds under the parameter's name."""
        return self.connection.sql(query).to_arrow_table().column("token").combine_chunks()


def text_id(column: str, *, key: str = "_key") -> str:
    """SQL for the id of a row's text: from the row's content, so that it does not depend on file cuts."""
    return f"keyed_hash('text|' || {key} || '|{column}')"
