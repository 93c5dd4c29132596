"""The data dictionary: its words are those in the DuckDB file, it stands alone, and a browser can search it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pytest

from dagster_project.errors import ThroughlineError
from dagster_project.publishing.catalogue import catalogue_from_manifest
from dagster_project.publishing.dictionary import render_dictionary
from dagster_project.publishing.publisher import publish
from dagster_project.publishing.versions import current_version, rollback, utc_now
from dagster_project.transform import prepare_manifest
from dagster_project.warehouse import open_warehouse
from tests.conftest import Demo
from tests.publishing.conftest import AS_OF, CATALOGUE
from tests.publishing.reading import read_current

VOID = {"meta", "link", "input", "br", "hr", "img"}
USE: dict[str, Any] = {
    "name": "review",
    "title": "Weekly review",
    "kind": "dashboard",
    "owner": "Product",
    "maturity": "high",
    "description": "Decides what is mended first; read `attempts` and `gone`.",
    "tables": ["attempts", "customers"],
}


class Page(HTMLParser):
    """A page read as its source stands: sections with their texts, every link and id, whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.tables: dict[str, dict[str, Any]] = {}
        self.uses: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == [], "a tag is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert len(given) == len(attrs)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append((tag, given))
        if tag == "section" and given.get("class") == "table":
            self.tables[str(given["id"])] = {"description": "", "columns": [], "queries": []}
        if self.table is None:
            return
        if tag == "tr" and given.get("id"):
            self.table["columns"].append({"id": given["id"], "cells": []})
        if tag in ("th", "td") and self._is_in("tbody"):
            self.table["columns"][-1]["cells"].append("")
        if tag == "pre":
            self.table["queries"].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self.table is None:
            return
        if self._is_in("p", "description"):
            self.table["description"] += data
        if self._is_in("tbody") and (self._is_in("th") or self._is_in("td")) and not self._is_in("span", "key"):
            self.table["columns"][-1]["cells"][-1] += data
        if self._is_in("pre"):
            self.table["queries"][-1] += data

    @property
    def table(self) -> dict[str, Any] | None:
        """The section that is being read."""
        found = [given["id"] for tag, given in self.open if tag == "section" and given.get("class") == "table"]
        return self.tables[str(found[-1])] if found else None

    def _is_in(self, tag: str, name: str | None = None) -> bool:
        return any(each == tag and name in (None, given.get("class")) for each, given in self.open)

    def values(self, name: str) -> list[str]:
        """Values of an attribute, wherever it stands."""
        return [value or "" for _, attribute, value in self.attributes if attribute == name]


def shown(page: Page) -> dict[tuple[str, str | None], tuple[str, ...]]:
    """Every table with its words and every column with its type and words."""
    tables = {(name, None): (table["description"],) for name, table in page.tables.items()}
    columns = {}
    for name, table in page.tables.items():
        for column in table["columns"]:
            title, data_type, words = column["cells"]
            assert column["id"] == f"{name}.{title.strip()}"
            columns[name, title.strip()] = (data_type, words)
    return tables | columns


def told_by_duckdb(database: Path) -> dict[tuple[str, str | None], tuple[str, ...]]:
    """The same from the comments in the file, whose backticks the page shows as code."""
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute("select table_name, comment from duckdb_tables()").fetchall()
        columns = connection.execute(
            "select table_name, column_name, data_type, comment from duckdb_columns() where not internal"
        ).fetchall()
    told: dict[tuple[str, str | None], tuple[str, ...]] = {
        (table, None): (comment.replace("`", ""),) for table, comment in tables
    }
    return told | {(table, column): (kind, comment.replace("`", "")) for table, column, kind, comment in columns}


def assert_stands_alone(page: Page, text: str) -> None:
    """Nothing on the page asks for anything that is not in the version's own folder."""
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for link in page.values("href"):
        is_inside = link[:1] == "#" and unquote(link[1:]) in ids
        is_beside = link == "site/index.html" or re.fullmatch(r"[\w%.-]+\.parquet", link)
        assert is_inside or link == "data:," or is_beside, link
    assert page.values("src") == page.values("srcset") == page.values("action") == []
    assert not re.search(r"https?:|//\w|@import|url\(", text)


def test_page_of_the_demo_says_what_its_duckdb_file_says(demo: Demo) -> None:
    version = current_version(demo.settings)
    assert version is not None and version.dictionary_path is not None
    text = version.dictionary_path.read_text(encoding="utf-8")
    page = Page(text)
    assert shown(page) == told_by_duckdb(version.database_path)
    assert_stands_alone(page, text)
    manifest = json.loads((version.path / "manifest.json").read_text())
    assert render_dictionary(manifest) == text
    for words in (
        version.version_id,
        f"{version.as_of:%Y-%m-%d %H:%M} UTC",
        f"{version.created_at:%Y-%m-%d %H:%M} UTC",
    ):
        assert words in text
    assert {name for use in manifest["uses"] for name in use["tables"]} == set(page.tables)
    assert str(demo.settings.published / "current" / "dictionary.html") in demo.output


def test_every_query_of_the_dictionary_runs_on_the_demo(demo: Demo) -> None:
    version = current_version(demo.settings)
    assert version is not None and version.dictionary_path is not None
    tables = Page(version.dictionary_path.read_text(encoding="utf-8")).tables
    assert set(catalogue_from_manifest(prepare_manifest())) == set(tables)
    with duckdb.connect(str(version.database_path), read_only=True) as connection:
        for name, table in tables.items():
            assert table["queries"], name
            for query in table["queries"]:
                assert name in query
                connection.execute(query).fetchall()


def test_page_escapes_words_names_and_queries(settings, publish_now) -> None:
    with open_warehouse(settings) as connection:
        connection.execute('create table published."it\'s" ("a<b" integer, plain integer)')
    words = '</script><script>alert(1)</script> & "quoted" `<b>` `plain` `it\'s` {{ 7 * 7 }}'
    catalogue = {
        "it's": {
            "description": words,
            "columns": {"a<b": words, "plain": "One `tick."},
            "grain": ["a<b"],
            "examples": [{"question": words, "sql": 'select \'<i>\' as "a<b"\nfrom "it\'s"'}],
        }
    }
    use = USE | {"title": words, "owner": words, "description": words, "tables": ["it's"]}
    report = publish(settings, as_of=AS_OF, run_id="run", catalogue=catalogue, uses=[use])
    text = (report.path / "dictionary.html").read_text(encoding="utf-8")
    page = Page(text)
    assert shown(page) == told_by_duckdb(report.path / "throughline.duckdb")
    assert page.tables["it's"]["queries"] == ['select \'<i>\' as "a<b"\nfrom "it\'s"']
    assert_stands_alone(page, text)
    assert re.findall(r"<(script|style|b|i)\b", text) == ["style", "script"]
    assert "{{ 7 * 7 }}" in text
    # A name in backticks is a link: in the words of the table and of the column, beside the column's own.
    assert page.values("href").count("#it%27s.plain") == 3


def test_a_table_without_examples_shows_how_to_read_it(settings, fill, publish_now) -> None:
    fill(settings, stamp=1)
    with open_warehouse(settings) as connection:
        connection.execute('create table published."Odd one" as select 1 as a')
    report = publish_now(settings)
    tables = Page((report.path / "dictionary.html").read_text(encoding="utf-8")).tables
    with duckdb.connect(str(report.path / "throughline.duckdb"), read_only=True) as connection:
        rows = {name: len(connection.execute(table["queries"][0]).fetchall()) for name, table in tables.items()}
    assert rows == {"Odd one": 1, "attempts": 100, "customers": 50, "settled": 31}


def test_unchanged_content_does_not_rewrite_the_page(settings, fill) -> None:
    def publish_on(day: int):
        now = datetime(2026, 2, day)
        return publish(settings, as_of=AS_OF, run_id=str(day), catalogue=CATALOGUE, uses=[USE], now=now)

    fill(settings, stamp=1)
    path = publish_on(1).path / "dictionary.html"
    written = path.stat().st_mtime_ns, path.stat().st_ino, path.read_bytes()
    assert not publish_on(2).is_new
    # Come back after another, the version keeps its page though the manifest tells of the new run.
    fill(settings, stamp=2)
    assert publish_on(3).is_new
    fill(settings, stamp=1)
    assert publish_on(4).path == path.parent
    assert (path.stat().st_mtime_ns, path.stat().st_ino, path.read_bytes()) == written
    assert read_current(settings.published)["manifest"]["run_id"] == "4"


def test_a_changed_use_or_query_is_a_change_and_a_lost_or_changed_page_no_whole_version(settings, fill) -> None:
    fill(settings, stamp=1)

    def publish_words(**given):
        told = {"catalogue": CATALOGUE, "uses": [USE], "now": utc_now() - timedelta(days=3)} | given
        return publish(settings, as_of=AS_OF, run_id="run", **told)

    first = publish_words()
    asked = CATALOGUE["settled"] | {"examples": [{"question": "Which days?", "sql": "select day from settled"}]}
    second = publish_words(uses=[USE | {"owner": "Marketing"}])
    third = publish_words(catalogue=CATALOGUE | {"settled": asked})
    assert len({first.version_id, second.version_id, third.version_id}) == 3
    assert not any(table.is_changed for table in (*second.tables, *third.tables))
    # A use of tables that this version has not is no use of this version.
    assert publish_words(uses=[USE, USE | {"tables": ["gone"]}]).version_id == first.version_id

    for damage in (lambda page: page.unlink(), lambda page: page.write_text("short")):
        damage(first.path / "dictionary.html")
        assert not current_version(settings).is_whole()
        assert publish_words().version_id == first.version_id
        assert read_current(settings.published)["version_id"] == first.version_id
    page = second.path / "dictionary.html"
    page.write_bytes(page.read_bytes().replace(b"Marketing", b"marketing"))
    with pytest.raises(ThroughlineError, match="lost or changed files"):
        rollback(settings, to=second.version_id)


def test_a_version_from_before_there_were_pages_can_be_rolled_back_to(settings, fill, publish_now) -> None:
    fill(settings, stamp=1)
    first = publish_now(settings)
    fill(settings, stamp=2)
    publish_now(settings)
    (first.path / "dictionary.html").unlink()
    manifest = json.loads((first.path / "manifest.json").read_text())
    del manifest["dictionary"], manifest["uses"]
    (first.path / "manifest.json").write_text(json.dumps(manifest))
    assert rollback(settings) == first.version_id
    version = current_version(settings)
    assert version is not None and version.dictionary_path is None and version.is_whole(checks_content=True)


# --- in a browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield found
        found.close()


@pytest.fixture
def page_file(settings, fill) -> Path:
    """A page with three tables, one use and long words."""
    fill(settings, stamp=1)
    long = CATALOGUE["attempts"] | {"columns": CATALOGUE["attempts"]["columns"] | {"journey": "word" * 60}}
    uses = [USE | {"title": "Weekly" + "title" * 30}]
    report = publish(settings, as_of=AS_OF, run_id="run", catalogue=CATALOGUE | {"attempts": long}, uses=uses)
    return report.path / "dictionary.html"


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_the_page_is_searched_and_linked_in_a_browser(browser, page_file: Path, width: int, scheme: str) -> None:
    from playwright.sync_api import expect

    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    asked: list[str] = []
    told: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width

    def visible(selector: str) -> list[str]:
        return [each.inner_text() for each in page.locator(selector).all() if each.is_visible()]

    columns = "tbody th .anchor"
    everything = visible(columns)
    assert visible("section.table h2") == ["attempts", "customers", "settled"] and len(everything) == 10

    # By the keyboard: "/" leads to the box, what is typed filters, Escape brings everything back.
    page.keyboard.press("/")
    page.keyboard.type("PERSON")
    assert visible(columns) == ["person_id"]
    assert visible("nav li a") == ["customers"]
    assert page.locator("#page-found").inner_text() == "1 table, 1 column"
    page.keyboard.press("Escape")
    assert visible(columns) == everything and page.locator("#page-query").input_value() == ""
    # What is found stands in sight, however far down the page one has come.
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.fill("#page-query", "attempts stamp")
    expect(page.locator("#attempts-title")).to_be_in_viewport()
    assert (visible("section.table h2"), visible(columns)) == (["attempts"], ["stamp"])
    page.fill("#page-query", "customers")
    assert visible(columns) == ["person_id", "stamp", "version_id"]
    page.fill("#page-query", "no such thing")
    assert visible(columns) == [] and page.locator("#page-nothing").is_visible()

    # A link brings back what the search put away.
    page.goto(f"{page_file.as_uri()}#attempts.value_amount")
    expect(page.locator("[id='attempts.value_amount']")).to_be_in_viewport(ratio=1)
    page.fill("#page-query", "weekly")
    assert visible(columns) == [] and visible(".use p:last-child")[0] == "Reads attempts, customers"
    page.click(".reads a >> text=customers")
    expect(page.locator("#customers-title")).to_be_in_viewport()
    assert page.url.endswith("#customers") and visible(columns) == everything

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#customers .copy")
    expect(page.locator("#customers .copy")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "select * from customers limit 100"
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert {url.split("#")[0] for url in asked} == {page_file.as_uri()}
    assert told == []
    page.close()


def test_the_page_reads_without_script_and_on_paper(browser, page_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator("#page-search, .copy").locator("visible=true").count() == 0
    assert page.locator("section.table").locator("visible=true").count() == 3
    page.emulate_media(media="print")
    assert page.locator("thead").first.is_visible()
    snapshot = page.locator("#customers").aria_snapshot()
    for role in ('heading "customers"', 'columnheader "Column"', "rowheader", 'cell "INTEGER"'):
        assert role in snapshot, snapshot
    context.close()
