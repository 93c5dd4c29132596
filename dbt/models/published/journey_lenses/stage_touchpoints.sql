with
    touchpoints as (select * from {{ ref("attempt_touchpoints") }}),

    attempts as (select attempt_id, journey, week_start_date, status from {{ ref("attempts") }}),

    stages as (select journey, stage_order, stage from {{ ref("journey_stages") }}),

    segments as (select attempt_id, assigned_segment from {{ ref("attempt_segments") }}),

    {# One row per attempt, stage and touchpoint, whatever the channels. #}
    by_attempt as (
        select
            attempt_id,
            stage_order,
            touchpoint,
            sum(touch_count) as touch_count,
            sum(friction_count) as friction_count,
            bool_or(is_last) as is_last,
            sum(rating_count) as rating_count,
            sum(rating_sum) as rating_sum,
            sum(message_count) as message_count,
            sum(mood_sum) as mood_sum,
            bool_or(is_asked_after) as is_asked_after
        from touchpoints
        group by attempt_id, stage_order, touchpoint
    ),

    {% set counts = [
        "touch_count",
        "attempt_count",
        "converted_count",
        "lost_count",
        "left_count",
        "friction_count",
        "rating_count",
        "rating_sum",
        "message_count",
        "mood_sum",
        "watched_count",
        "asked_count",
    ] %}

    weekly as (
        select
            attempts.journey,
            attempts.week_start_date,
            segments.assigned_segment,
            by_attempt.stage_order,
            by_attempt.touchpoint,
            sum(by_attempt.touch_count) as touch_count,
            count(*) as attempt_count,
            count(case when attempts.status = 'converted' then 1 end) as converted_count,
            count(case when attempts.status = 'lost' then 1 end) as lost_count,
            count(case when attempts.status = 'lost' and by_attempt.is_last then 1 end) as left_count,
            count(case when by_attempt.friction_count > 0 then 1 end) as friction_count,
            sum(by_attempt.rating_count) as rating_count,
            sum(by_attempt.rating_sum) as rating_sum,
            sum(by_attempt.message_count) as message_count,
            sum(by_attempt.mood_sum) as mood_sum,
            count(by_attempt.is_asked_after) as watched_count,
            count(case when by_attempt.is_asked_after then 1 end) as asked_count
        from by_attempt
        inner join attempts on by_attempt.attempt_id = attempts.attempt_id
        inner join segments on by_attempt.attempt_id = segments.attempt_id
        group by
            attempts.journey,
            attempts.week_start_date,
            segments.assigned_segment,
            by_attempt.stage_order,
            by_attempt.touchpoint
    ),

    sliced as ({{ with_week_margins("weekly", ["journey", "stage_order", "touchpoint"] + counts) }}),

    summed as (
        select
            journey,
            week,
            week_start_date,
            segment,
            stage_order,
            touchpoint,
            {% for count in counts %}
                cast(
                    sum({{ count }}) as {{ "double" if count.endswith("_sum") else "bigint" }}
                ) as {{ count }}
                {{- "," if not loop.last }}
            {% endfor %}
        from sliced
        group by journey, week, week_start_date, segment, stage_order, touchpoint
    ),

    rated as (select *, converted_count + lost_count as closed_count from summed),

    final as (
        select
            rated.journey,
            rated.week,
            rated.week_start_date,
            rated.segment,
            rated.stage_order,
            stages.stage,
            rated.touchpoint,
            rated.touch_count,
            rated.attempt_count,
            rated.converted_count,
            rated.lost_count,
            round(rated.converted_count / nullif(rated.closed_count, 0), 6) as conversion_rate,
            round({{ wilson_low("rated.converted_count", "rated.closed_count") }}, 6) as conversion_low,
            round({{ wilson_high("rated.converted_count", "rated.closed_count") }}, 6) as conversion_high,
            rated.left_count,
            round(rated.left_count / nullif(rated.closed_count, 0), 6) as drop_off_after_rate,
            round({{ wilson_low("rated.left_count", "rated.closed_count") }}, 6) as drop_off_after_low,
            round({{ wilson_high("rated.left_count", "rated.closed_count") }}, 6) as drop_off_after_high,
            round(rated.friction_count / nullif(rated.attempt_count, 0), 6) as friction_rate,
            rated.message_count,
            round(rated.mood_sum / nullif(rated.message_count, 0) * 100, 4) as sentiment_score,
            rated.rating_count,
            round(rated.rating_sum / nullif(rated.rating_count, 0) * 100, 4) as rating_score,
            round(rated.asked_count / nullif(rated.watched_count, 0), 6) as contact_rate
        from rated
        inner join stages on rated.journey = stages.journey and rated.stage_order = stages.stage_order
    )

select *
from final
