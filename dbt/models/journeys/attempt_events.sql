{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{# The touchpoints inside each attempt, with the furthest stage reached by then. #}
with
    spans as (select * from {{ ref("attempt_spans") }} where {{ in_affected_component() }}),

    stages as (select * from {{ ref("stage_events") }}),

    {# An event that stands for several stages reaches the furthest, save that only a success reaches the last. #}
    reached_by as (
        select journey, event, least_rating, max(stage_order) as stage_order
        from stages
        where not is_last
        group by journey, event, least_rating
    ),

    {# What the journeys name is a touch even where the taxonomy names no touchpoint. #}
    named_events as (
        select event
        from stages
        union
        select event
        from {{ ref("journey_roles") }}
    ),

    events as (
        select
            {{ all_but(["touchpoint"], "events") }},
            coalesce(events.touchpoint, named_events.event) as touchpoint
        from {{ ref("customer_events") }} as events
        left join named_events on events.event = named_events.event
        where
            events.person_id is not null
            and events.traffic_class in ('human', 'unknown')
            and coalesce(events.touchpoint, named_events.event) is not null
            and {{ in_affected_component("events.component_id") }}
    ),

    last_stages as (
        select journey, max(stage_order) as stage_order from {{ ref("journey_stages") }} group by journey
    ),

    inside as (
        select
            spans.component_id,
            spans.attempt_id,
            spans.journey,
            events.event_id,
            events.occurred_at,
            events.touchpoint,
            events.channel,
            events.kind,
            events.event,
            {# Which step of a form or a flow it names itself. #}
            {{ whole_number(json_text("events.properties", "$.step")) }} as form_step,
            coalesce(events.event_id = spans.end_event_id, false) as is_end,
            events.rating,
            events.text_id,
            case
                when events.event_id = spans.start_event_id
                then 1
                when events.event_id = spans.end_event_id and spans.outcome = 'converted'
                then last_stages.stage_order
            end as stage_by_role
        from spans
        inner join last_stages on spans.journey = last_stages.journey
        inner join
            events
            on spans.person_id = events.person_id
            and events.occurred_at >= spans.started_at
            and (events.occurred_at > spans.started_at or events.event_id >= spans.start_event_id)
            and events.occurred_at < spans.deadline_at
            and (
                spans.outcome is null
                or events.occurred_at < spans.outcome_at
                or (events.occurred_at = spans.outcome_at and events.event_id <= spans.end_event_id)
            )
    ),

    staged as (
        select
            inside.component_id,
            inside.attempt_id,
            inside.journey,
            inside.event_id,
            inside.occurred_at,
            inside.touchpoint,
            inside.channel,
            inside.kind,
            inside.event,
            inside.form_step,
            inside.is_end,
            inside.rating,
            inside.text_id,
            coalesce(inside.stage_by_role, reached_by.stage_order) as event_stage
        from inside
        left join
            reached_by on inside.journey = reached_by.journey and {{ is_named_event("inside", "reached_by") }}
    ),

    final as (
        select
            {{ all_but(["event_stage"]) }},
            event_stage,
            max(event_stage) over (in_order rows unbounded preceding) as stage_order,
            channel is distinct from lag(channel) over in_order as is_new_channel,
            coalesce(
                event_stage < {{ last_known("event_stage") }} over (
                    in_order rows between unbounded preceding and 1 preceding
                ),
                false
            ) as is_stage_back
        from staged
        window in_order as (partition by attempt_id order by occurred_at, event_id)
    )

select *
from final
