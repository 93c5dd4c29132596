"""How far each person of ``tests/story.py`` has come, and what they allow, worked out by hand."""

import pytest

from tests.story import Told


@pytest.mark.parametrize(
    ("user", "stage", "why"),
    [
        ("ines", "awareness", "read two pages; what became of mails is friction or no doing of hers"),
        ("omar", "consideration", "uses the product and has bought nothing"),
        ("paul", "purchase", "stands in the checkout"),
        ("lena", "purchase", "used features before she subscribed, and none since"),
        ("cara", "purchase", "a pack that came back is no retention"),
        ("vera", "retention", "left and bought again"),
        ("rita", "advocacy", "pays month after month, and sent a referral"),
        ("tess", "advocacy", "her last review is a good one"),
        ("uwe", "retention", "his last answer takes his recommendation back"),
        ("stan", "lost", "cancelled and bought nothing since"),
        ("maud", "unknown", "only the CRM speaks of her"),
    ],
)
def test_lifecycle_stage_is_the_furthest_by_own_events(told: Told, user: str, stage: str, why: str) -> None:
    assert told.one("select lifecycle_stage from published.customers where person_id = ?", told.person(user)) == (
        stage,
    ), why


def test_anonymous_visitor_is_a_customer_row_and_a_robot_is_none(told: Told) -> None:
    person, _ = told.event("entry direct", "person_id, event_id")
    assert told.one("select identity_tier, lifecycle_stage from published.customers where person_id = ?", person) == (
        "anonymous",
        "awareness",
    )
    robot, _ = told.event("visitor 0", "person_id, event_id")
    assert told.rows("select * from published.customers where person_id = ?", robot) == []


def test_customer_is_seen_from_the_first_own_event_to_the_last(told: Told) -> None:
    # Finn's device was on the website an hour before he signed up.
    assert told.one(
        "select first_seen_at::varchar, last_seen_at::varchar, identity_tier, first_bought_at, lost_at "
        "from published.customers where person_id = ?",
        told.person("finn"),
    ) == ("2026-03-04 09:00:00", "2026-03-04 11:00:00", "exact", None, None)
    # Stan's subscription began on 1 March and he cancelled on the 9th.
    assert told.one(
        "select first_bought_at::varchar, lost_at::varchar from published.customers where person_id = ?",
        told.person("stan"),
    ) == ("2026-03-01 10:00:00", "2026-03-09 10:00:00")


def test_consent_is_the_last_answer_else_what_the_sources_grant(told: Told) -> None:
    flags = "has_analytics_consent, has_marketing_consent, has_personalisation_consent"
    asked = f"select {flags} from published.customers where person_id = ?"
    assert told.one(asked, told.person("ines")) == (True, False, True)
    assert told.one(asked, told.person("jon")) == (True, True, False)
    assert told.one(asked, told.person("omar")) == (True, False, False)


def test_who_withdrew_consent_to_analytics_is_no_customer_row(told: Told) -> None:
    (hugo,) = told.one(
        "select person_id from identity.identifiers where identifier = "
        "(select owner_identifier from timeline.event_keys where event_key = 'hugo-allows')"
    )
    assert told.rows("select * from published.customers where person_id = ?", hugo) == []


def test_every_owner_of_an_event_is_a_customer_once(told: Told) -> None:
    assert told.one("select count(*), count(distinct person_id) = count(*) from published.customers") == told.one(
        "select count(distinct person_id), true from timeline.customer_events "
        "where traffic_class in ('human', 'unknown')"
    )
