"""What the published tables and their columns mean and what they are for, as dbt's manifest tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from dagster_project.errors import ThroughlineError


class Example(TypedDict):
    """A question that a table answers, and the query that asks it."""

    question: str
    sql: str


class TableEntry(TypedDict):
    """One published table: its description, its columns' descriptions, its grain, what to ask it."""

    description: str
    columns: dict[str, str]
    grain: list[str]
    examples: NotRequired[list[Example]]


class Use(TypedDict):
    """What somebody reads published tables for: a dbt exposure."""

    name: str
    title: str
    kind: str
    owner: str
    maturity: str
    description: str
    tables: list[str]


Catalogue = Mapping[str, TableEntry]


def catalogue_from_manifest(path: Path, *, schema: str = "published") -> dict[str, TableEntry]:
    """Read what dbt's ``manifest.json`` says of the published tables.

    Views are left out: they are steps on the way to published tables, and no reader gets them.
    The grain is the model's ``meta: {grain: [...]}``, else its ``unique_key``, else unknown. Example queries are its
    ``meta: {examples: [{question: ..., sql: ...}]}``.

    Parameters
    ----------
    path : Path
        The manifest that dbt wrote.
    schema : str
        Schema of the models wanted.

    Returns
    -------
    dict
        ``{table: {"description": str, "columns": {column: description}, "grain": [column, ...]}}``, with
        ``"examples"`` where there are any.

    Raises
    ------
    ThroughlineError
        If the manifest is missing or is none.
    """
    [nodes] = _read(path, "nodes")
    return {
        _table_name(node): TableEntry(
            description=_one_line(node.get("description")),
            columns={name: _one_line(column.get("description")) for name, column in node.get("columns", {}).items()},
            grain=_grain(node),
            **_examples(node),
        )
        for node in nodes.values()
        if _is_published(node, schema=schema)
    }


def uses_from_manifest(path: Path, *, schema: str = "published") -> list[Use]:
    """Read from dbt's ``manifest.json`` what the published tables are for: its exposures.

    Parameters
    ----------
    path : Path
        The manifest that dbt wrote.
    schema : str
        Schema of the models wanted.

    Returns
    -------
    list of Use
        The most mature first, then by title, each with its tables in order of their names.

    Raises
    ------
    ThroughlineError
        If the manifest is missing or is none.
    """
    nodes, exposures = _read(path, "nodes", "exposures")
    uses = [
        Use(
            name=exposure["name"],
            title=exposure.get("label") or exposure["name"].replace("_", " ").capitalize(),
            kind=exposure["type"],
            owner=exposure["owner"].get("name") or exposure["owner"].get("email") or "",
            maturity=exposure.get("maturity") or "",
            description=_one_line(exposure.get("description")),
            tables=sorted(
                _table_name(nodes[parent])
                for parent in exposure["depends_on"]["nodes"]
                if parent in nodes and _is_published(nodes[parent], schema=schema)
            ),
        )
        for exposure in exposures.values()
    ]
    rank = {"high": 0, "medium": 1, "low": 2}
    return sorted(uses, key=lambda use: (rank.get(use["maturity"], 3), use["title"], use["name"]))


def _read(path: Path, *parts: str) -> list[dict[str, Any]]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return [dict(manifest[part]) for part in parts]
    except FileNotFoundError:
        raise ThroughlineError(f"dbt's manifest {path} is missing; run `dbt parse` or the nightly job again.") from None
    except (ValueError, KeyError, TypeError):
        raise ThroughlineError(f"{path} is not a dbt manifest; delete it and run the nightly job again.") from None


def _is_published(node: Mapping[str, Any], *, schema: str) -> bool:
    is_view = node.get("config", {}).get("materialized") == "view"
    return bool(node["resource_type"] == "model" and node["schema"] == schema and not is_view)


def _table_name(node: Mapping[str, Any]) -> str:
    return str(node.get("alias") or node["name"])


def _examples(node: Mapping[str, Any]) -> dict[str, Any]:
    examples = node.get("config", {}).get("meta", {}).get("examples", [])
    told = [Example(question=_one_line(each["question"]), sql=each["sql"].strip()) for each in examples]
    return {"examples": told} if told else {}


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _grain(node: Mapping[str, Any]) -> list[str]:
    config = node.get("config", {})
    grain = config.get("meta", {}).get("grain") or node.get("meta", {}).get("grain") or config.get("unique_key") or []
    return [grain] if isinstance(grain, str) else list(grain)
