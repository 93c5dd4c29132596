"""The rules of the timeline, each on the one person of the story who is there for it."""

import pytest

from tests.story import ENTRIES, VISITORS, Told


def sessions_of(told: Told, device_page: str) -> list[int]:
    """Events per session, in order of time, on the device of an event."""
    return [
        count
        for (count,) in told.rows(
            """
            select event_count from timeline.sessions
            where device_id = (select device_id from timeline.event_keys where event_key = ?)
            order by started_at
            """,
            device_page,
        )
    ]


def test_gap_of_thirty_minutes_opens_a_session_and_less_does_not(told: Told) -> None:
    assert sessions_of(told, "m0001") == [2, 1]


def test_chat_is_of_the_device_but_no_web_visit(told: Told) -> None:
    # Were it one, its events at 10:40 and 10:50 would join the visits above into one of five events.
    channel, session, person = told.event("chat-gap|started", "channel, session_id, person_id")
    assert (channel, session) == ("chat", None)
    assert (person,) == told.event("m0001", "person_id")


def test_late_event_joins_the_sessions_it_lies_between(told: Told) -> None:
    assert sessions_of(told, "m0004") == [3]


def test_session_is_cut_after_twenty_four_hours(told: Told) -> None:
    # A page every 20 minutes for 30 hours: minutes 0 to 1,420 are 72 pages, 1,440 to 1,800 are 19.
    assert sessions_of(told, "m0007") == [72, 19]


def test_shared_device_lends_its_activity_to_whoever_was_last_known_on_it(told: Told) -> None:
    assert told.event("tablet-nobody", "person_id, identity_tier") == (None, None)
    assert told.event("tablet-dora", "person_id, identity_tier") == (told.person("dora"), "probable")
    assert told.event("tablet-emil", "person_id, identity_tier") == (told.person("emil"), "probable")
    assert told.person("dora") != told.person("emil")


def test_anonymous_browsing_belongs_to_who_signs_up_later(told: Told) -> None:
    assert told.event("finn-before", "person_id, identity_tier") == (told.person("finn"), "strong")
    assert told.event("finn-signs", "person_id, identity_tier") == (told.person("finn"), "exact")


def test_clock_that_is_ahead_is_put_right(told: Told) -> None:
    assert told.event("finn-ahead", "occurred_at::varchar") == ("2026-03-04 11:00:00",)


def test_event_without_consent_at_its_time_has_no_owner_and_no_session(told: Told) -> None:
    assert told.event("gita-refuses", "person_id, session_id, has_analytics_consent") == (None, None, False)
    person, session, consented = told.event("gita-allows", "person_id, session_id, has_analytics_consent")
    assert person and session and consented


def test_consent_withdrawn_by_the_run_takes_earlier_events_too(told: Told) -> None:
    assert told.event("hugo-allows", "person_id, has_analytics_consent") == (None, False)
    assert told.event("hugo-withdraws", "person_id, has_analytics_consent") == (None, False)


def test_consent_is_per_purpose_and_the_contract_says_the_default(told: Told) -> None:
    flags = "has_analytics_consent, has_marketing_consent, has_personalisation_consent"
    assert told.event("iris", flags) == (True, False, False)
    assert told.event("hugo-allows", flags) == (False, False, False)
    assert told.event("hugo-withdraws", flags) == (False, True, False)


FLAGS = "has_analytics_consent, has_marketing_consent, has_personalisation_consent"


def test_unsubscribing_takes_marketing_away_and_nothing_else(told: Told) -> None:
    """From the mailing service or the CRM, for what was before too; a banner that repeats itself gives it not back."""
    for message in ("ines-before", "ines-after", "lars-before", "lars-after"):
        assert told.event(message, FLAGS) == (True, False, True), message
        person, session = told.event(message, "person_id, session_id")
        assert person and session


def test_consent_given_again_counts_save_for_what_was_between(told: Told) -> None:
    assert told.event("jon-before", FLAGS) == (True, True, False)
    assert told.event("jon-between", FLAGS) == (True, False, False)
    assert told.event("jon-after", FLAGS) == (True, True, False)


def test_consent_of_every_source_is_in_the_history(told: Told) -> None:
    """Jon's answers by banner and mail are one line of periods; 12 March is his last word."""
    assert told.rows(
        "select valid_from::varchar, valid_to::varchar, is_granted, is_granted_now from timeline.consent_periods "
        "where purpose = 'marketing' and consent_subject = ? order by valid_from",
        told.person("jon"),
    ) == [
        ("2026-03-07 10:00:00", "2026-03-08 10:00:00", True, True),
        ("2026-03-08 10:00:00", "2026-03-12 10:00:00", False, True),
        ("2026-03-12 10:00:00", "9999-12-31 00:00:00", True, True),
    ]


def test_published_timeline_tells_what_each_event_may_serve(told: Told) -> None:
    assert told.one(
        f"select {FLAGS}, lifecycle_stage from published.customer_timeline "
        "where event_id = (select event_id from timeline.event_keys where event_key = 'ines-after')"
    ) == (True, False, True, "awareness")


def test_same_key_again_is_one_event_and_the_first_available_wins(told: Told) -> None:
    assert told.event("twice", "event, received_at::varchar") == ("feature_used", "2026-03-06 10:00:01")
    assert told.rows(
        "select place, reason, row_count from ops.dropped_rows where source_table = 'tracks' and place = 'timeline'"
    ) == [("timeline", "same event delivered again", 1)]
    # The word-for-word copy went no further than landing.
    assert told.rows("select sum(duplicates) from ops.landed_files") == [(1,)]


def test_conversion_that_two_systems_report_is_one_event(told: Told) -> None:
    person = told.person("kim")
    assert told.rows(
        "select source, revenue::varchar, currency from timeline.customer_events "
        "where event = 'subscription_started' and person_id = ?",
        person,
    ) == [("segment", "49.00", "USD")]
    assert told.rows(
        "select source, source_table, row_count from ops.dropped_rows "
        "where reason = 'same order reported by another event'"
    ) == [("stripe", "invoices", 1)]


@pytest.mark.parametrize("entry", ENTRIES)
def test_channel_of_a_session_is_that_of_its_entry(told: Told, entry: str) -> None:
    channel = entry.split(" by click id")[0].split(" from own")[0].split(" after paying")[0]
    assert told.event(f"entry {entry}", "channel") == (channel,)
    assert told.event(f"entry {entry} goes on", "channel") == (channel,)


def test_event_outside_a_session_has_the_channel_of_its_own_campaign(told: Told) -> None:
    assert told.event("server with campaign", "channel, session_id") == ("email", None)
    assert told.event("server without", "channel, session_id") == ("other", None)


@pytest.mark.parametrize(("number", "expected"), list(enumerate(VISITORS.values())))
def test_traffic_is_classified_by_user_agent_and_kept(told: Told, number: int, expected: str) -> None:
    assert told.event(f"visitor {number}", "traffic_class") == (expected,)


def test_own_test_site_is_internal(told: Told) -> None:
    assert told.event("visitor staging", "traffic_class") == ("internal",)


def test_one_event_a_second_for_a_minute_is_a_machine(told: Told) -> None:
    traffic, reason = told.event("fast 30", "traffic_class, traffic_reason")
    assert traffic == "bot"
    assert reason == "one event a second or more, for sixty events"


def test_every_staged_event_is_in_the_timeline_or_counted(told: Told) -> None:
    ((staged,),) = told.rows("select count(*) from staging.events")
    ((kept,),) = told.rows("select count(*) from timeline.customer_events")
    assert staged - kept == 2  # Jana's second delivery and Kim's invoice.
