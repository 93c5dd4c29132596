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
            steps.is_friction
        from steps
        left join stages on steps.journey = stages.journey and steps.stage_order = stages.stage_order
    )

select *
from final
