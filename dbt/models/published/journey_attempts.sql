with
    attempts as (select * from {{ ref("attempts") }}),

    stages as (select journey, stage_order, stage from {{ ref("journey_stages") }}),

    final as (
        select
            attempts.attempt_id,
            attempts.person_id,
            attempts.journey,
            attempts.started_at,
            attempts.ended_at,
            attempts.week_start_date,
            attempts.status,
            stages.stage as last_stage,
            attempts.first_channel,
            attempts.touch_count,
            cast(attempts.value_amount as decimal(18, 2)) as value_amount,
            attempts.value_currency
        from attempts
        left join
            stages on attempts.journey = stages.journey and attempts.last_stage_order = stages.stage_order
    )

select *
from final
