{#
    Everything is counted by attempt where the many are, and what few touches have (a message, a rating, a contact
    afterwards, being the last of a lost attempt) is counted apart; both are added up week by week.
#}
{% set counts = [
    "touch_count",
    "attempt_count",
    "converted_count",
    "lost_count",
    "closed_count",
    "closed_converted_count",
    "left_count",
    "closed_left_count",
    "friction_count",
    "message_count",
    "mood_sum",
    "rating_count",
    "rating_sum",
    "watched_count",
    "asked_count",
] %}

with
    attempts as (
        select
            attempts.attempt_id,
            attempts.person_id,
            attempts.journey,
            attempts.week_start_date,
            attempts.status,
            attempts.started_at,
            coalesce(attempts.ended_at, attempts.deadline_at) as until_at,
            {# Of younger ones those that ended are not like those that will. #}
            attempts.status <> 'open' and attempts.deadline_at <= attempts.watched_until_at as is_closed,
            segments.assigned_segment
        from {{ ref("attempts") }} as attempts
        inner join {{ ref("attempt_segments") }} as segments on attempts.attempt_id = segments.attempt_id
    ),

    contacts as (select * from {{ ref("support_contacts") }}),

    {# From then on less than a day has been watched. #}
    watched as (select {{ days_earlier("max(watched_until_at)", 1) }} as young_from from contacts),

    visits as (
        select
            attempt_id,
            stage_order,
            touchpoint,
            sum(touch_count) as touch_count,
            bool_or(is_friction) as has_friction,
            min(entered_at) as entered_at
        from {{ ref("steps") }}
        group by attempt_id, stage_order, touchpoint
    ),

    {# What the company does alone, and the event that ends an attempt, is no touch after which somebody leaves. #}
    last_steps as (
        select steps.attempt_id, max(steps.step_number) as step_number
        from {{ ref("steps") }} as steps
        inner join attempts on steps.attempt_id = attempts.attempt_id
        where attempts.status = 'lost' and steps.step_kind = 'touch'
        group by steps.attempt_id
    ),

    left_after as (
        select steps.attempt_id, steps.stage_order, steps.touchpoint
        from {{ ref("steps") }} as steps
        inner join
            last_steps
            on steps.attempt_id = last_steps.attempt_id
            and steps.step_number = last_steps.step_number
    ),

    messages as (
        select touches.attempt_id, touches.stage_order, touches.touchpoint, (signals.compound + 1) / 2 as mood
        from {{ ref("attempt_events") }} as touches
        inner join {{ source("timeline", "message_signals") }} as signals on touches.text_id = signals.text_id
        where touches.text_id is not null
    ),

    ratings as (
        select attempt_id, stage_order, touchpoint, rating
        from {{ ref("attempt_events") }}
        where rating is not null
    ),

    {# A contact up to a day after its end may follow an attempt's last touches. #}
    contacts_near as (
        select
            attempts.attempt_id,
            contacts.contacted_at,
            {{ days_earlier("contacts.contacted_at", 1) }} as day_before
        from contacts
        inner join
            attempts
            on contacts.person_id = attempts.person_id
            and contacts.contacted_at > attempts.started_at
            and contacts.contacted_at <= {{ plus_days("attempts.until_at", 1) }}
    ),

    asked_after as (
        select distinct steps.attempt_id, steps.stage_order, steps.touchpoint
        from {{ ref("steps") }} as steps
        inner join
            contacts_near
            on steps.attempt_id = contacts_near.attempt_id
            and steps.entered_at < contacts_near.contacted_at
            and steps.last_touched_at >= contacts_near.day_before
        where steps.entered_at <= (select young_from from watched)
    ),

    {% set parts = {
        "visits": {
            "touch_count": "sum(part.touch_count)",
            "attempt_count": "count(*)",
            "converted_count": "count(case when attempts.status = 'converted' then 1 end)",
            "lost_count": "count(case when attempts.status = 'lost' then 1 end)",
            "closed_count": "count(case when attempts.is_closed then 1 end)",
            "closed_converted_count": "count(case when attempts.is_closed and attempts.status = 'converted' then 1 end)",
            "friction_count": "count(case when part.has_friction then 1 end)",
            "watched_count": "count(case when part.entered_at <= watched.young_from then 1 end)",
        },
        "left_after": {
            "left_count": "count(*)",
            "closed_left_count": "count(case when attempts.is_closed then 1 end)",
        },
        "messages": {
            "message_count": "count(*)",
            "mood_sum": "sum(cast(part.mood as " ~ exact_type() ~ "))",
        },
        "ratings": {
            "rating_count": "count(*)",
            "rating_sum": "sum(cast(part.rating as " ~ exact_type() ~ "))",
        },
        "asked_after": {"asked_count": "count(*)"},
    } %}

    {% for part, sums in parts.items() %}
        {{ part }}_by_week as (
            select
                attempts.journey,
                attempts.week_start_date,
                attempts.assigned_segment,
                part.stage_order,
                part.touchpoint,
                {% for count in counts %}
                    {{ sums.get(count, "0") }} as {{ count }}{{ "," if not loop.last }}
                {% endfor %}
            from {{ part }} as part
            inner join
                attempts on part.attempt_id = attempts.attempt_id
                {{ "cross join watched" if part == "visits" }}
            group by
                attempts.journey,
                attempts.week_start_date,
                attempts.assigned_segment,
                part.stage_order,
                part.touchpoint
        ),
    {% endfor %}

    weekly as (
        {% for part in parts %}
            select *
            from {{ part }}_by_week
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    summed as (
        select
            journey,
            {{ slice_columns() }},
            stage_order,
            touchpoint,
            {% for count in counts %}
                cast(
                    sum({{ count }}) as {{ "double" if count.endswith("_sum") else "bigint" }}
                ) as {{ count }}
                {{- "," if not loop.last }}
            {% endfor %}
        from weekly
        group by {{ slice_sets(["journey", "stage_order", "touchpoint"]) }}
    ),

    stages as (select journey, stage_order, stage from {{ ref("journey_stages") }}),

    final as (
        select
            summed.journey,
            summed.week,
            summed.week_start_date,
            summed.segment,
            summed.stage_order,
            stages.stage,
            summed.touchpoint,
            summed.touch_count,
            summed.attempt_count,
            summed.converted_count,
            summed.lost_count,
            summed.closed_count,
            round(summed.closed_converted_count / nullif(summed.closed_count, 0), 6) as conversion_rate,
            round(
                {{ wilson_low("summed.closed_converted_count", "summed.closed_count") }}, 6
            ) as conversion_low,
            round(
                {{ wilson_high("summed.closed_converted_count", "summed.closed_count") }}, 6
            ) as conversion_high,
            summed.left_count,
            round(summed.closed_left_count / nullif(summed.closed_count, 0), 6) as drop_off_after_rate,
            round(
                {{ wilson_low("summed.closed_left_count", "summed.closed_count") }}, 6
            ) as drop_off_after_low,
            round(
                {{ wilson_high("summed.closed_left_count", "summed.closed_count") }}, 6
            ) as drop_off_after_high,
            round(summed.friction_count / nullif(summed.attempt_count, 0), 6) as friction_rate,
            summed.message_count,
            round(summed.mood_sum / nullif(summed.message_count, 0) * 100, 4) as sentiment_score,
            summed.rating_count,
            round(summed.rating_sum / nullif(summed.rating_count, 0) * 100, 4) as rating_score,
            round(summed.asked_count / nullif(summed.watched_count, 0), 6) as contact_rate
        from summed
        inner join stages on summed.journey = stages.journey and summed.stage_order = stages.stage_order
    )

select *
from final
