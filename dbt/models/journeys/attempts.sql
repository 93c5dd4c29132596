{# How long the journey was watched decides what is still open; the spans do not change with it. #}
with
    spans as (select * from {{ ref("attempt_spans") }}),

    journeys as (
        select journeys.journey, journeys.value_amount, journeys.value_currency, watched.watched_until_at
        from {{ ref("journeys") }} as journeys
        inner join {{ ref("watched_journeys") }} as watched on journeys.journey = watched.journey
    ),

    {# What pays out when it converts, such as a refund, has no value to lose. #}
    journey_values as (
        select spans.journey, events.event_id, events.revenue, events.currency
        from spans
        inner join {{ ref("customer_events") }} as events on spans.end_event_id = events.event_id
        where spans.outcome = 'converted' and events.revenue >= 0
    ),

    touches as (
        select
            attempt_id,
            count(*) as touch_count,
            max(stage_order) as last_stage_order,
            {{ first_by("channel", ["occurred_at", "event_id"]) }} as first_channel
        from {{ ref("attempt_events") }}
        group by attempt_id
    ),

    final as (
        select
            spans.attempt_id,
            spans.component_id,
            spans.person_id,
            spans.journey,
            spans.started_at,
            {{ week_start("spans.started_at") }} as week_start_date,
            spans.deadline_at,
            case
                when spans.outcome is not null
                then spans.outcome
                when spans.deadline_at <= journeys.watched_until_at
                then 'lost'
                else 'open'
            end as status,
            case
                when spans.outcome is not null
                then spans.outcome_at
                when spans.deadline_at <= journeys.watched_until_at
                then spans.deadline_at
            end as ended_at,
            {# Where nobody watches, for no time at all. #}
            coalesce(journeys.watched_until_at, spans.started_at) as watched_until_at,
            coalesce(touches.last_stage_order, 1) as last_stage_order,
            coalesce(touches.first_channel, 'other') as first_channel,
            coalesce(touches.touch_count, 0) as touch_count,
            case
                when spans.outcome = 'converted' then coalesce(journeys.value_amount, journey_values.revenue)
            end as value_amount,
            case
                when spans.outcome = 'converted'
                then coalesce(journeys.value_currency, journey_values.currency)
            end as value_currency
        from spans
        inner join journeys on spans.journey = journeys.journey
        left join touches on spans.attempt_id = touches.attempt_id
        left join
            journey_values
            on spans.end_event_id = journey_values.event_id
            and spans.journey = journey_values.journey
    )

select *
from final
