{#
    The age up to which a week is measured: its window, or as far as an attempt from the middle of the week has
    come. Half of the attempts at least are then watched all the way, and the weeks before are compared at the
    same age. A week younger than a day is not measured yet.
#}
with
    attempts as (select * from {{ ref("attempts") }}),

    journeys as (select * from {{ ref("journeys") }}),

    weeks as (select distinct journey, week_start_date from attempts),

    aged as (
        select
            weeks.journey,
            weeks.week_start_date,
            least(
                journeys.window_days * 86400.0,
                {{ seconds_between(day_start_utc("weeks.week_start_date"), "watched.watched_until_at") }}
                - 3.5 * 86400.0
            ) as horizon_seconds
        from weeks
        inner join journeys on weeks.journey = journeys.journey
        inner join {{ ref("watched_journeys") }} as watched on weeks.journey = watched.journey
    ),

    final as (
        select
            journey,
            week_start_date,
            case when horizon_seconds >= 86400 then horizon_seconds end as horizon_seconds
        from aged
    )

select *
from final
