from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import time
import venv
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from dagster_project.errors import ThroughlineError
from dagster_project.publishing.publisher import publish
from dagster_project.publishing.versions import current_version, rollback, versions
from dagster_project.settings import load_settings
from dagster_project.warehouse import open_warehouse
from tests.publishing.conftest import AS_OF, CATALOGUE
from tests.publishing.reading import listing, read_current

# Every place a run can die in while it publishes a second version over a first, and which version is
# current afterwards. `parquet_written` and `table_written` are passed once for each table.
KILLS = [
    ("publishing.locked", 1, "old"),
    ("publishing.fingerprinted", 1, "old"),
    ("publishing.folder_made", 1, "old"),
    ("publishing.linked", 1, "old"),
    ("publishing.table_written", 1, "old"),
    ("publishing.table_written", 3, "old"),
    ("publishing.parquet_written", 1, "old"),
    ("publishing.parquet_written", 2, "old"),
    ("publishing.database_closed", 1, "old"),
    ("publishing.site_library_placed", 1, "old"),
    ("publishing.site_page_written", 1, "old"),
    ("publishing.site_written", 1, "old"),
    ("publishing.dictionary_written", 1, "old"),
    ("publishing.manifest_written", 1, "old"),
    ("publishing.before_rename", 1, "old"),
    ("publishing.renamed", 1, "old"),
    ("publishing.link_made", 1, "old"),
    ("publishing.switched", 1, "new"),
]


def test_publish_writes_every_table_with_its_version_and_words(settings, fill, publish_now):
    fill(settings, stamp=1)
    report = publish_now(settings)
    read = read_current(settings.published)
    assert report.is_new
    assert report.previous_version_id is None
    assert report.version_id == read["version_id"]
    assert report.version_id.startswith("2026-01-31-") and len(report.version_id) == len("2026-01-31-") + 12
    assert report.undescribed == ()
    assert [(table.name, table.rows, table.is_changed) for table in report.tables] == [
        ("attempts", 200, True),
        ("customers", 50, True),
        ("settled", 31, True),
    ]
    assert {table.size_bytes for table in report.tables} == {
        path.stat().st_size for path in report.path.glob("*.parquet")
    }
    with duckdb.connect(str(report.path / "throughline.duckdb"), read_only=True) as connection:
        comments = dict(connection.execute("select table_name, comment from duckdb_tables()").fetchall())
        assert comments == {name: entry["description"] for name, entry in CATALOGUE.items()}
        columns = connection.execute(
            "select table_name, column_name, comment from duckdb_columns() where not internal"
        ).fetchall()
    words = {(table, column): comment for table, column, comment in columns}
    assert words["attempts", "value_amount"] == "What it's worth, in EUR."
    assert all(words.values())
    columns = read["manifest"]["tables"]["attempts"]["columns"]
    assert columns[2] == {"name": "value_amount", "type": "DECIMAL(18,2)", "description": "What it's worth, in EUR."}


def test_publish_writes_a_file_that_duckdb_1_2_opens(settings, fill, publish_now):
    fill(settings, stamp=1)
    header = (publish_now(settings).path / "throughline.duckdb").read_bytes()[:20]
    # DuckDB's table of storage versions: 64 is v0.9 to v1.1, 65 is v1.2, 66 is v1.3.
    assert header[8:12] == b"DUCK"
    assert struct.unpack("<Q", header[12:20]) == (65,)


@pytest.mark.torture
def test_publish_is_read_by_the_oldest_driver_promised(settings, fill, publish_now, tmp_path):
    fill(settings, stamp=1)
    report = publish_now(settings)
    venv.create(tmp_path / "old", with_pip=True)
    python = tmp_path / "old" / "bin" / "python"
    if subprocess.run([python, "-m", "pip", "install", "-q", "duckdb==1.2.2"], capture_output=True).returncode:
        pytest.skip("duckdb 1.2.2 cannot be installed here")
    query = (
        "import duckdb, sys\n"
        "connection = duckdb.connect(sys.argv[1], read_only=True)\n"
        "print(connection.execute('select distinct version_id from attempts').fetchall()[0][0])\n"
        "print(connection.execute('select count(*), sum(value_amount) from attempts').fetchall())\n"
    )
    out = subprocess.run(
        [python, "-c", query, report.path / "throughline.duckdb"], capture_output=True, text=True, check=True
    )
    # 200 rows of 0..6 in turn: 28 whole turns of 21, then 0 + 1 + 2 + 3.
    assert out.stdout.splitlines() == [report.version_id, "[(200, Decimal('594.00'))]"]


def test_publish_unchanged_publishes_nothing(settings, fill, publish_now):
    fill(settings, stamp=1)
    first = publish_now(settings)
    before = listing(settings.published)
    written = (first.path / "manifest.json").stat().st_mtime_ns
    fill(settings, stamp=1)
    again = publish(settings, as_of=datetime(2026, 2, 1, 23), run_id="next", catalogue=CATALOGUE)
    assert not again.is_new
    assert again.version_id == first.version_id
    assert not any(table.is_changed for table in again.tables)
    assert "Nothing changed" in again.summary
    assert listing(settings.published) == before
    assert (first.path / "manifest.json").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "change",
    [
        "update published.customers set stamp = 2 where person_id = 'p7'",
        "insert into published.customers select * from published.customers where person_id = 'p7'",
        "delete from published.customers where person_id = 'p7'",
        "update published.customers set stamp = null where person_id = 'p7'",
        "alter table published.customers rename stamp to state",
        "alter table published.customers alter stamp type bigint",
    ],
)
def test_publish_sees_any_change_and_links_the_other_files(settings, fill, publish_now, change):
    fill(settings, stamp=1)
    first = publish_now(settings)
    with open_warehouse(settings) as connection:
        connection.execute(change)
    second = publish_now(settings)
    assert second.is_new and second.version_id != first.version_id
    assert second.previous_version_id == first.version_id
    assert [table.name for table in second.tables if table.is_changed] == ["customers"]
    for name, is_same in (("attempts", True), ("settled", True), ("customers", False)):
        old, new = ((report.path / f"{name}.parquet").stat() for report in (first, second))
        assert (old.st_ino == new.st_ino) is is_same
        assert new.st_mode & 0o222 == 0


def test_publish_sees_a_mended_description_and_a_table_gone(settings, fill, publish_now):
    fill(settings, stamp=1)
    first = publish_now(settings)
    mended = CATALOGUE | {"settled": CATALOGUE["settled"] | {"columns": {"day": "A day in UTC."}}}
    second = publish(settings, as_of=AS_OF, run_id="run", catalogue=mended)
    assert second.is_new
    assert not any(table.is_changed for table in second.tables)
    assert read_current(settings.published)["manifest"]["tables"]["settled"]["columns"][0]["description"].endswith(
        "UTC."
    )
    with open_warehouse(settings) as connection:
        connection.execute("drop table published.settled")
    third = publish_now(settings)
    assert len({first.version_id, second.version_id, third.version_id}) == 3
    assert sorted(read_current(settings.published)["rows"]) == ["attempts", "customers"]


def test_publish_same_content_gives_the_same_bytes_in_any_order_and_with_any_threads(tmp_path):
    reports = []
    for number, (order, threads) in enumerate([("i", 1), ("hash(i)", 2), ("-i", 2)]):
        settings = load_settings({"THROUGHLINE_DATA": str(tmp_path / str(number)), "THROUGHLINE_THREADS": str(threads)})
        with open_warehouse(settings) as connection:
            # More rows than a row group; the grain does not tell all of them apart, some are equal, some null.
            connection.execute(
                f"""
                create table published.events as
                select nullif('e' || (i // 3), 'e5') as event_id, (i % 3) // 2 as part, i::double / 7 as score
                from (select if(i % 9 = 0, i - 1, i) as i from range(300_000) as numbers(i))
                order by {order}
                """
            )
        catalogue = {"events": {"description": "", "columns": {}, "grain": ["event_id"]}}
        reports.append(publish(settings, as_of=AS_OF, run_id=str(number), catalogue=catalogue))
    assert len({report.version_id for report in reports}) == 1
    assert len({(report.path / "events.parquet").read_bytes() for report in reports}) == 1
    ids = pq.read_table(reports[0].path / "events.parquet")["event_id"].to_pylist()
    assert ids == sorted(ids, key=lambda event_id: (event_id is None, event_id))
    assert reports[0].undescribed == ("events", "events.event_id", "events.part", "events.score")


def test_publish_casts_what_readers_do_not_know(settings, publish_now):
    with open_warehouse(settings) as connection:
        connection.execute(
            """
            create table published.odd as
            select 9007199254740993::hugeint as total, 'watch'::enum ('healthy', 'watch') as status,
                '3f2a0c1e-0000-4000-8000-000000000001'::uuid as id, null::hugeint as nothing, {'a': [1]} as nested,
                '{"plan": "pro"}'::json as properties
            """
        )
    report = publish_now(settings)
    # 2^53 + 1 is the first whole number a double cannot hold.
    assert pq.read_table(report.path / "odd.parquet").to_pylist() == [
        {
            "total": 9007199254740993,
            "status": "watch",
            "id": "3f2a0c1e-0000-4000-8000-000000000001",
            "nothing": None,
            "nested": {"a": [1]},
            "properties": '{"plan": "pro"}',
        }
    ]


def test_publish_publishes_empty_tables_and_leaves_views_which_are_steps(settings, publish_now):
    with open_warehouse(settings) as connection:
        connection.execute('create table published."it\'s" (a integer, version_id varchar)')
        connection.execute("create view published.seen as select 1 as a")
    assert [(table.name, table.rows) for table in publish_now(settings).tables] == [("it's", 0)]
    assert read_current(settings.published)["rows"] == {"it's": []}


def test_publish_names_the_version_after_the_local_day(tmp_path, fill):
    data = {"THROUGHLINE_DATA": str(tmp_path / "data"), "THROUGHLINE_TIMEZONE": "America/New_York"}
    settings = load_settings(data)
    fill(settings, stamp=1)
    # The end of 31 January in New York is 1 February in UTC.
    report = publish(settings, as_of=datetime(2026, 2, 1, 4, 59, 59), run_id="run", catalogue=CATALOGUE)
    assert report.version_id.startswith("2026-01-31-")


def test_publish_refuses_what_it_cannot_publish(settings, fill):
    with open_warehouse(settings):
        pass
    with pytest.raises(ThroughlineError, match="no table in schema published"):
        publish(settings, as_of=AS_OF, run_id="run", catalogue={})
    fill(settings, stamp=1)
    wrong = {"customers": {"description": "", "columns": {}, "grain": ["customer_id"]}}
    with pytest.raises(ThroughlineError, match=r"published\.customers names customer_id"):
        publish(settings, as_of=AS_OF, run_id="run", catalogue=wrong)
    assert current_version(settings) is None


@pytest.fixture(scope="module")
def published_once(tmp_path_factory):
    """A data folder with one version published and a changed warehouse, and what publishing makes of it."""
    return tmp_path_factory.mktemp("published_once")


@pytest.mark.parametrize(("name", "nth", "current"), KILLS, ids=[f"{name}-{nth}" for name, nth, _ in KILLS])
def test_publish_killed_leaves_a_whole_version_and_the_next_run_mends(
    settings, fill, publish_now, start_publishing, published_once, name, nth, current
):
    template, expected = published_once / "data", published_once / "expected"
    if not expected.exists():
        whole = load_settings({"THROUGHLINE_DATA": str(expected)})
        fill(whole, stamp=1)
        publish_now(whole, now=datetime(2026, 2, 1))
        fill(whole, stamp=2)
        shutil.copytree(expected, template, symlinks=True)
        publish_now(whole, now=datetime(2026, 2, 2))
    old, new = read_current(template / "published"), read_current(expected / "published")
    shutil.copytree(template, settings.data, symlinks=True)

    killed = start_publishing(settings, failpoint=f"{name}:{nth}:kill", now=datetime(2026, 2, 2))
    _, told = killed.communicate(timeout=60)
    assert killed.returncode == -9, told
    assert read_current(settings.published) == {"old": old, "new": new}[current] | _databases(settings.published)
    publish_now(settings, now=datetime(2026, 2, 2))
    after = read_current(settings.published)
    assert after == new | _databases(settings.published)
    assert listing(settings.published) == listing(expected / "published")
    assert [version.version_id for version in versions(settings)] == [new["version_id"], old["version_id"]]
    assert rollback(settings) == old["version_id"]


def _databases(published: Path) -> dict[str, object]:
    """The manifest as it stands: the DuckDB file's own bytes differ from one writing to the next."""
    return {"manifest": read_current(published)["manifest"]}


def test_publish_killed_while_adopting_is_finished_by_the_next_run(settings, fill, publish_now, start_publishing):
    fill(settings, stamp=1)
    first = publish_now(settings)
    fill(settings, stamp=2)
    publish_now(settings)
    fill(settings, stamp=1)
    killed = start_publishing(settings, failpoint="publishing.adopted:1:kill")
    assert killed.wait(timeout=60) == -9
    assert read_current(settings.published)["rows"]["customers"][0][-1] == 2
    report = publish_now(settings)
    assert report.is_new and report.version_id == first.version_id
    assert read_current(settings.published)["rows"]["customers"][0][-1] == 1


@pytest.mark.parametrize(
    "name", sorted({name for name, _, current in KILLS if current == "old"} - {"publishing.locked"})
)
def test_publish_on_a_full_disk_says_so_and_moves_nothing(settings, fill, publish_now, arm, name):
    fill(settings, stamp=1)
    first = publish_now(settings)
    fill(settings, stamp=2)
    arm(f"{name}:1:raise")
    with pytest.raises(ThroughlineError) as told:
        publish_now(settings)
    assert str(told.value).startswith(f"The disk that holds {settings.published} is full")
    assert first.version_id in str(told.value) and "\n" not in str(told.value)
    assert read_current(settings.published)["version_id"] == first.version_id
    assert not [entry for entry in listing(settings.published) if "partial" in entry]
    arm("")
    assert publish_now(settings).is_new
    assert not [entry for entry in listing(settings.published) if "partial" in entry or ".current-" in entry]


@pytest.mark.parametrize("limit_bytes", [20_000, 600_000])
def test_publish_that_the_system_stops_from_writing_says_so(settings, fill, publish_now, start_publishing, limit_bytes):
    fill(settings, stamp=1)
    first = publish_now(settings)
    with open_warehouse(settings) as connection:
        connection.execute("create table published.large as select uuid()::varchar as id from range(200_000)")
    stopped = start_publishing(settings, limit_bytes=limit_bytes)
    _, told = stopped.communicate(timeout=60)
    assert stopped.returncode == 1
    assert told.startswith("No new version could be published") and told.strip().count("\n") == 0
    assert first.version_id in told
    assert read_current(settings.published)["version_id"] == first.version_id
    assert not [entry for entry in listing(settings.published) if "partial" in entry]


def test_publish_lets_readers_in_and_other_publishers_not(settings, fill, publish_now, start_publishing):
    fill(settings, stamp=1)
    first = publish_now(settings)
    fill(settings, stamp=2)
    sleeping = start_publishing(settings, failpoint="publishing.manifest_written:1:sleep", seconds=2)
    until = time.monotonic() + 30
    while not list(settings.published.glob("versions/*.partial-*/manifest.json")):
        assert time.monotonic() < until and sleeping.poll() is None
        time.sleep(0.01)
    assert read_current(settings.published)["version_id"] == first.version_id
    assert [version.version_id for version in versions(settings)] == [first.version_id]
    for other in (publish_now, rollback):
        with pytest.raises(ThroughlineError, match="Another run is publishing"):
            other(settings)
    out, _ = sleeping.communicate(timeout=60)
    assert read_current(settings.published)["version_id"] == out.strip() != first.version_id


def test_publish_ten_versions_never_shows_a_reader_a_torn_one(settings, fill, publish_now):
    fill(settings, stamp=0)
    publish_now(settings)
    script = (
        "import sys, pathlib\n"
        "from tests.publishing.reading import read_current\n"
        "seen, reads = [], 0\n"
        "print('ready', flush=True)\n"
        "while not pathlib.Path(sys.argv[2]).exists():\n"
        "    stamp = read_current(pathlib.Path(sys.argv[1]))['rows']['customers'][0][-1]\n"
        "    seen, reads = seen + [stamp] * (stamp not in seen), reads + 1\n"
        "print(reads, seen == sorted(seen))\n"
    )
    stop = settings.data / "stop"
    reader = subprocess.Popen(
        [sys.executable, "-c", script, str(settings.published), str(stop)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
    for stamp in range(1, 11):
        fill(settings, stamp=stamp)
        publish_now(settings)
    stop.touch()
    out, told = reader.communicate(timeout=60)
    assert reader.returncode == 0, told
    reads, is_in_order = out.split()
    assert int(reads) >= 5 and is_in_order == "True"


def test_publish_over_a_damaged_current_version_builds_it_again(settings, fill, publish_now):
    fill(settings, stamp=1)
    first = publish_now(settings)
    whole = read_current(settings.published)["rows"]
    (first.path / "customers.parquet").unlink()
    again = publish_now(settings)
    assert again.version_id == first.version_id
    assert read_current(settings.published)["rows"] == whole


def test_publish_does_not_link_a_file_that_somebody_changed(settings, fill, publish_now):
    fill(settings, stamp=1)
    first = publish_now(settings)
    file = first.path / "settled.parquet"
    content = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(content[:-1] + b"?")
    fill(settings, stamp=2)
    second = publish_now(settings)
    assert (second.path / "settled.parquet").read_bytes() == content
    assert read_current(settings.published)["version_id"] == second.version_id


def test_publish_copies_where_the_file_system_has_no_hard_links(settings, fill, publish_now, monkeypatch):
    fill(settings, stamp=1)
    first = publish_now(settings)

    def refuse(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    fill(settings, stamp=2)
    second = publish_now(settings)
    files = [report.path / "settled.parquet" for report in (first, second)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_ino != files[1].stat().st_ino
