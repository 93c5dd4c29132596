"""A landing killed anywhere and run again equals one that was never interrupted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagster_project.landing.contracts import load_contracts
from dagster_project.landing.landing import land_table
from dagster_project.settings import Settings, load_settings
from tests.children import run_in_child
from tests.landing.conftest import Shop, event

Content = Callable[[Settings], dict[str, list[tuple[Any, ...]]]]


def land(shop: Shop, data: Path, failpoint: str = "") -> int:
    """Land in a process of its own; return its exit status."""
    env = {
        "THROUGHLINE_DATA": str(data),
        "THROUGHLINE_INBOX": str(shop.settings.inbox),
        "THROUGHLINE_KEY_FILE": str(shop.folder / "key"),
        "THROUGHLINE_FAILPOINT": failpoint,
    }
    return run_in_child(_land, shop.folder / "contracts", env=env).returncode


def _land(contracts: Path) -> None:
    for contract in load_contracts(contracts):
        land_table(load_settings(), contract, chunk_bytes=6_000)


@pytest.fixture
def uninterrupted(shop: Shop, content: Content) -> dict[str, list[tuple[Any, ...]]]:
    """What landing leaves when nothing happens to it."""
    shop.contract()
    (shop.folder / "key").write_bytes(b"k" * 32)
    shop.put("a.jsonl", [event(n, items="bad" if n % 9 == 0 else n, plan="pro") for n in range(60)])
    shop.put("b.jsonl", [event(n) for n in range(100, 110)])
    shop.put("c.jsonl", [event(100), event(500)])
    shop.put("d.jsonl.gz", b"no gzip")
    assert land(shop, shop.folder / "whole") == 0
    return content(settings_of(shop, shop.folder / "whole"))


def settings_of(shop: Shop, data: Path) -> Settings:
    return load_settings({"THROUGHLINE_DATA": str(data), "THROUGHLINE_INBOX": str(shop.settings.inbox)})


def test_landing_killed_anywhere_and_run_again_ends_the_same(
    shop: Shop, content: Content, uninterrupted: dict[str, list[tuple[Any, ...]]]
) -> None:
    assert {k.rsplit(".", 1)[-1]: len(v) for k, v in uninterrupted.items()}["shop__events"] > 0
    for number, place in enumerate(
        [
            "warehouse.opened:1",
            "landing.key_made:1",
            "landing.vault_table_ready:1",
            "landing.vault_cleared:1",
            "landing.file_read:1",
            "landing.before_vault:2",
            "landing.mid_vault:1",
            "landing.after_vault:1",
            "landing.mid_rows:1",
            "landing.after_rows:2",
            "landing.before_ledger:1",
            "landing.before_commit:1",
            "landing.after_commit:1",
            "landing.after_batch:1",
            "warehouse.before_checkpoint:1",
        ]
    ):
        data = shop.folder / f"killed{number}"
        assert land(shop, data, f"{place}:kill") == -9, place
        assert land(shop, data) == 0, place
        assert content(settings_of(shop, data)) == uninterrupted, place
