{#
    What happened at one touchpoint, at one stage and by one channel of one attempt. What few touches have (a rating, a
    message, a contact afterwards) is counted apart, so that the many are grouped by little.
#}
with
    touches as (select * from {{ ref("attempt_events") }}),

    spans as (
        select attempt_id, person_id, started_at, coalesce(outcome_at, deadline_at) as until_at
        from {{ ref("attempt_spans") }}
    ),

    counted as (
        select
            attempt_id,
            stage_order,
            touchpoint,
            channel,
            count(*) as touch_count,
            count(case when kind = 'friction' then 1 end) as friction_count,
            min(occurred_at) as first_touched_at
        from touches
        group by attempt_id, stage_order, touchpoint, channel
    ),

    {# The last touch of each attempt, in the order of time and then of event id. #}
    last_times as (select attempt_id, max(occurred_at) as occurred_at from touches group by attempt_id),

    at_last_times as (
        select
            touches.attempt_id,
            touches.stage_order,
            touches.touchpoint,
            touches.channel,
            touches.event_id,
            max(touches.event_id) over (partition by touches.attempt_id) as last_event_id
        from touches
        inner join
            last_times
            on touches.attempt_id = last_times.attempt_id
            and touches.occurred_at = last_times.occurred_at
    ),

    last_touches as (
        select attempt_id, stage_order, touchpoint, channel from at_last_times where event_id = last_event_id
    ),

    rated as (
        select
            attempt_id,
            stage_order,
            touchpoint,
            channel,
            count(*) as rating_count,
            sum(cast(rating as {{ exact_type() }})) as rating_sum
        from touches
        where rating is not null
        group by attempt_id, stage_order, touchpoint, channel
    ),

    messages as (
        select
            touches.attempt_id,
            touches.stage_order,
            touches.touchpoint,
            touches.channel,
            count(*) as message_count,
            sum(cast((signals.compound + 1) / 2 as {{ exact_type() }})) as mood_sum
        from touches
        inner join {{ source("timeline", "message_signals") }} as signals on touches.text_id = signals.text_id
        group by touches.attempt_id, touches.stage_order, touches.touchpoint, touches.channel
    ),

    contacts as (select * from {{ ref("support_contacts") }}),

    watched as (select max(watched_until_at) as watched_until_at from contacts),

    {# Contacts up to a day after an attempt follow its last touches. #}
    contacts_near as (
        select spans.attempt_id, contacts.contacted_at
        from contacts
        inner join
            spans
            on contacts.person_id = spans.person_id
            and contacts.contacted_at > spans.started_at
            and contacts.contacted_at <= {{ plus_days("spans.until_at", 1) }}
    ),

    asked_after as (
        select distinct touches.attempt_id, touches.stage_order, touches.touchpoint, touches.channel
        from touches
        inner join
            contacts_near
            on touches.attempt_id = contacts_near.attempt_id
            and touches.occurred_at < contacts_near.contacted_at
            and {{ plus_days("touches.occurred_at", 1) }} >= contacts_near.contacted_at
    ),

    final as (
        select
            counted.attempt_id,
            counted.stage_order,
            counted.touchpoint,
            counted.channel,
            counted.touch_count,
            counted.friction_count,
            last_touches.attempt_id is not null as is_last,
            coalesce(rated.rating_count, 0) as rating_count,
            rated.rating_sum,
            coalesce(messages.message_count, 0) as message_count,
            messages.mood_sum,
            case
                when {{ plus_days("counted.first_touched_at", 1) }} <= watched.watched_until_at
                then asked_after.attempt_id is not null
            end as is_asked_after
        from counted
        cross join watched
        {% for part in ["last_touches", "rated", "messages", "asked_after"] %}
            left join
                {{ part }}
                on counted.attempt_id = {{ part }}.attempt_id
                and counted.stage_order = {{ part }}.stage_order
                and counted.touchpoint = {{ part }}.touchpoint
                and counted.channel = {{ part }}.channel
        {% endfor %}
    )

select *
from final
