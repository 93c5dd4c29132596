{# What an attempt took of the customer, one row per attempt. #}
with
    attempts as (select * from {{ ref("attempts") }}),

    {# Steps of one touchpoint in a row are one visit to it, whatever stage each stands at. #}
    visits as (
        select
            attempt_id,
            count(*) as step_count,
            count(case when is_visit then 1 end) - count(distinct touchpoint) as repeat_count
        from {{ ref("steps") }}
        group by attempt_id
    ),

    touches as (
        select
            attempt_id,
            count(*) as touch_count,
            count(
                case when event in ({{ "'" ~ help_events() | join("', '") ~ "'" }}) then 1 end
            ) as contact_count,
            count(case when kind = 'friction' then 1 end) as friction_count,
            count(case when is_stage_back then 1 end) as backtrack_count,
            {{ seconds_between("min(occurred_at)", "max(occurred_at)") }} as touched_seconds
        from {{ ref("attempt_events") }}
        group by attempt_id
    ),

    final as (
        select
            attempts.attempt_id,
            attempts.journey,
            attempts.week_start_date,
            attempts.status,
            coalesce(visits.step_count, 0) as step_count,
            coalesce(visits.repeat_count, 0) as repeat_count,
            coalesce(touches.contact_count, 0) as contact_count,
            coalesce(touches.friction_count, 0) as friction_count,
            coalesce(touches.backtrack_count, 0) as backtrack_count,
            touches.touched_seconds / 3600 / nullif(touches.touch_count - 1, 0) as hours_between_touches
        from attempts
        left join visits on attempts.attempt_id = visits.attempt_id
        left join touches on attempts.attempt_id = touches.attempt_id
    )

select *
from final
