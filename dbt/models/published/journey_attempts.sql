with
    attempts as (select * from {{ ref("attempts") }}),

    stages as (select journey, stage_order, stage from {{ ref("journey_stages") }}),

    context as (select * from {{ ref("attempt_context") }}),

    final as (
        select
            attempts.attempt_id,
            attempts.person_id,
            attempts.journey,
            attempts.started_at,
            attempts.ended_at,
            attempts.deadline_at,
            attempts.week_start_date,
            attempts.status,
            stages.stage as last_stage,
            attempts.first_channel,
            context.os,
            context.app_version,
            context.device_type,
            context.browser,
            context.country,
            context.campaign,
            attempts.touch_count,
            cast(attempts.value_amount as decimal(18, 2)) as value_amount,
            attempts.value_currency,
            attempts.deadline_at <= attempts.watched_until_at as is_window_over
        from attempts
        left join context on attempts.attempt_id = context.attempt_id
        left join
            stages on attempts.journey = stages.journey and attempts.last_stage_order = stages.stage_order
    )

select *
from final
