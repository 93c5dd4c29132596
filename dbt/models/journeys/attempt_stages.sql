{{ config(materialized="view") }}

{# A stage counts as reached when it or any later one was; its own time is known only if it was passed itself. #}
with
    attempts as (select * from {{ ref("attempts") }}),

    stages as (select journey, stage_order, stage from {{ ref("journey_stages") }}),

    passed as (
        select attempt_id, event_stage as stage_order, min(occurred_at) as reached_at
        from {{ ref("attempt_events") }}
        where event_stage is not null
        group by attempt_id, event_stage
    ),

    satisfaction as (
        select attempt_id, stage_order, avg(rating) as satisfaction_rate
        from {{ ref("attempt_events") }}
        where rating is not null
        group by attempt_id, stage_order
    ),

    final as (
        select
            attempts.attempt_id,
            attempts.journey,
            attempts.week_start_date,
            attempts.first_channel,
            attempts.status,
            stages.stage_order,
            stages.stage,
            passed.reached_at,
            attempts.last_stage_order > stages.stage_order as has_advanced,
            attempts.last_stage_order = stages.stage_order and attempts.status = 'lost' as is_lost_here,
            attempts.last_stage_order = stages.stage_order and attempts.status = 'open' as is_open_here,
            attempts.last_stage_order = stages.stage_order
            and attempts.status = 'converted' as is_converted_here,
            satisfaction.satisfaction_rate
        from attempts
        inner join
            stages on attempts.journey = stages.journey and stages.stage_order <= attempts.last_stage_order
        left join
            passed on attempts.attempt_id = passed.attempt_id and stages.stage_order = passed.stage_order
        left join
            satisfaction
            on attempts.attempt_id = satisfaction.attempt_id
            and stages.stage_order = satisfaction.stage_order
    )

select *
from final
