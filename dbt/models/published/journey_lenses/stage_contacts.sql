{#
    Which stages and touchpoints people ask about: a contact belongs to the attempts that it happens in, and there to the
    last touch at an earlier instant. What a source records at the instant of the contact itself, such as the ticket's
    first comment, is part of it.
#}
with
    contacts as (select * from {{ ref("support_contacts") }} where person_id is not null),

    touches as (
        select attempt_id, event_id, occurred_at, stage_order, touchpoint from {{ ref("attempt_events") }}
    ),

    attempts as (select attempt_id, journey, week_start_date from {{ ref("attempts") }}),

    segments as (select attempt_id, assigned_segment from {{ ref("attempt_segments") }}),

    signals as (select text_id, compound from {{ source("timeline", "message_signals") }}),

    stages as (select * from {{ ref("published_journey_stages") }}),

    inside as (
        select
            touches.attempt_id,
            contacts.contact_id,
            contacts.channel,
            contacts.contacted_at,
            (signals.compound + 1) / 2 as mood
        from touches
        inner join contacts on touches.event_id = contacts.contact_id
        left join signals on contacts.text_id = signals.text_id
    ),

    {# A window over all touches would sort them all. #}
    earlier_times as (
        select inside.attempt_id, inside.contact_id, max(touches.occurred_at) as occurred_at
        from touches
        inner join
            inside on touches.attempt_id = inside.attempt_id and touches.occurred_at < inside.contacted_at
        group by inside.attempt_id, inside.contact_id
    ),

    earlier as (
        select
            earlier_times.attempt_id,
            earlier_times.contact_id,
            earlier_times.occurred_at,
            {{ value_at_last("touches.stage_order", ["touches.event_id"]) }} as stage_order,
            {{ value_at_last("touches.touchpoint", ["touches.event_id"]) }} as touchpoint
        from touches
        inner join
            earlier_times
            on touches.attempt_id = earlier_times.attempt_id
            and touches.occurred_at = earlier_times.occurred_at
        group by earlier_times.attempt_id, earlier_times.contact_id, earlier_times.occurred_at
    ),

    placed as (
        select
            attempts.journey,
            attempts.week_start_date,
            segments.assigned_segment,
            inside.attempt_id,
            inside.channel as asked_by,
            coalesce(earlier.stage_order, 1) as stage_order,
            coalesce(earlier.touchpoint, '(start)') as met_at,
            {{ seconds_between("earlier.occurred_at", "inside.contacted_at") }} / 3600 as hours_after,
            inside.mood
        from inside
        inner join attempts on inside.attempt_id = attempts.attempt_id
        inner join segments on inside.attempt_id = segments.attempt_id
        left join earlier on inside.attempt_id = earlier.attempt_id and inside.contact_id = earlier.contact_id
    ),

    {# Each contact at its touchpoint and at the stage as a whole, by its channel and by any. #}
    margins as (
        {% for touchpoint in ["met_at", "'all'"] %}
            {% set outer = loop %}
            {% for channel in ["asked_by", "'all'"] %}
                select *, {{ touchpoint }} as touchpoint, {{ channel }} as channel
                from placed
                {% if not (outer.last and loop.last) %}
                    union all
                {% endif %}
            {% endfor %}
        {% endfor %}
    ),

    sliced as (
        {{
            with_week_margins(
                "margins",
                [
                    "journey",
                    "stage_order",
                    "touchpoint",
                    "channel",
                    "attempt_id",
                    "hours_after",
                    "mood",
                ],
            )
        }}
    ),

    counted as (
        select
            journey,
            week,
            week_start_date,
            segment,
            stage_order,
            touchpoint,
            channel,
            count(*) as contact_count,
            count(distinct attempt_id) as asking_attempt_count,
            median(hours_after) as median_hours_after,
            count(mood) as message_count,
            {{ exact_sum("mood") }} as mood_sum
        from sliced
        group by journey, week, week_start_date, segment, stage_order, touchpoint, channel
    ),

    joined as (
        select
            counted.*,
            stages.stage,
            {# All who entered may begin with a contact; at the stage as a whole, all who reached it. #}
            case
                counted.touchpoint
                when '(start)'
                then stages.entered_count
                when 'all'
                then stages.reached_count
                else at_touchpoints.attempt_count
            end as attempt_count
        from counted
        inner join
            stages
            on counted.journey = stages.journey
            and counted.week = stages.week
            and counted.segment = stages.segment
            and counted.stage_order = stages.stage_order
        left join
            {{ ref("stage_touchpoints") }} as at_touchpoints
            on counted.journey = at_touchpoints.journey
            and counted.week = at_touchpoints.week
            and counted.segment = at_touchpoints.segment
            and counted.stage_order = at_touchpoints.stage_order
            and counted.touchpoint = at_touchpoints.touchpoint
    ),

    final as (
        select
            journey,
            week,
            week_start_date,
            segment,
            stage_order,
            stage,
            touchpoint,
            channel,
            contact_count,
            asking_attempt_count,
            attempt_count,
            round(asking_attempt_count / nullif(attempt_count, 0), 6) as contact_rate,
            round({{ wilson_low("asking_attempt_count", "attempt_count") }}, 6) as contact_low,
            round({{ wilson_high("asking_attempt_count", "attempt_count") }}, 6) as contact_high,
            round(median_hours_after, 4) as median_hours_after,
            message_count,
            round(mood_sum / nullif(message_count, 0) * 100, 4) as sentiment_score
        from joined
    )

select *
from final
