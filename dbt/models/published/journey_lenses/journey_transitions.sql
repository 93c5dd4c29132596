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

    {# Each level's places with the one before, none of which follows one like itself. #}
    stage_places as (
        select
            attempt_id,
            stage_order,
            stage as step,
            entered_at,
            lag(stage_order) over in_order as previous_stage_order,
            lag(stage) over in_order as previous_step,
            lag(entered_at) over in_order as previous_entered_at,
            lead(stage) over in_order is null as is_last
        from {{ ref("attempt_stages") }}
        where not is_skipped
        window in_order as (partition by attempt_id order by stage_order)
    ),

    map_places as (
        select
            attempt_id,
            stage_order,
            touchpoint as step,
            entered_at,
            previous_stage_order,
            previous_touchpoint as previous_step,
            previous_entered_at,
            is_last
        from steps
    ),

    {# The last step may go on with the visit before. #}
    touchpoint_places as (
        select
            attempt_id,
            cast(null as integer) as stage_order,
            touchpoint as step,
            case when is_visit then entered_at else previous_visited_at end as entered_at,
            cast(null as integer) as previous_stage_order,
            previous_touchpoint as previous_step,
            previous_visited_at as previous_entered_at,
            is_last,
            is_visit
        from steps
        where is_visit or is_last
    ),

    channel_places as (
        select
            attempt_id,
            cast(null as integer) as stage_order,
            channel as step,
            occurred_at as entered_at,
            cast(null as integer) as previous_stage_order,
            lag(channel) over in_order as previous_step,
            lag(occurred_at) over in_order as previous_entered_at,
            lead(channel) over in_order is null as is_last
        from {{ ref("attempt_events") }}
        where is_new_channel
        window in_order as (partition by attempt_id order by occurred_at, event_id)
    ),

    ends as (
        select false as is_end
        union all
        select true
    ),

    {% for level in levels %}
        {# Each place is where a move leads to; the last one also where the last move comes from. #}
        {{ level }}_moves as (
            select
                attempts.journey,
                attempts.week_start_date,
                attempts.assigned_segment,
                case
                    when ends.is_end then places.stage_order else places.previous_stage_order
                end as from_stage_order,
                case
                    when ends.is_end then places.step else coalesce(places.previous_step, '(start)')
                end as from_step,
                case when not ends.is_end then places.stage_order end as to_stage_order,
                case when ends.is_end then '(' || attempts.status || ')' else places.step end as to_step,
                {{
                    seconds_between(
                        "case when ends.is_end then places.entered_at else places.previous_entered_at end",
                        "case when ends.is_end then attempts.ended_at else places.entered_at end",
                    )
                }} as seconds
            from {{ level }}_places as places
            inner join attempts on places.attempt_id = attempts.attempt_id
            cross join ends
            where
                {% if level == "touchpoint" %} (ends.is_end or places.is_visit) and {% endif %}
                (places.is_last or not ends.is_end)
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
