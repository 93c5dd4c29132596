"""What the published tables and their columns mean, as dbt's manifest tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from dagster_project.errors import ThroughlineError


class TableEntry(TypedDict):
    """One published table: its description, its columns' descriptions, its grain."""

    description: str
    columns: dict[str, str]
    grain: list[str]


Catalogue = Mapping[str, TableEntry]


def catalogue_from_manifest(path: Path, *, schema: str = "published") -> dict[str, TableEntry]:
    """Read descriptions and grains of the published tables from dbt's ``manifest.json``.

    The grain is the model's ``meta: {grain: [...]}``, else its ``unique_key``, else unknown.

    Parameters
    ----------
    path : Path
        The manifest that dbt wrote.
    schema : str
        Schema of the models wanted.

    Returns
    -------
    dict
        ``{table: {"description": str, "columns": {column: description}, "grain": [column, ...]}}``

    Raises
    ------
    ThroughlineError
        If the manifest is missing or is none.
    """
    try:
        nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"].values()
    except FileNotFoundError:
        raise ThroughlineError(f"dbt's manifest {path} is missing; run `dbt parse` or the nightly job again.") from None
    except (ValueError, KeyError, TypeError):
        raise ThroughlineError(f"{path} is not a dbt manifest; delete it and run the nightly job again.") from None
    return {
        node.get("alias") or node["name"]: TableEntry(
            description=_one_line(node.get("description")),
            columns={name: _one_line(column.get("description")) for name, column in node.get("columns", {}).items()},
            grain=_grain(node),
        )
        for node in nodes
        if node["resource_type"] == "model" and node["schema"] == schema
    }


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _grain(node: Mapping[str, Any]) -> list[str]:
    config = node.get("config", {})
    grain = config.get("meta", {}).get("grain") or node.get("meta", {}).get("grain") or config.get("unique_key") or []
    return [grain] if isinstance(grain, str) else list(grain)
