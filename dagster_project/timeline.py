"""Message signals: what the words of a message say, kept once per text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

import duckdb

from dagster_project.failpoints import failpoint

_TABLE = """
    create table if not exists timeline.message_signals (
        text_id varchar, compound double, sentiment_label varchar, model varchar
    )
"""
_WANTED = """
    create or replace temp table wanted_texts as
    select distinct text_id
    from staging.events
    where text_id is not null and available_at <= ?
"""
_NEW = """
    select text_id, text
    from vault.texts
    semi join wanted_texts using (text_id)
    anti join timeline.message_signals using (text_id)
    order by text_id
"""


@dataclass(frozen=True, kw_only=True)
class SignalsReport:
    """What scoring did.

    Attributes
    ----------
    messages : int
        Texts that have a score now.
    scored : int
        Texts scored by this call.
    mean_compound : float or None
        Mean mood of all of them, from -1 to 1.
    """

    messages: int
    scored: int
    mean_compound: float | None


def score_new_messages(connection: duckdb.DuckDBPyConnection, *, as_of: datetime) -> SignalsReport:
    """Score the texts of known events that have no score yet, and drop scores of texts that are gone.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse for writing, with the vault attached.
    as_of : datetime
        UTC instant up to which evidence counts: a later message is scored when its time comes.
    """
    from ml.sentiment import score_messages

    connection.execute(_TABLE)
    connection.execute(_WANTED, [as_of])
    # Named in every row: another release scores everything again.
    model = f"vader-{version('vaderSentiment')}"
    connection.begin()
    connection.execute(
        "delete from timeline.message_signals where model <> ? or text_id not in (select text_id from wanted_texts)",
        [model],
    )
    texts = connection.sql(_NEW).to_arrow_table()
    scores = score_messages(texts["text"])
    scored = texts.select(["text_id"]).append_column("compound", scores["compound"])
    scored = scored.append_column("sentiment_label", scores["label"])
    connection.register("scored_texts", scored)
    connection.execute(
        "insert into timeline.message_signals select text_id, compound, sentiment_label, ? from scored_texts", [model]
    )
    failpoint("timeline.signals_before_commit")
    connection.commit()
    connection.unregister("scored_texts")
    row = connection.execute("select count(*), avg(compound) from timeline.message_signals").fetchall()[0]
    return SignalsReport(
        messages=row[0], scored=texts.num_rows, mean_compound=None if row[1] is None else round(row[1], 4)
    )
