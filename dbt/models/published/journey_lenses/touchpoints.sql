with
    touchpoints as (select * from {{ ref("attempt_touchpoints") }}),

    attempts as (select attempt_id, journey, week_start_date, status from {{ ref("attempts") }}),

    {# One row per attempt, touchpoint and channel, whatever the stages. #}
    by_channel as (
        select
            attempt_id,
            touchpoint,
            channel,
            sum(touch_count) as touch_count,
            sum(friction_count) as friction_count,
            bool_or(is_last) as is_last,
            sum(message_count) as message_count,
            sum(mood_sum) as mood_sum
        from touchpoints
        group by attempt_id, touchpoint, channel
    ),

    {# And one per attempt and touchpoint: an attempt may come to it by several channels. #}
    by_attempt as (
        select *
        from by_channel
        union all
        select
            attempt_id,
            touchpoint,
            'all',
            sum(touch_count),
            sum(friction_count),
            bool_or(is_last),
            sum(message_count),
            sum(mood_sum)
        from by_channel
        group by attempt_id, touchpoint
    ),

    {% set counts = [
        "touch_count",
        "attempt_count",
        "closed_count",
        "left_count",
        "friction_count",
        "message_count",
        "mood_sum",
    ] %}

    weekly as (
        select
            attempts.journey,
            attempts.week_start_date,
            cast(null as varchar) as assigned_segment,
            by_attempt.touchpoint,
            by_attempt.channel,
            sum(by_attempt.touch_count) as touch_count,
            count(*) as attempt_count,
            count(case when attempts.status <> 'open' then 1 end) as closed_count,
            count(case when attempts.status = 'lost' and by_attempt.is_last then 1 end) as left_count,
            count(case when by_attempt.friction_count > 0 then 1 end) as friction_count,
            sum(by_attempt.message_count) as message_count,
            sum(by_attempt.mood_sum) as mood_sum
        from by_attempt
        inner join attempts on by_attempt.attempt_id = attempts.attempt_id
        group by attempts.journey, attempts.week_start_date, by_attempt.touchpoint, by_attempt.channel
    ),

    sliced as ({{ with_week_margins("weekly", ["journey", "touchpoint", "channel"] + counts) }}),

    summed as (
        select
            journey,
            week,
            week_start_date,
            touchpoint,
            channel,
            {% for count in counts %}
                cast(
                    sum({{ count }}) as {{ "double" if count.endswith("_sum") else "bigint" }}
                ) as {{ count }}
                {{- "," if not loop.last }}
            {% endfor %}
        from sliced
        group by journey, week, week_start_date, touchpoint, channel
    ),

    final as (
        select
            journey,
            week,
            week_start_date,
            touchpoint,
            channel,
            touch_count,
            attempt_count,
            round(friction_count / nullif(attempt_count, 0), 6) as friction_rate,
            left_count,
            round(left_count / nullif(closed_count, 0), 6) as drop_off_after_rate,
            round({{ wilson_low("left_count", "closed_count") }}, 6) as drop_off_after_low,
            round({{ wilson_high("left_count", "closed_count") }}, 6) as drop_off_after_high,
            message_count,
            round(mood_sum / nullif(message_count, 0) * 100, 4) as sentiment_score
        from summed
    )

select *
from final
