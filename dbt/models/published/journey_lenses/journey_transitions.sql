{#
    From where to where attempts go, at four levels. A move leads from one place of an attempt to the next that differs,
    from `(start)` to the first, and from the last to how the attempt stands: `(converted)`, `(lost)` or `(open)`.
#}
{% set levels = ["stage", "touchpoint", "channel", "map"] %}

with
    attempts as (
        select
            attempts.attempt_id,
            attempts.journey,
            attempts.week_start_date,
            attempts.status,
            attempts.ended_at,
            segments.assigned_segment
        from {{ ref("attempts") }} as attempts
        inner join {{ ref("attempt_segments") }} as segments on attempts.attempt_id = segments.attempt_id
    ),

    steps as (select * from {{ ref("steps") }}),

    {# Each level's places, none of which follows one like itself. #}
    stage_places as (
        select attempt_id, stage_order, stage as step, entered_at, stage_order as position
        from {{ ref("attempt_stages") }}
        where not is_skipped
    ),

    map_places as (
        select attempt_id, stage_order, touchpoint as step, entered_at, step_number as position from steps
    ),

    touchpoint_places as (
        select
            attempt_id,
            cast(null as integer) as stage_order,
            touchpoint as step,
            entered_at,
            step_number as position
        from steps
        where is_visit
    ),

    channel_places as (
        select
            attempt_id,
            cast(null as integer) as stage_order,
            channel as step,
            occurred_at as entered_at,
            event_id as position
        from {{ ref("attempt_events") }}
        where is_new_channel
    ),

    {% for level in levels %}
        {{ level }}_linked as (
            select
                *,
                row_number() over in_order = 1 as is_first,
                lead(step) over in_order as next_step,
                lead(stage_order) over in_order as next_stage_order,
                lead(entered_at) over in_order as next_entered_at
            from {{ level }}_places
            window
                in_order as (
                    partition by attempt_id order by {{ "entered_at, " if level == "channel" }} position
                )
        ),

        {{ level }}_moves as (
            select
                attempts.journey,
                attempts.week_start_date,
                attempts.assigned_segment,
                linked.stage_order as from_stage_order,
                linked.step as from_step,
                linked.next_stage_order as to_stage_order,
                coalesce(linked.next_step, '(' || attempts.status || ')') as to_step,
                {{
                    seconds_between(
                        "linked.entered_at", "coalesce(linked.next_entered_at, attempts.ended_at)"
                    )
                }} as seconds
            from {{ level }}_linked as linked
            inner join attempts on linked.attempt_id = attempts.attempt_id
            union all
            select
                attempts.journey,
                attempts.week_start_date,
                attempts.assigned_segment,
                null,
                '(start)',
                linked.stage_order,
                linked.step,
                null
            from {{ level }}_linked as linked
            inner join attempts on linked.attempt_id = attempts.attempt_id
            where linked.is_first
        ),

        {{ level }}_counted as (
            select
                journey,
                '{{ level }}' as level,
                {{ slice_columns(by_segment=level in ("stage", "map")) }},
                from_stage_order,
                from_step,
                to_stage_order,
                to_step,
                count(*) as transition_count,
                median(case when seconds < 0 then 0 else seconds end) as median_seconds
            from {{ level }}_moves
            group by
                {{
                    slice_sets(
                        ["journey", "from_stage_order", "from_step", "to_stage_order", "to_step"],
                        by_segment=level in ("stage", "map"),
                    )
                }}
        ),
    {% endfor %}

    counted as (
        {% for level in levels %}
            select *
            from {{ level }}_counted
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    final as (
        select
            journey,
            level,
            week,
            week_start_date,
            segment,
            coalesce(cast(from_stage_order as varchar) || ' ', '') || from_step as from_place,
            from_stage_order,
            from_step,
            coalesce(cast(to_stage_order as varchar) || ' ', '') || to_step as to_place,
            to_stage_order,
            to_step,
            transition_count,
            round(
                transition_count / sum(transition_count) over (
                    partition by journey, level, week, segment, from_stage_order, from_step
                ),
                6
            ) as transition_rate,
            round(median_seconds / 3600, 4) as median_hours
        from counted
    )

select *
from final
