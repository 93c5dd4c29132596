{% set counts = [
    "touch_count",
    "attempt_count",
    "closed_count",
    "left_count",
    "closed_left_count",
    "friction_count",
    "message_count",
    "mood_sum",
] %}

with
    attempts as (
        select
            attempt_id,
            journey,
            week_start_date,
            status,
            {# Of younger ones those that ended are not like those that will. #}
            status <> 'open' and deadline_at <= watched_until_at as is_closed,
            first_channel
        from {{ ref("attempts") }}
    ),

    visits as (
        select
            attempt_id,
            touchpoint,
            sum(touch_count) as touch_count,
            bool_or(is_friction) as has_friction,
            max(case when step_kind = 'touch' then step_number end) as step_number
        from {{ ref("steps") }}
        group by attempt_id, touchpoint
    ),

    {# What the company does alone, and the event that ends an attempt, is no touch after which somebody leaves. #}
    last_steps as (select attempt_id, max(step_number) as step_number from visits group by attempt_id),

    messages as (
        select touches.attempt_id, touches.touchpoint, (signals.compound + 1) / 2 as mood
        from {{ ref("attempt_events") }} as touches
        inner join {{ source("timeline", "message_signals") }} as signals on touches.text_id = signals.text_id
        where touches.text_id is not null
    ),

    visits_by_week as (
        select
            attempts.journey,
            attempts.week_start_date,
            attempts.first_channel,
            visits.touchpoint,
            sum(visits.touch_count) as touch_count,
            count(*) as attempt_count,
            count(case when attempts.is_closed then 1 end) as closed_count,
            count(
                case when attempts.status = 'lost' and visits.step_number = last_steps.step_number then 1 end
            ) as left_count,
            count(
                case
                    when
                        attempts.is_closed
                        and attempts.status = 'lost'
                        and visits.step_number = last_steps.step_number
                    then 1
                end
            ) as closed_left_count,
            count(case when visits.has_friction then 1 end) as friction_count
        from visits
        inner join attempts on visits.attempt_id = attempts.attempt_id
        inner join last_steps on visits.attempt_id = last_steps.attempt_id
        group by attempts.journey, attempts.week_start_date, attempts.first_channel, visits.touchpoint
    ),

    messages_by_week as (
        select
            attempts.journey,
            attempts.week_start_date,
            attempts.first_channel,
            messages.touchpoint,
            count(*) as message_count,
            sum(cast(messages.mood as {{ exact_type() }})) as mood_sum
        from messages
        inner join attempts on messages.attempt_id = attempts.attempt_id
        group by attempts.journey, attempts.week_start_date, attempts.first_channel, messages.touchpoint
    ),

    weekly as (
        select *, 0 as message_count, 0 as mood_sum
        from visits_by_week
        union all
        select journey, week_start_date, first_channel, touchpoint, 0, 0, 0, 0, 0, 0, message_count, mood_sum
        from messages_by_week
    ),

    by_channel as (
        select *, 'all' as channel
        from weekly
        union all
        select *, first_channel
        from weekly
    ),

    summed as (
        select
            journey,
            {{ slice_columns(by_segment=false) }},
            touchpoint,
            channel,
            {% for count in counts %}
                cast(
                    sum({{ count }}) as {{ "double" if count.endswith("_sum") else "bigint" }}
                ) as {{ count }}
                {{- "," if not loop.last }}
            {% endfor %}
        from by_channel
        group by {{ slice_sets(["journey", "touchpoint", "channel"], by_segment=false) }}
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
            closed_count,
            round(friction_count / nullif(attempt_count, 0), 6) as friction_rate,
            left_count,
            round(closed_left_count / nullif(closed_count, 0), 6) as drop_off_after_rate,
            round({{ wilson_low("closed_left_count", "closed_count") }}, 6) as drop_off_after_low,
            round({{ wilson_high("closed_left_count", "closed_count") }}, 6) as drop_off_after_high,
            message_count,
            round(mood_sum / nullif(message_count, 0) * 100, 4) as sentiment_score
        from summed
    )

select *
from final
