"""The data dictionary: a version's manifest as a page that a person reads in a browser.

The page is one file that asks for nothing outside itself, so it opens from a disk, a share or a mail. What it says
comes from the manifest alone: the same version gives the same page. Everything is escaped; its style and script are
allowed by their hash, so a description could not run as a script even if something let it through.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from dagster_project.publishing.versions import DATABASE_FILE, MANIFEST_FILE, VERSION_COLUMN

_HERE = Path(__file__).parent
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def render_dictionary(manifest: Mapping[str, Any]) -> str:
    """Write the data dictionary of a version.

    Parameters
    ----------
    manifest : mapping
        The version's manifest: ``version_id``, ``as_of``, ``created_at``, ``tables``, ``uses``, and ``site`` if there
        is a map of the journeys to link to.

    Returns
    -------
    str
        HTML.
    """
    tables = {name: _table(name, entry, uses=manifest["uses"]) for name, entry in manifest["tables"].items()}
    style, script = (Markup((_HERE / f"dictionary.{kind}").read_text(encoding="utf-8")) for kind in ("css", "js"))
    return _template().render(
        version_id=manifest["version_id"],
        as_of=_instant(manifest["as_of"]),
        created_at=_instant(manifest["created_at"]),
        tables=tables,
        column_count=sum(len(table["columns"]) for table in tables.values()),
        uses=manifest["uses"],
        words=partial(_words, tables=tables),
        database_file=DATABASE_FILE,
        manifest_file=MANIFEST_FILE,
        map_page=(manifest.get("site") or {}).get("page"),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
    )


def _table(name: str, entry: Mapping[str, Any], *, uses: list[Mapping[str, Any]]) -> dict[str, Any]:
    quoted = name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'
    return {
        **entry,
        "columns": [*entry["columns"], VERSION_COLUMN],
        "examples": entry["examples"] or [{"question": "The first rows", "sql": f"select * from {quoted} limit 100"}],
        "uses": [use for use in uses if name in use["tables"]],
    }


def _words(text: str, *, tables: Mapping[str, Mapping[str, Any]], table: str | None = None) -> Markup:
    """Escape a text; what stands in backticks is code, and a link where it names a column of the table or a table."""
    columns = {column["name"] for column in tables[table]["columns"]} if table else set()
    told = Markup()
    for position, part in enumerate(text.split("`")):
        code = Markup("<code>{}</code>").format(part) if position % 2 else escape(part)
        if position % 2 and (part in columns or part in tables):
            anchor = f"{table}.{part}" if part in columns else part
            code = Markup('<a href="#{}">{}</a>').format(quote(anchor), code)
        told += code
    return told


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["anchor"] = quote
    return environment.from_string((_HERE / "dictionary.html.jinja").read_text(encoding="utf-8"))


def _instant(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _hash(text: str) -> str:
    """Return the source expression by which a content security policy allows an inline style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
