{{ config(materialized="view") }}

{# What health is made of, one row per attempt. #}
with
    attempts as (select * from {{ ref("attempts") }}),

    touches as (select * from {{ ref("attempt_events") }}),

    signals as (select * from {{ source("timeline", "message_signals") }}),

    {# Ratings speak first; the mood of messages only where nobody rated. Both lie between 0 and 1. #}
    of_touches as (
        select
            touches.attempt_id,
            avg(touches.rating) as rating,
            avg((signals.compound + 1) / 2) as mood,
            count(
                case when touches.occurred_at < {{ plus_days("attempts.started_at", 1) }} then 1 end
            ) as first_day_touch_count
        from touches
        inner join attempts on touches.attempt_id = attempts.attempt_id
        left join signals on touches.text_id = signals.text_id
        group by touches.attempt_id
    ),

    final as (
        select
            attempts.attempt_id,
            attempts.journey,
            attempts.week_start_date,
            attempts.first_channel,
            attempts.status,
            {{
                seconds_between(
                    "attempts.started_at",
                    "coalesce(attempts.ended_at, attempts.watched_until_at)",
                )
            }} as duration_seconds,
            coalesce(of_touches.rating, of_touches.mood) as satisfaction_rate,
            case
                when {{ plus_days("attempts.started_at", 1) }} <= attempts.watched_until_at
                then coalesce(of_touches.first_day_touch_count, 0)
            end as first_day_touch_count
        from attempts
        left join of_touches on attempts.attempt_id = of_touches.attempt_id
    )

select *
from final
