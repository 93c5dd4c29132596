"""What the night makes of the demo's exports against what is true of the company."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import networkx
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score

from dagster_project.discovery import read_walks, sort_leavings
from dagster_project.landing.tokens import blocked_patterns, normalised, prepare_connection, token
from tests.conftest import Demo

# Identifiers of the truth by type and namespace of their tokens.
KINDS = {
    "anonymous_id": ("device_id", "segment"),
    "user_id": ("user_id", "app"),
    "email": ("email", None),
    "phone": ("phone", None),
    "stripe_customer": ("crm_id", "stripe"),
    "hubspot_contact": ("crm_id", "hubspot"),
    "loyalty_card": ("crm_id", "pos_loyalty"),
    "zendesk_user": ("support_id", "zendesk"),
    "card_fingerprint": ("card_id", "stripe"),
}


def write_owners(connection: duckdb.DuckDBPyConnection, truth: Path) -> None:
    """Make the table ``owners``: whose each token truly is, where it is one person's."""
    patterns = blocked_patterns()
    tokens = " union all ".join(
        f"select person, {token(kind, namespace=space, value='plain', blocked_pattern=patterns.get(kind))} token "
        f"from (select *, {normalised(kind, 'identifier')} as plain from said where identifier_type = '{name}')"
        for name, (kind, space) in KINDS.items()
    )
    connection.execute(
        f"""
        create table owners as
        with said as (from read_csv('{truth}/people.csv', all_varchar = true)), tokens as ({tokens})
        select token, min(person) as person from tokens group by token having count(distinct person) = 1
        """
    )


@pytest.fixture(scope="module")
def connection(demo: Demo) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse read only, beside it the truth: outcomes, and whose each token is."""
    with duckdb.connect() as connection:
        prepare_connection(connection, key=demo.settings.key_file.read_bytes())
        connection.execute(f"attach '{demo.settings.warehouse_path}' as warehouse (read_only)")
        connection.execute(
            f"""
            create table outcomes as
            select person, outcome, cast("at" as timestamp) as happened_at from '{demo.truth}/outcomes.csv'
            """
        )
        write_owners(connection, demo.truth)
        yield connection


@pytest.fixture(scope="module")
def told(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """With a table of the outcomes that the timeline tells of, by the true person."""
    connection.execute(
        """
        create table told as
        select owners.person, events.occurred_at, events.source,
            case events.event when 'order_placed' then 'order_completed' else events.event end as outcome
        from warehouse.timeline.customer_events as events
        inner join owners on owners.token = coalesce(events.user_id, events.crm_id)
        where events.source in ('segment', 'stripe')
        """
    )
    return connection


@pytest.mark.parametrize(
    "outcome",
    ["signed_up", "trial_cancelled", "checkout_started", "order_completed", "subscription_started", "return_requested"],
)
def test_every_outcome_is_told_once_and_at_its_time(told: duckdb.DuckDBPyConnection, outcome: str) -> None:
    """Whatever clock, repeat or second source told of it; what is late may be on its way at the end."""
    [(true, found, surplus, furthest)] = told.execute(
        """
        with
            wanted as (
                select person, count(*) as times, list(happened_at) as moments
                from outcomes where outcome = $outcome group by person
            ),
            found as (
                select person, count(*) as times
                from told where outcome = $outcome group by person
            ),
            distances as (
                select min(abs(epoch_ms(told.occurred_at) - epoch_ms(outcomes.happened_at))) as distance
                from told left join outcomes on told.person = outcomes.person and told.outcome = outcomes.outcome
                where told.outcome = $outcome group by told.person, told.occurred_at
            )
        select sum(wanted.times), sum(found.times), sum(greatest(found.times - coalesce(wanted.times, 0), 0)),
            (select max(coalesce(distance, 1e12)) from distances)
        from wanted full join found using (person)
        """,
        {"outcome": outcome},
    ).fetchall()
    assert surplus == 0
    assert true - found <= max(3, 0.01 * true)
    # A call is on its way for less than a second; Stripe charges two seconds before the page says so.
    assert furthest < 3_100


def test_cancellations_are_those_asked_for_and_those_of_cards_that_failed(told: duckdb.DuckDBPyConnection) -> None:
    [(true, found)] = told.execute(
        """
        select
            (select count(*) from outcomes where outcome in ('subscription_cancelled', 'subscription_unpaid')),
            (select count(*) from told where outcome = 'subscription_cancelled'
             and occurred_at >= (select min(happened_at) from outcomes))
        """
    ).fetchall()
    assert abs(true - found) <= max(1, 0.02 * true)


def test_money_of_each_month_is_what_was_collected(demo: Demo, connection: duckdb.DuckDBPyConnection) -> None:
    """Orders that the web tells of too count once, by hand from Stripe's charges and invoices as exported."""
    inbox = demo.settings.inbox / "stripe"
    collected = connection.execute(
        f"""
        with
            charges as (
                select distinct id, amount, date_trunc('month', to_timestamp(created)) as month
                from read_json('{inbox}/charges/*.jsonl',
                    columns = {{id: 'varchar', amount: 'bigint', created: 'bigint', status: 'varchar',
                               metadata: 'json'}})
                where status = 'succeeded' and metadata ->> 'order_id' is not null
            ),
            invoices as (
                select id, max(amount_paid) as amount,
                    date_trunc('month', to_timestamp(min(cast(status_transitions ->> 'paid_at' as bigint)))) as month
                from read_json('{inbox}/invoices/*.jsonl',
                    columns = {{id: 'varchar', amount_paid: 'bigint', status: 'varchar', status_transitions: 'json'}})
                where status = 'paid' group by id
            )
        select cast(month as date), sum(amount) / 100
        from (select month, amount from charges union all select month, amount from invoices) group by 1 order by 1
        """
    ).fetchall()
    told = connection.execute(
        """
        select cast(date_trunc('month', occurred_at) as date), cast(sum(revenue) as double)
        from warehouse.timeline.customer_events
        where event in ('order_placed', 'subscription_started', 'invoice_paid') and source in ('segment', 'stripe')
        group by 1 order by 1
        """
    ).fetchall()
    assert len(collected) >= 3
    assert told == collected


def test_checkouts_convert_on_each_version_as_they_truly_did(connection: duckdb.DuckDBPyConnection) -> None:
    """The version that broke is far below all others, as much as it truly was."""
    true = dict(
        connection.execute(
            """
            select exists (
                    select 1 from outcomes as broken where broken.outcome = 'checkout_started_broken'
                    and broken.person = started.person and broken.happened_at = started.happened_at
                ) as is_broken,
                avg(case when exists (
                    select 1 from outcomes as bought
                    where bought.outcome in ('order_completed', 'subscription_started')
                    and bought.person = started.person and bought.happened_at between
                        started.happened_at and started.happened_at + interval 1 day
                ) then 1 else 0 end)
            from outcomes as started where started.outcome = 'checkout_started' group by 1
            """
        ).fetchall()
    )
    found = dict(
        connection.execute(
            """
            select events.os = 'Android' and coalesce(events.app_version = '4.2.0', false)
                and events.occurred_at >= '2026-06-01' and events.occurred_at < '2026-06-22' as is_broken,
                avg(case attempts.status when 'converted' then 1 else 0 end)
            from warehouse.journeys.attempts as attempts
            inner join warehouse.journeys.attempt_spans as spans using (attempt_id)
            inner join warehouse.timeline.customer_events as events on events.event_id = spans.start_event_id
            where attempts.journey = 'checkout' and attempts.status <> 'open' group by 1
            """
        ).fetchall()
    )
    assert found[True] < 0.45 < 0.65 < found[False]
    assert found[True] == pytest.approx(true[True], abs=0.05)
    assert found[False] == pytest.approx(true[False], abs=0.02)


def test_what_one_person_alone_uses_together_is_one_person(connection: duckdb.DuckDBPyConnection) -> None:
    """Neither a telephone that was passed on nor a family tablet tears anybody's own things apart."""
    [(links, torn)] = connection.execute(
        """
        select count(*), count(case when one.person_id <> other.person_id then 1 end)
        from warehouse.identity.links as links
        inner join owners as mine on mine.token = links.identifier_a
        inner join owners as yours on yours.token = links.identifier_b
        inner join warehouse.identity.identifiers as one on one.identifier = links.identifier_a
        inner join warehouse.identity.identifiers as other on other.identifier = links.identifier_b
        where links.link_kind = 'deterministic' and mine.person = yours.person
        """
    ).fetchall()
    assert links > 5_000
    assert torn == 0


Links = list[tuple[str, str]]


def pairs_within(links: Links, owners: dict[str, str]) -> tuple[set[frozenset[str]], int]:
    """Pairs of identifiers that a chain of links connects: those truly one person's, and how many others there are."""
    true: set[frozenset[str]] = set()
    false = 0
    for part in networkx.connected_components(networkx.Graph(links)):
        known = sorted(part & owners.keys())
        for place, one in enumerate(known):
            for other in known[:place]:
                if owners[one] == owners[other]:
                    true.add(frozenset((one, other)))
                else:
                    false += 1
    return true, false


def test_pairs_of_identifiers_that_logged_evidence_connects_are_found_and_hardly_any_others(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Pairwise precision and recall of the deterministic identity. Targets: 0.995 and 0.9.

    Counted are pairs of identifiers each of which is truly one person's alone. A pair is *found* if both are one
    person's now by a chain of deterministic links within that person; precision is the share of found pairs that are
    truly one person's. It is *connected by logged evidence* if it is truly one person's and any chain of links leads
    from one to the other: of whatever kind, through whomever, also those that nobody consented to and orders; recall is
    the share of them that is found. All that is missing is missing for want of consent: over links with consent alone,
    nothing is.
    """
    owners = dict(connection.execute("select token, person from owners").fetchall())
    links = connection.execute(
        """
        select links.identifier_a, links.identifier_b, links.link_kind, one.person_id = other.person_id
        from warehouse.identity.links as links
        left join warehouse.identity.identifiers as one on one.identifier = links.identifier_a
        left join warehouse.identity.identifiers as other on other.identifier = links.identifier_b
        -- Of an account there are many persons: it connects nobody.
        where not starts_with(links.identifier_a, 'account_id:') and not starts_with(links.identifier_b, 'account_id:')
        """
    ).fetchall()
    found, wrong = pairs_within([(a, b) for a, b, kind, is_one in links if kind == "deterministic" and is_one], owners)
    logged, _ = pairs_within([(a, b) for a, b, *_ in links], owners)
    consented, _ = pairs_within([(a, b) for a, b, kind, _ in links if kind == "deterministic"], owners)
    assert len(found) > 5_000
    assert len(logged) > len(consented)
    assert len(found) / (len(found) + wrong) >= 0.995
    assert len(found & logged) / len(logged) >= 0.9
    assert consented - found == set()


def test_nobody_who_shares_a_device_is_one_person_with_another(
    demo: Demo, connection: duckdb.DuckDBPyConnection
) -> None:
    """Family tablets: the truth names each device once for everybody who uses it."""
    [(sharers, merged)] = connection.execute(
        f"""
        with
            devices as (
                select identifier, person from read_csv('{demo.truth}/people.csv', all_varchar = true)
                where identifier_type = 'anonymous_id'
            ),
            sharers as (
                select distinct one.person as person_a, other.person as person_b
                from devices as one inner join devices as other using (identifier) where one.person < other.person
            ),
            persons as (
                select distinct owners.person, identifiers.person_id
                from owners inner join warehouse.identity.identifiers as identifiers
                    on owners.token = identifiers.identifier
            )
        select
            count(distinct (person_a, person_b)),
            count(distinct case when mine.person_id = yours.person_id then (person_a, person_b) end)
        from sharers
        inner join persons as mine on mine.person = person_a
        inner join persons as yours on yours.person = person_b
        """
    ).fetchall()
    assert sharers >= 5
    assert merged == 0


def test_hardly_anybody_is_two_people(connection: duckdb.DuckDBPyConnection) -> None:
    [(persons, merged)] = connection.execute(
        """
        select count(*), count(case when people > 1 then 1 end)
        from (
            select identifiers.person_id, count(distinct owners.person) as people
            from warehouse.identity.identifiers as identifiers
            inner join owners on owners.token = identifiers.identifier
            group by identifiers.person_id
        )
        """
    ).fetchall()
    assert persons > 500
    assert merged <= 0.003 * persons


def test_who_was_a_customer_before_is_not_acquired_again(connection: duckdb.DuckDBPyConnection) -> None:
    """Customers of long ago read on; what remains of the attempts converts as often as visitors truly joined."""
    rows = connection.execute(
        """
        with
            joined as (select distinct person from outcomes where outcome = 'signed_up'),
            persons as (
                select identifiers.person_id, min(owners.person) as person,
                    bool_or(starts_with(owners.token, 'crm_id:stripe')) as is_customer
                from warehouse.identity.identifiers as identifiers
                inner join owners on owners.token = identifiers.identifier
                group by identifiers.person_id
            )
        select attempts.status, persons.is_customer and joined.person is null, count(*)
        from warehouse.journeys.attempts as attempts
        inner join persons on attempts.person_id = persons.person_id
        left join joined on persons.person = joined.person
        where attempts.journey = 'acquisition' group by 1, 2
        """
    ).fetchall()
    attempts = sum(count for _, _, count in rows)
    assert sum(count for _, was_before, count in rows if was_before) <= 0.02 * attempts
    assert sum(count for status, _, count in rows if status == "converted") >= 0.6 * attempts


def test_segments_are_the_types_of_journey(demo: Demo, connection: duckdb.DuckDBPyConnection) -> None:
    """Found from what people do, through all that lies between: exports, merged devices, consent. Target: 0.7."""
    rows = connection.execute(
        f"""
        with
            persons as (
                select identifiers.person_id, min(owners.person) as person
                from warehouse.identity.identifiers as identifiers
                inner join owners on owners.token = identifiers.identifier
                group by identifiers.person_id
            )
        select types.journey_type, history.segment
        from warehouse.predictions.segment_history as history
        inner join persons on history.person_id = persons.person_id
        inner join read_csv('{demo.truth}/types.csv', all_varchar = true) as types on persons.person = types.person
        where history.valid_to is null
        """
    ).fetchall()
    [(stated,)] = connection.execute(f"select count(*) from read_csv('{demo.truth}/types.csv')").fetchall()
    assert len(rows) >= 0.75 * stated
    assert adjusted_rand_score(*zip(*rows, strict=True)) >= 0.7


def test_the_page_that_thanks_a_customer_is_no_habit(connection: duckdb.DuckDBPyConnection) -> None:
    """Only an outcome leads there."""
    [(seen, counted, others)] = connection.execute(
        """
        select
            (
                select count(*) from warehouse.timeline.customer_events
                where url like '%/welcome%' and event = 'page_viewed'
            ),
            (select count(*) from warehouse.features.current_profiles where action = 'welcome'),
            (select count(*) from warehouse.features.current_profiles where block = 'page')
        """
    ).fetchall()
    assert seen > 10
    assert counted == 0
    assert others > 500


def _pairs(
    connection: duckdb.DuckDBPyConnection, truth: Path, *, level: str, table: str, key: str
) -> tuple[int, float, float]:
    """Pairs of people whom a table of a level knows: how many it puts together, the share of them that truly belong
    together, and the share that it puts together of those who truly do.
    """
    return connection.execute(
        f"""
        with
            truth as (
                select distinct person, {level} as level
                from read_csv('{truth}/people.csv', all_varchar = true) where {level} <> ''
            ),
            found as (
                select distinct owners.person, named.{key} as key, truth.level
                from warehouse.identity.{table} as named
                inner join owners on named.identifier = owners.token
                left join truth on owners.person = truth.person
                where named.person_id is not null
            ),
            pairs as (
                select a.person, b.person as other, bool_or(a.key = b.key) as is_found,
                    bool_or(coalesce(a.level = b.level, false)) as is_true
                from found as a inner join found as b on a.person < b.person and (a.key = b.key or a.level = b.level)
                group by a.person, b.person
            )
        select
            count(*) filter (where is_found), avg(is_true::integer) filter (where is_found),
            avg(is_found::integer) filter (where is_true)
        from pairs
        """
    ).fetchall()[0]


def test_households_are_the_true_ones(connection: duckdb.DuckDBPyConnection, demo: Demo) -> None:
    """In spite of letters swapped in names and streets at the till; families of two live next to each other."""
    together, precision, recall = _pairs(
        connection, demo.truth, level="household", table="households", key="household_id"
    )
    assert together > 30
    assert precision >= 0.99
    assert recall >= 0.95


def test_accounts_are_the_true_companies(connection: duckdb.DuckDBPyConnection, demo: Demo) -> None:
    """Told by the CRM, by the workspace of the product or by mailboxes, of which most are free mail."""
    together, precision, recall = _pairs(connection, demo.truth, level="account", table="accounts", key="account_key")
    assert together > 100
    assert precision >= 0.99
    assert recall >= 0.95


def test_kinds_of_leaving_a_checkout_are_the_planted_ones(connection: duckdb.DuckDBPyConnection, demo: Demo) -> None:
    """Price, errors, pause and comparison are told apart; a broken form is an error on a form to whoever looks at it.

    The planted ways differ by orders of magnitude (seconds or minutes, no error or two and more), and an attempt can
    hold a second checkout of the same day: nine pairs in ten must be sorted alike, and all but one attempt in twenty be
    of the kind that most of their kind are.
    """
    with duckdb.connect(str(demo.settings.warehouse_path), read_only=True) as warehouse:
        list(read_walks(warehouse, timezone=demo.settings.timezone))
        left = dict(sort_leavings(warehouse))["checkout"]
    kinds = {left.attempts[place]: kind.name for kind in left.kinds.kinds for place in kind.members}
    connection.register("sorted_attempts", pa.table({"attempt_id": list(kinds), "kind": list(kinds.values())}))
    rows = connection.execute(
        """
        with starts as (
            select
                sorted_attempts.attempt_id, sorted_attempts.kind, owners.person,
                max(events.occurred_at) as started_at
            from sorted_attempts
            inner join warehouse.journeys.attempt_events as touches using (attempt_id)
            inner join warehouse.timeline.customer_events as events using (event_id)
            inner join owners on owners.token = coalesce(events.user_id, events.device_id)
            where events.event = 'checkout_started'
            group by all
        )
        select starts.kind, replace(outcomes.outcome, 'checkout_left:', '') as planted
        from starts
        inner join outcomes
            on starts.person = outcomes.person
            and outcomes.outcome like 'checkout_left:%'
            and abs(epoch(outcomes.happened_at) - epoch(starts.started_at)) < 60
        """
    ).fetchall()
    connection.unregister("sorted_attempts")
    assert len(rows) > 0.9 * len(kinds)
    found = [kind for kind, _ in rows]
    planted = ["form trouble" if told == "broken form" else told for _, told in rows]
    assert adjusted_rand_score(planted, found) > 0.9
    pairs = Counter(zip(found, planted, strict=True))
    assert sum(max(pairs[kind, told] for told in set(planted)) for kind in set(found)) > 0.95 * len(rows)
    of = {kind: max(set(planted), key=lambda told: pairs[kind, told]) for kind in set(found)}
    assert of["Meets errors"] == "form trouble" and of["Long pause"] == "distracted"
