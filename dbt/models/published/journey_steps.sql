with
    steps as (select * from {{ ref("steps") }}),

    stages as (select journey, stage_order, stage from {{ ref("journey_stages") }}),

    final as (
        select
            steps.attempt_id,
            steps.journey,
            steps.step_number,
            steps.stage_order,
            stages.stage,
            steps.touchpoint,
            steps.entered_at,
            steps.left_at,
            steps.touch_count,
            steps.is_friction,
            steps.step_kind,
            round(steps.waited_hours, 4) as waited_hours,
            steps.friction_signals
        from steps
        left join stages on steps.journey = stages.journey and steps.stage_order = stages.stage_order
    )

select *
from final
