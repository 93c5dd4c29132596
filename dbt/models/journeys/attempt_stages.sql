{#
    A stage counts as reached when it or any later one was; its own time is known only if it was passed itself. An
    attempt enters a stage when it first stands there or further on, and leaves it when it stands further on: it stays
    no time in a stage that it skips. An open attempt has stayed for as long as it was watched.
#}
with
    attempts as (select * from {{ ref("attempts") }}),

    stages as (select journey, stage_order, stage from {{ ref("journey_stages") }}),

    {# By the furthest stage at each touch. #}
    stood as (
        select attempt_id, stage_order, min(occurred_at) as first_stood_at, avg(rating) as satisfaction_rate
        from {{ ref("attempt_events") }}
        group by attempt_id, stage_order
    ),

    passed as (
        select attempt_id, event_stage as stage_order, min(occurred_at) as reached_at
        from {{ ref("attempt_events") }}
        where event_stage is not null
        group by attempt_id, event_stage
    ),

    reached as (
        select
            attempts.attempt_id,
            attempts.journey,
            attempts.week_start_date,
            attempts.first_channel,
            attempts.status,
            coalesce(attempts.ended_at, attempts.watched_until_at) as watched_until_at,
            stages.stage_order,
            stages.stage,
            passed.reached_at,
            attempts.last_stage_order > stages.stage_order as has_advanced,
            attempts.last_stage_order = stages.stage_order and attempts.status = 'lost' as is_lost_here,
            attempts.last_stage_order = stages.stage_order and attempts.status = 'open' as is_open_here,
            attempts.last_stage_order = stages.stage_order
            and attempts.status = 'converted' as is_converted_here,
            stood.first_stood_at is null and stages.stage_order > 1 as is_skipped,
            coalesce(
                stood.first_stood_at, case when stages.stage_order = 1 then attempts.started_at end
            ) as first_stood_at,
            stood.satisfaction_rate
        from attempts
        inner join
            stages on attempts.journey = stages.journey and stages.stage_order <= attempts.last_stage_order
        left join
            passed on attempts.attempt_id = passed.attempt_id and stages.stage_order = passed.stage_order
        left join stood on attempts.attempt_id = stood.attempt_id and stages.stage_order = stood.stage_order
    ),

    placed as (
        select
            {{ all_but(["first_stood_at"]) }},
            {{ previous_known("reached_at") }} over by_stage as previous_reached_at,
            min(first_stood_at) over (
                by_stage rows between current row and unbounded following
            ) as entered_at,
            min(first_stood_at) over (by_stage rows between 1 following and unbounded following) as left_at
        from reached
        window by_stage as (partition by attempt_id order by stage_order)
    ),

    final as (
        select
            {{ all_but(["watched_until_at", "previous_reached_at"]) }},
            {{ seconds_between("previous_reached_at", "reached_at") }} / 3600 as hours_from_previous,
            case
                when has_advanced or is_converted_here
                then 'advanced'
                when is_lost_here
                then 'lost'
                else 'open'
            end as way_out,
            case
                when is_converted_here
                then 0.0
                else greatest({{ seconds_between("entered_at", "coalesce(left_at, watched_until_at)") }}, 0.0)
            end as stayed_seconds
        from placed
    )

select *
from final
