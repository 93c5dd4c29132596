"""The map of the journeys: its numbers are those of the tables, it asks nobody for anything, everybody can use it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.errors import ThroughlineError
from dagster_project.publishing import site
from dagster_project.publishing.publisher import publish
from dagster_project.publishing.versions import current_version, rollback
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import open_warehouse
from tests.conftest import Demo
from tests.publishing.conftest import AS_OF
from tests.publishing.journey_tables import COLUMNS, NASTY, ODD, SEGMENT_NAMES, STAGES, WEEKS, entered, make_tables
from tests.publishing.reading import listing, read_current

# What each part of a journey's file shows: the table, what tells its rows apart beside the journey, and which of the
# table's rows are meant.
PARTS = {
    "stages": ("journey_stages", ["week", "segment", "stage_order"], "true"),
    "touchpoints": ("stage_touchpoints", ["week", "segment", "stage_order", "touchpoint"], "true"),
    "flows": (
        "journey_transitions",
        ["week", "segment", "from_stage_order", "from_step", "to_stage_order", "to_step"],
        "level = 'map'",
    ),
    "contacts": (
        "stage_contacts",
        ["week", "segment", "stage_order", "touchpoint", "channel"],
        "(touchpoint = 'all' or channel = 'all')",
    ),
    "effort": ("journey_effort", ["week", "segment", "status"], "true"),
    "friction": ("friction_points", ["week", "stage_order", "touchpoint", "signal", "cohort"], "true"),
    "health": ("journey_health_scores", ["week_start_date", "segment"], "channel = 'all'"),
    "survival": ("stage_survival", ["stage_order", "day"], "true"),
    "first_day": ("first_day_actions", ["action"], "true"),
    "paths": ("journey_paths", ["kind", "pattern"], "true"),
    "what_ifs": ("journey_what_ifs", ["change", "step"], "true"),
    "states": ("journey_states", ["model_order", "state"], "true"),
    "next_steps": ("next_steps", ["step", "next"], "top_rank <= 3"),
    "abandonment": ("abandonment_types", ["abandonment_type"], "true"),
    "annotations": ("journey_annotations", ["annotation_id"], "true"),
    "support": ("support_outcomes", ["channel"], "theme = 'all' and week = 'all'"),
}


@pytest.fixture
def fill_journeys() -> Callable[..., None]:
    def fill(settings: Settings, **given: Any) -> None:
        with open_warehouse(settings) as connection:
            make_tables(connection, **given)

    return fill


def publish_site(settings: Settings, *, day: int = 1) -> Path:
    """Publish what is there and return the folder of the version."""
    return publish(settings, as_of=AS_OF, run_id=str(day), catalogue={}, now=datetime(2026, 2, day)).path


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version with three journeys, with every table there is. Read only."""
    settings = load_settings({"THROUGHLINE_DATA": str(tmp_path_factory.mktemp("mapped") / "data")})
    with open_warehouse(settings) as connection:
        make_tables(connection)
    return publish_site(settings)


def read_journeys(version: Path) -> dict[str, dict[str, Any]]:
    """What the scripts of a version's site say, by journey, as a browser would have it."""
    found = {}
    for path in sorted((version / "site" / "data").glob("*.js")):
        head, name, document, tail = path.read_text(encoding="ascii").splitlines()
        assert head == "globalThis.throughline ??= { journeys: new Map() };" and tail == ");"
        journey = json.loads(name.removeprefix("globalThis.throughline.journeys.set(").removesuffix(","))
        found[journey] = json.loads(document)
    return found


def rows_of(document: dict[str, Any], part: str) -> dict[str, list[dict[str, Any]]]:
    """Rows of a part by key, with their words, week and segment put back."""
    columns, words = document["columns"][part], document["words"]
    found: dict[str, list[dict[str, Any]]] = {}
    for key, rows in document["parts"][part].items():
        slots = [int(slot) for slot in key.split(".") if slot]
        where: dict[str, Any] = {}
        if slots:
            where["week"] = document["weeks"][slots[0]]
        if len(slots) == 2:
            where["segment"] = document["segments"][slots[1]][0]
        found[key] = [
            where
            | {
                column.removeprefix("@"): words[value] if column[0] == "@" and value is not None else value
                for column, value in zip(columns, row, strict=True)
            }
            for row in rows
        ]
    return found


def assert_agrees(version: Path) -> int:
    """Every number of the site is in its table, and every row of a table is on the site or counted as left out."""
    compared = 0
    with duckdb.connect(str(version / "throughline.duckdb"), read_only=True) as connection:
        tables = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
        journeys = connection.execute("select distinct journey from journey_stages order by 1").fetchall()
        documents = read_journeys(version)
        assert sorted(documents) == sorted(journey for (journey,) in journeys)
        for journey, document in documents.items():
            assert document["journey"] == journey
            for part, (table, grain, condition) in PARTS.items():
                if table not in tables:
                    assert document["parts"][part] == {}
                    continue
                own = "true" if part == "support" else "journey = $journey"
                result = connection.execute(
                    f"select * from {table} where {condition} and {own}",
                    {} if part == "support" else {"journey": journey},
                )
                names = [name for name, *_ in result.description]
                expected = {
                    tuple(str(row[names.index(name)]) for name in grain): dict(zip(names, row, strict=True))
                    for row in result.fetchall()
                }
                shown = rows_of(document, part)
                for row in (row for rows in shown.values() for row in rows):
                    told = expected.pop(tuple(str(row[name]) for name in grain))
                    for name, value in row.items():
                        assert same(value, told.get(name)), (journey, part, name, value, told.get(name))
                        compared += 1
                left = sum(count for count, _ in document["left_out"].get(part, {}).values())
                weeks = set(document["weeks"])
                meant = [
                    row for row in expected.values() if str(row.get("week") or row.get("week_start_date")) in weeks
                ]
                assert left == (len(meant) if {"week", "week_start_date"} & set(grain) else len(expected)), (
                    journey,
                    part,
                )
                assert set(shown) >= set(document["left_out"].get(part, {}))
    return compared


def same(shown: Any, published: Any) -> bool:
    """Whether a value of the site is the one of the table."""
    if published is None or published != published:
        return shown is None
    if isinstance(published, Decimal | float):
        return isinstance(shown, int | float) and float(shown) == float(published)
    if hasattr(published, "isoformat"):
        return bool(shown == published.isoformat())
    return bool(shown == published)


def test_every_number_of_the_site_is_in_the_tables(mapped: Path) -> None:
    assert set(PARTS) == {part.name for part in site._PARTS}
    assert assert_agrees(mapped) > 20_000


def test_every_number_of_the_demos_site_is_in_its_tables(demo: Demo) -> None:
    version = current_version(demo.settings)
    assert version is not None and version.site_path is not None
    assert assert_agrees(version.path) > 5_000
    sizes = {path.name: path.stat().st_size for path in (version.path / "site" / "data").iterdir()}
    assert max(sizes.values()) <= site.JOURNEY_BYTES
    assert str(demo.settings.published / "current" / "site" / "index.html") in demo.output
    page = version.site_path.read_text(encoding="utf-8")
    assert version.version_id in page and "From trial to paying customer" not in page
    assert read_journeys(version.path)["trial_to_paid"]["title"] == "From trial to paying customer"


def test_too_much_is_cut_to_the_size_and_what_is_left_out_is_counted(
    settings: Settings, fill_journeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_journeys(settings)
    whole = publish_site(settings)
    monkeypatch.setattr(site, "JOURNEY_BYTES", 90_000)
    monkeypatch.setattr(site, "SITE_METHOD", site.SITE_METHOD + 1)
    version = publish_site(settings, day=2)
    assert version != whole
    assert max(path.stat().st_size for path in (version / "site" / "data").iterdir()) <= 90_000
    document = read_journeys(version)["checkout"]
    # Everything together keeps all its flows; a slice keeps its largest.
    assert "0.0" not in document["left_out"]["flows"]
    assert assert_agrees(version) > 10_000
    key = next(iter(document["left_out"]["flows"]))
    kept = rows_of(document, "flows")[key]
    week, segment = (int(slot) for slot in key.split("."))
    with duckdb.connect(str(version / "throughline.duckdb"), read_only=True) as connection:
        [(rows, passages, smallest)] = connection.execute(
            """
            select count(*), sum(transition_count), min(transition_count)
            from journey_transitions where journey = 'checkout' and week = ? and segment = ?
            """,
            [document["weeks"][week], document["segments"][segment][0]],
        ).fetchall()
    assert [rows - len(kept), passages - sum(row["transition_count"] for row in kept)] == document["left_out"]["flows"][
        key
    ]
    assert min(row["transition_count"] for row in kept) >= smallest


def test_weeks_beyond_a_year_are_left_out_and_told(settings: Settings, fill_journeys) -> None:
    fill_journeys(settings)
    with open_warehouse(settings) as connection:
        connection.execute(
            """
            insert into published.journey_stages by name
            select * exclude (day) replace (strftime(day, '%Y-%m-%d') as week, day as week_start_date)
            from (select * from published.journey_stages where journey = 'tiny' and week = 'all' and segment = 'all')
            cross join (select (date '2025-01-06' + 7 * n::integer)::date as day from range(60) as weeks(n))
            """
        )
    document = read_journeys(publish_site(settings))["tiny"]
    assert len(document["weeks"]) == 1 + site.WEEKS_SHOWN and document["weeks_left_out"] == 61 - site.WEEKS_SHOWN
    assert document["weeks"][:3] == ["all", "2026-05-04", "2026-02-23"]


def test_same_tables_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    found = []
    for number, order in enumerate(["rowid", "hash(rowid)", "-rowid"]):
        settings = load_settings({"THROUGHLINE_DATA": str(tmp_path / str(number))})
        with open_warehouse(settings) as connection:
            make_tables(connection)
            for table in COLUMNS:
                connection.execute(
                    f"create or replace table published.{table} as select * from published.{table} order by {order}"
                )
        version = publish_site(settings)
        files = sorted(path for path in (version / "site").rglob("*") if path.is_file())
        found.append({path.relative_to(version): path.read_bytes() for path in files})
    assert found[0] == found[1] == found[2] and len(found[0]) == 5


def test_unchanged_content_is_no_new_version_and_unchanged_files_are_linked(
    settings: Settings, fill_journeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_journeys(settings)
    first = publish_site(settings)
    before = listing(settings.published)
    fill_journeys(settings)
    assert publish_site(settings, day=2) == first and listing(settings.published) == before
    with open_warehouse(settings) as connection:
        connection.execute("update published.journey_stages set lost_count = 1 where journey = 'tiny' and week = 'all'")
    second = publish_site(settings, day=3)
    assert second != first

    def inode(version: Path, name: str) -> int:
        path = version / "site" / name
        assert name == "index.html" or path.stat().st_mode & 0o222 == 0
        return path.stat().st_ino

    for name, is_same in (("plotly.min.js", True), ("data/checkout.js", True), ("data/tiny.js", False)):
        assert (inode(first, name) == inode(second, name)) is is_same, name
    # The page's own code is no table, and yet a change of it brings a new page.
    monkeypatch.setattr(site, "SITE_METHOD", site.SITE_METHOD + 1)
    third = publish_site(settings, day=4)
    assert third != second and inode(third, "data/tiny.js") == inode(second, "data/tiny.js")
    assert read_current(settings.published)["manifest"]["site"]["page"] == "site/index.html"
    # Gone back to, a version has the site it had; one that lost a file of it is none to go back to.
    assert rollback(settings) == second.name
    assert (settings.published / "current" / "site" / "data" / "tiny.js").stat().st_ino == inode(second, "data/tiny.js")
    (first / "site" / "data" / "checkout.js").unlink()
    with pytest.raises(ThroughlineError, match="lost or changed files"):
        rollback(settings, to=first.name)


def test_a_journey_is_called_what_its_definition_says(settings: Settings, fill_journeys) -> None:
    fill_journeys(settings)
    told = read_journeys(publish_site(settings))
    assert [told[journey]["title"] for journey in ("checkout", "tiny")] == ["From checkout to <b>purchase</b>", "Tiny"]
    assert told["checkout"]["owner"] == "Product" and told["checkout"]["window_days"] == 1
    assert told["checkout"]["problem"] is None and told["tiny"]["problem"] == "fewer than 30 attempts"
    with open_warehouse(settings) as connection:
        connection.execute("drop table published.journey_definitions")
    told = read_journeys(publish_site(settings, day=2))
    assert (told["checkout"]["title"], told["checkout"]["problem"]) == ("Checkout", None)


@pytest.mark.parametrize(
    ("place", "nth"), [("site_library_placed", 1), ("site_data_written", 2), ("site_page_written", 1)]
)
def test_killed_while_writing_leaves_the_old_version_and_the_next_run_mends(
    settings: Settings, fill_journeys, start_publishing, place: str, nth: int
) -> None:
    fill_journeys(settings)
    first = publish(settings, as_of=AS_OF, run_id="run", catalogue={})
    with open_warehouse(settings) as connection:
        connection.execute("update published.journey_stages set lost_count = lost_count + 1")
    killed = start_publishing(settings, failpoint=f"publishing.{place}:{nth}:kill")
    _, told = killed.communicate(timeout=120)
    assert killed.returncode == -9, told
    assert read_current(settings.published)["version_id"] == first.version_id
    assert [path for path in listing(settings.published) if "partial" in path]
    version = publish(settings, as_of=AS_OF, run_id="run", catalogue={})
    assert version.is_new and not [path for path in listing(settings.published) if "partial" in path]
    assert read_current(settings.published)["version_id"] == version.version_id
    assert assert_agrees(version.path) > 20_000


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


class Opened:
    """A page of a version in a browser, with all it asked for and all it complained of."""

    def __init__(self, browser: Any, version: Path, *, width: int = 1440, scheme: str = "light", at: str = "") -> None:
        self.version = version
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        # A machine under load takes its time.
        self.context.set_default_timeout(120_000)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.told: list[str] = []
        self.page.add_init_script(path=Path(__file__).parent / "page_checks.js")
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.told.append(message.text))
        self.page.on("pageerror", lambda error: self.told.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.told.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.goto((version / "site" / "index.html").as_uri() + at)
        self.page.wait_for_selector("#journey:not([hidden])")

    def table(self, caption: str) -> list[dict[str, str]]:
        """A table by its caption, row by row, as a reader sees it."""
        return self.page.evaluate("(caption) => checks.table(caption)", caption)

    def close(self) -> None:
        """Close it; it must have asked only for its own files, and complained of nothing."""
        folder = (self.version / "site").as_uri()
        assert [url for url in self.asked if not url.startswith(f"{folder}/")] == []
        assert self.told == []
        self.context.close()


def percent(value: float | None) -> str:
    return "–" if value is None else f"{Decimal(100 * value).quantize(Decimal('0.1'), ROUND_HALF_UP)}\u00a0%"


def assert_shows_the_slice(opened: Opened, *, journey: str, week: str, segment: str) -> None:
    """The page's funnel, circles, flows and friction are those of the published tables."""
    place = "All weeks" if week == "all" else f"Week of {datetime.fromisoformat(week):%-d %B %Y}"
    name = place if segment == "all" else f"{place}, segment {SEGMENT_NAMES[segment]}"
    with duckdb.connect(str(opened.version / "throughline.duckdb"), read_only=True) as connection:

        def ask(table: str, order: str, *, by_segment: bool = True) -> list[dict[str, Any]]:
            where = "journey = ? and week = ?" + (" and segment = ?" if by_segment else "")
            result = connection.execute(
                f"select * from {table} where {where} order by {order}",
                [journey, week, *([segment] if by_segment else [])],
            )
            names = [column for column, *_ in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

        stages = ask("journey_stages", "stage_order")
        touchpoints = ask("stage_touchpoints", "stage_order, touch_count desc")
        flows = ask("journey_transitions", "transition_count desc")
        friction = ask("friction_points", "rank nulls last", by_segment=False)
    shown = opened.table(f"Funnel, {name}")
    ranks = [
        ("" if row["stage_order"] == 1 else " not ranked", "" if row["stage_order"] == 1 else " not ranked")
        if row["rank_by_lost"] is None
        else (f" no. {row['rank_by_lost']}", f" no. {row['rank_by_step_rate']}")
        for row in stages
    ]
    assert [tuple(row.values())[:5] for row in shown] == [
        (
            row["stage"],
            f"{row['reached_count']:,}",
            percent(row["shared_rate"]),
            (f"{row['lost_before_count']:,}" if row["lost_before_count"] is not None else "–") + (by_people or " "),
            percent(row["step_rate"]) + (by_step or " "),
        )
        for row, (by_people, by_step) in zip(stages, ranks, strict=True)
    ]
    assert [(row["Lost"], row["Open"], row["Likely reason"]) for row in shown] == [
        (f"{row['lost_count']:,}", f"{row['open_count']:,}", row["likely_reason"] or "") for row in stages
    ]
    for row, told in zip(stages, shown, strict=True):
        low = percent(row["drop_off_low"]).removesuffix("\u00a0%")
        assert told["Lost from here"] == f"{percent(row['drop_off_rate'])} ({low}–{percent(row['drop_off_high'])})"
    heads = opened.page.locator(".column-head .count").all_inner_texts()
    assert heads == [f"{row['reached_count']:,} · {percent(row['shared_rate'])}" for row in stages]
    nodes = {
        tuple(each.get_attribute("data-key").split("\0")): int(each.get_attribute("data-touches"))
        for each in opened.page.locator(".node").all()
    }
    assert nodes == {(str(row["stage_order"]), row["touchpoint"]): row["touch_count"] for row in touchpoints}
    listed = opened.table(f"Touchpoints, {name}")
    assert [(row["Touchpoint"], row["Touches"], row["Attempts"], row["Friction"]) for row in listed] == [
        (row["touchpoint"], f"{row['touch_count']:,}", f"{row['attempt_count']:,}", percent(row["friction_rate"]))
        for row in touchpoints
    ]
    words = {"(start)": "Start", "(converted)": "Converted", "(lost)": "Lost", "(open)": "Still open"}
    assert sorted(
        (row["From"], row["To"], row["People"], row["Of all that left"]) for row in opened.table(f"Flows, {name}")
    ) == sorted(
        (
            words.get(row["from_step"], row["from_step"]),
            words.get(row["to_step"], row["to_step"]),
            f"{row['transition_count']:,}",
            percent(row["transition_rate"]),
        )
        for row in flows
    )
    told = opened.page.locator(".frictions > li").all_text_contents()
    assert len(told) == len(friction)
    for row, text in zip(friction, told, strict=True):
        price = (
            f"{Decimal(row['value_at_risk_amount']).quantize(Decimal(1), ROUND_HALF_UP):,} EUR at risk"
            if row["value_at_risk_amount"] is not None
            else f"{Decimal(row['extra_lost_count']).quantize(Decimal(1), ROUND_HALF_UP):,} extra losses"
        )
        assert price in text and row["evidence"] in text and row["recommendation"] in text
        assert text.startswith(str(row["rank"])) is row["is_ranked"]
    lead = opened.page.locator("#journey-lead").inner_text()
    assert lead.startswith(f"{stages[-1]['reached_count']:,} of {stages[0]['entered_count']:,} attempts reached")


def tab_to(page: Any, element: str) -> None:
    """Reach an element with nothing but the Tab key."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == element:
            return
    raise AssertionError(f"Tab never came to {element}")


def test_segment_and_week_are_switched_by_keyboard_and_the_numbers_are_those_of_the_tables(
    browser: Any, mapped: Path
) -> None:
    opened = Opened(browser, mapped, at="#journey=checkout")
    page = opened.page
    assert_shows_the_slice(opened, journey="checkout", week="all", segment="all")
    tab_to(page, "pick-week")
    page.keyboard.press("ArrowDown")
    assert_shows_the_slice(opened, journey="checkout", week=WEEKS[-1], segment="all")
    tab_to(page, "pick-segment")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert_shows_the_slice(opened, journey="checkout", week=WEEKS[-1], segment="S2")
    page.locator("#pick-earlier").focus()
    for _ in range(3):
        page.keyboard.press("Enter")
    assert_shows_the_slice(opened, journey="checkout", week=WEEKS[4], segment="S2")
    assert f"{entered('checkout', WEEKS[4], 'S2'):,}" in page.locator("#page-told").text_content()
    # The address keeps what is looked at.
    kept = page.url
    assert "week=2026-06-01" in kept and "segment=S2" in kept
    page.reload()
    page.wait_for_selector("#journey:not([hidden])")
    assert_shows_the_slice(opened, journey="checkout", week=WEEKS[4], segment="S2")
    opened.close()


def test_a_touchpoint_is_chosen_by_keyboard_and_its_colour_means_what_the_switch_says(
    browser: Any, mapped: Path
) -> None:
    opened = Opened(browser, mapped, at="#journey=checkout")
    page = opened.page
    website = page.get_by_role("button", name="website at Checkout started")
    assert "lost right after it" in website.get_attribute("aria-label")
    website.focus()
    page.keyboard.press("Enter")
    assert website.get_attribute("aria-pressed") == "true"
    detail = page.locator("#map-detail")
    with duckdb.connect(str(mapped / "throughline.duckdb"), read_only=True) as connection:
        [(touches, lost, low, high)] = connection.execute(
            """
            select touch_count, drop_off_after_rate, drop_off_after_low, drop_off_after_high from stage_touchpoints
            where journey = 'checkout' and week = 'all' and segment = 'all' and stage_order = 1
                and touchpoint = 'website'
            """
        ).fetchall()
    assert detail.locator("h3").inner_text() == "website"
    assert f"{touches:,}" in detail.inner_text()
    interval = percent(low).removesuffix("\u00a0%") + f"–{percent(high)}"
    assert f"{percent(lost)}\n{interval}" in detail.inner_text()
    assert page.locator(".flow.out:not([hidden])").count() == 3 and page.locator(".flow.in:not([hidden])").count() == 1
    page.keyboard.press("Escape")
    assert website.get_attribute("aria-pressed") == "false"
    before = page.evaluate("getComputedStyle(document.querySelector('.node .dot')).backgroundColor")
    page.locator("input[value=loss]").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("input[value=mood]").is_checked()
    assert page.evaluate("getComputedStyle(document.querySelector('.node .dot')).backgroundColor") != before
    # 72.5, 47.5 and nothing known: the best step, the middle one, no colour.
    facts = page.locator(".node .fact").all_inner_texts()[:3]
    assert [fact.split(" · ")[1] for fact in facts] == ["mood 73", "mood 48", "no mood"]
    # The third colour is the support overlay: at most two in a hundred ask here.
    page.keyboard.press("ArrowRight")
    assert page.locator(".node .fact").first.inner_text().endswith(" · 2.0\u00a0% ask")
    assert "contact support within 24 hours" in page.locator(".node").first.get_attribute("aria-label")
    opened.close()


@pytest.mark.parametrize("journey", [ODD, "tiny"])
def test_names_that_try_to_break_the_page_are_only_words(browser: Any, mapped: Path, journey: str) -> None:
    opened = Opened(browser, mapped)
    page = opened.page
    page.locator("#page-journeys a").nth([*sorted(STAGES)].index(journey)).click()
    page.wait_for_function(
        "(name) => location.hash.includes(new URLSearchParams({journey: name}).toString())", arg=journey
    )
    if journey == ODD:
        assert_shows_the_slice(opened, journey=ODD, week="all", segment="all")
        page.select_option("#pick-segment", "S2")
        assert_shows_the_slice(opened, journey=ODD, week="all", segment="S2")
        text = page.locator("main").inner_text()
        assert NASTY in text and "Größe → 日本" in text and "__proto__" in text and "Last </script><!--" in text
    else:
        lead = page.locator("#journey-lead").inner_text()
        assert "n = 12" in lead and "nothing is ranked" in lead
        assert page.locator("#journey-problem").inner_text() == "check the definition fewer than 30 attempts"
        assert page.locator(".node .dot.few").count() == page.locator(".node .dot").count() > 0
    # One script is the page's, one the library, one each journey's that was opened; nothing else came in.
    assert page.locator("script").count() == 4
    assert page.locator("img, iframe, object, embed, main i:not(.meter i), main b script").count() == 0
    opened.close()


def test_missing_and_empty_tables_leave_one_sentence_each(browser: Any, tmp_path: Path) -> None:
    settings = load_settings({"THROUGHLINE_DATA": str(tmp_path / "data")})
    with open_warehouse(settings) as connection:
        make_tables(connection, leave_out=tuple(set(COLUMNS) - {"journey_stages", "friction_points", "journey_paths"}))
        connection.execute("delete from published.friction_points")
        connection.execute("delete from published.journey_paths")
    version = publish_site(settings)
    assert assert_agrees(version) > 1_000
    opened = Opened(browser, version, at="#journey=checkout")
    sentences = opened.page.locator(".part .empty").all_inner_texts()
    assert len(sentences) == len(set(sentences)) >= 13
    assert all(sentence.endswith((".", "csv.")) for sentence in sentences)
    assert opened.page.locator(".column-head").count() == 4 and opened.page.locator(".node").count() == 0
    opened.close()


def test_a_version_without_journeys_says_what_would_fill_the_map(browser: Any, tmp_path: Path) -> None:
    settings = load_settings({"THROUGHLINE_DATA": str(tmp_path / "data")})
    with open_warehouse(settings) as connection:
        connection.execute("create table published.customers as select 'p' as person_id")
    version = publish_site(settings)
    page = browser.new_page()
    page.goto((version / "site" / "index.html").as_uri())
    assert "No journey has been published yet" in page.locator("main").inner_text()
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "dark")])
def test_everybody_can_use_the_page(browser: Any, mapped: Path, width: int, scheme: str) -> None:
    opened = Opened(browser, mapped, width=width, scheme=scheme, at="#journey=checkout")
    page = opened.page
    page.wait_for_selector(".chart svg.main-svg")
    page.locator(".node").first.click()
    for details in page.locator("details").all():
        details.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("checks.faint()") == []
    assert page.evaluate("checks.unnamed()") == []
    ids = page.evaluate("checks.ids()")
    assert len(ids) == len(set(ids))
    assert [page.locator(each).count() for each in ("main", "h1", "header.top", "footer", "html[lang=en]")] == [1] * 5
    levels = page.evaluate("checks.levels()")
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))
    # Every picture has its table, every table its caption and the scope of its heads.
    assert page.locator("[role=img]").count() == 2
    assert page.locator(".part:has([role=img]) table").count() >= 2 and page.locator("#part-map table").count() == 2
    assert page.evaluate("checks.unscoped()") == 0
    # Buttons follow the journey: a stage, its touchpoints, the next stage.
    keys = page.locator(".canvas button").evaluate_all("(all) => all.map((each) => each.dataset.key.split('\\0'))")
    assert [int(order) for order, _ in keys] == sorted(int(order) for order, _ in keys) and keys[0] == ["1", ""]
    assert page.evaluate("checks.small()") == []
    page.reload()
    page.wait_for_selector("#journey:not([hidden])")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "page-main"
    opened.close()


def test_the_theme_can_be_chosen(browser: Any, mapped: Path) -> None:
    opened = Opened(browser, mapped, scheme="light", at="#journey=checkout")
    page = opened.page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.select_option("#page-theme", "dark")
    dark = page.evaluate(ground)
    assert sum(map(int, dark.removeprefix("rgb(").removesuffix(")").split(","))) < 150 < 600
    page.reload()
    page.wait_for_selector("#journey:not([hidden])")
    assert page.evaluate(ground) == dark
    page.select_option("#page-theme", "")
    assert page.evaluate(ground) == light
    opened.close()


def test_the_map_and_the_dictionary_lead_to_each_other(browser: Any, mapped: Path) -> None:
    page = browser.new_page()
    page.goto((mapped / "site" / "index.html").as_uri())
    page.get_by_role("link", name="Data dictionary").first.click()
    assert page.url == (mapped / "dictionary.html").as_uri()
    page.get_by_role("link", name="Journey map").click()
    page.wait_for_selector("#journey:not([hidden])")
    assert page.url.startswith((mapped / "site" / "index.html").as_uri())
    page.locator("#part-funnel .source a").first.click()
    assert page.url == (mapped / "dictionary.html").as_uri() + "#journey_stages"
    page.close()
