{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{# Touches of one touchpoint in a row, at one stage, are one step. #}
with
    touches as (select * from {{ ref("attempt_events") }} where {{ in_affected_component() }}),

    compared as (
        select
            *,
            lag(touchpoint) over in_order as previous_touchpoint,
            lag(stage_order) over in_order as previous_stage_order
        from touches
        window in_order as (partition by attempt_id order by occurred_at, event_id)
    ),

    numbered as (
        select
            *,
            sum(
                case
                    when previous_touchpoint = touchpoint and previous_stage_order = stage_order then 0 else 1
                end
            ) over (partition by attempt_id order by occurred_at, event_id rows unbounded preceding)
            as step_number
        from compared
    ),

    steps as (
        select
            component_id,
            attempt_id,
            journey,
            step_number,
            stage_order,
            touchpoint,
            min(occurred_at) as entered_at,
            max(occurred_at) as last_touched_at,
            count(*) as touch_count,
            bool_or(kind = 'friction') as is_friction
        from numbered
        group by component_id, attempt_id, journey, step_number, stage_order, touchpoint
    ),

    final as (
        select
            {{ all_but(["last_touched_at"]) }},
            coalesce(
                lead(entered_at) over (partition by attempt_id order by step_number), last_touched_at
            ) as left_at
        from steps
    )

select *
from final
