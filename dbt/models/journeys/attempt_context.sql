{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{#
    On what, where and by which campaign an attempt was made. System, version, kind of device and browser are those
    of one event, the first inside the attempt that names any. The country is what the person's events said last by
    the start, else what the attempt's own say first. The campaign is that of the visit in which it started, as known
    by then: what comes later tells who stayed.
#}
with
    starts as (
        select spans.attempt_id, spans.component_id, spans.person_id, spans.started_at, events.session_id
        from {{ ref("attempt_spans") }} as spans
        inner join
            {{ ref("customer_events") }} as events
            on spans.component_id = events.component_id
            and spans.start_event_id = events.event_id
        where {{ in_affected_component("spans.component_id") }}
    ),

    events as (
        select
            component_id,
            event_id,
            person_id,
            session_id,
            occurred_at,
            os,
            app_version,
            device_type,
            user_agent,
            country,
            utm_campaign
        from {{ ref("customer_events") }}
        where
            person_id is not null
            and coalesce(os, device_type, country, utm_campaign) is not null
            and {{ in_affected_component() }}
    ),

    inside as (
        select
            touches.attempt_id,
            {{
                value_at_first(
                    "case when coalesce(events.os, events.device_type) is not null then events.event_id end",
                    ["events.occurred_at", "events.event_id"],
                )
            }} as device_event_id,
            {{ value_at_first("events.country", ["events.occurred_at", "events.event_id"]) }} as country
        from {{ ref("attempt_events") }} as touches
        inner join events on touches.component_id = events.component_id and touches.event_id = events.event_id
        where {{ in_affected_component("touches.component_id") }}
        group by touches.attempt_id
    ),

    earlier as (
        select
            starts.attempt_id,
            {{ value_at_last("events.country", ["events.occurred_at", "events.event_id"]) }} as country,
            {{
                value_at_last(
                    "case when events.session_id = starts.session_id then events.utm_campaign end",
                    ["events.occurred_at", "events.event_id"],
                )
            }} as campaign
        from starts
        inner join events on starts.person_id = events.person_id and events.occurred_at <= starts.started_at
        where events.country is not null or events.session_id = starts.session_id
        group by starts.attempt_id
    ),

    final as (
        select
            starts.attempt_id,
            starts.component_id,
            devices.os,
            devices.app_version,
            devices.device_type,
            case when devices.app_version is null then {{ browser("devices.user_agent") }} end as browser,
            coalesce(earlier.country, inside.country) as country,
            earlier.campaign
        from starts
        left join inside on starts.attempt_id = inside.attempt_id
        left join
            events as devices
            on starts.component_id = devices.component_id
            and inside.device_event_id = devices.event_id
        left join earlier on starts.attempt_id = earlier.attempt_id
    )

select *
from final
