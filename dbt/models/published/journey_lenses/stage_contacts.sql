{#
    Which stages and touchpoints people ask about: a contact belongs to the attempts that it happens in, and there to the
    last step that was entered at an earlier instant; what the company did alone is passed over. What a source records at
    the instant of the contact itself, such as a ticket's first comment, is part of it.
#}
with
    contacts as (select * from {{ ref("support_contacts") }} where person_id is not null),

    attempts as (select * from {{ ref("attempts") }}),

    segments as (select attempt_id, assigned_segment from {{ ref("attempt_segments") }}),

    signals as (select text_id, compound from {{ source("timeline", "message_signals") }}),

    stages as (select * from {{ ref("published_journey_stages") }}),

    inside as (
        select attempts.attempt_id, attempts.journey, attempts.week_start_date, contacts.*
        from contacts
        inner join
            attempts
            on contacts.person_id = attempts.person_id
            and contacts.contacted_at >= attempts.started_at
            and contacts.contacted_at < attempts.deadline_at
            and (attempts.ended_at is null or contacts.contacted_at <= attempts.ended_at)
    ),

    steps_before as (
        select inside.attempt_id, inside.contact_id, max(steps.step_number) as step_number
        from {{ ref("steps") }} as steps
        inner join inside on steps.attempt_id = inside.attempt_id and steps.entered_at < inside.contacted_at
        group by inside.attempt_id, inside.contact_id
    ),

    met as (
        select
            steps_before.attempt_id,
            steps_before.contact_id,
            steps.stage_order,
            steps.touchpoint,
            steps.last_touched_at
        from {{ ref("steps") }} as steps
        inner join
            steps_before
            on steps.attempt_id = steps_before.attempt_id
            and steps.step_number = steps_before.step_number
    ),

    placed as (
        select
            inside.journey,
            inside.week_start_date,
            segments.assigned_segment,
            inside.attempt_id,
            inside.contact_id,
            inside.channel as asked_by,
            coalesce(met.stage_order, 1) as stage_order,
            coalesce(met.touchpoint, '(start)') as met_at,
            {# Nothing where the step went on. #}
            case
                when met.last_touched_at < inside.contacted_at
                then {{ seconds_between("met.last_touched_at", "inside.contacted_at") }} / 3600
                when met.last_touched_at is not null
                then 0
            end as hours_after,
            (signals.compound + 1) / 2 as mood
        from inside
        inner join segments on inside.attempt_id = segments.attempt_id
        left join met on inside.attempt_id = met.attempt_id and inside.contact_id = met.contact_id
        left join signals on inside.text_id = signals.text_id
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

    {# An attempt is in one slice of its week and segment, so its first contact of a kind stands for it. #}
    marked as (
        select
            *,
            row_number() over (partition by attempt_id, stage_order, touchpoint, channel order by contact_id)
            = 1 as is_first
        from margins
    ),

    counted as (
        select
            journey,
            {{ slice_columns() }},
            stage_order,
            touchpoint,
            channel,
            count(*) as contact_count,
            count(case when is_first then 1 end) as asking_attempt_count,
            median(hours_after) as median_hours_after,
            count(mood) as message_count,
            {{ exact_sum("mood") }} as mood_sum
        from marked
        group by {{ slice_sets(["journey", "stage_order", "touchpoint", "channel"]) }}
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
