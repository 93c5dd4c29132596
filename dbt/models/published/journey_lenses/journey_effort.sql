with
    efforts as (
        select efforts.*, segments.assigned_segment
        from {{ ref("attempt_effort") }} as efforts
        inner join {{ ref("attempt_segments") }} as segments on efforts.attempt_id = segments.attempt_id
    ),

    by_status as (
        select {{ all_but(["status"]) }}, status
        from efforts
        union all
        select {{ all_but(["status"]) }}, 'all' as status
        from efforts
    ),

    {# Whole numbers add up to the same in whatever order they come. #}
    counted as (
        select
            journey,
            {{ slice_columns() }},
            status,
            count(*) as attempt_count,
            cast(sum(step_count) as double) as steps,
            cast(sum(step_count * step_count) as double) as squared_steps,
            cast(sum(contact_count) as double) as contacts,
            cast(sum(repeat_count) as double) as repeats,
            cast(sum(backtrack_count) as double) as backtracks,
            cast(sum(friction_count) as double) as frictions,
            median(hours_between_touches) as median_hours_between_touches
        from by_status
        group by {{ slice_sets(["journey", "status"]) }}
    ),

    spread as (
        select
            *,
            steps / attempt_count as mean_steps,
            {{ z95() }} * sqrt(
                greatest(squared_steps - steps * steps / attempt_count, 0)
                / nullif(attempt_count - 1, 0)
                / attempt_count
            ) as half_width
        from counted
    ),

    final as (
        select
            journey,
            week,
            week_start_date,
            segment,
            status,
            attempt_count,
            round(mean_steps, 4) as mean_steps,
            case
                when half_width is not null then round(greatest(mean_steps - half_width, 0), 4)
            end as steps_low,
            round(mean_steps + half_width, 4) as steps_high,
            round(contacts / attempt_count, 4) as mean_contacts,
            round(repeats / attempt_count, 4) as mean_repeats,
            round(backtracks / attempt_count, 4) as mean_backtracks,
            round(frictions / attempt_count, 4) as mean_friction,
            round(median_hours_between_touches, 4) as median_hours_between_touches
        from spread
    )

select *
from final
