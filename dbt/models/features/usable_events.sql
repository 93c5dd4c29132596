{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{#
    Events as features may use them: only what depends on the event itself and on what was known no later. So no
    person, no session of the timeline (a late event re-opens one) and no traffic class that its pace decides. That
    somebody takes back the consent to analytics does reach back: their events are used no more.
#}
with
    events as (
        select
            component_id,
            event_id,
            {{ owner_identifier() }} as identifier,
            device_id,
            source,
            event,
            kind,
            touchpoint,
            channel,
            occurred_at,
            {{ local_time("occurred_at") }} as local_at,
            {{ local_day("occurred_at") }} as local_day,
            greatest({{ local_day("available_at") }}, {{ local_day("occurred_at") }}) as known_day,
            session_id is not null as is_of_a_visit,
            account_id,
            url,
            referrer,
            utm_source,
            utm_medium,
            click_id_type,
            device_type,
            app_version,
            country,
            properties
        from {{ ref("customer_events") }}
        where
            has_analytics_consent
            and coalesce(traffic_reason not in (select reason from {{ ref("traffic_rules") }}), true)
            and {{ in_affected_component() }}
    ),

    owned as (select * from events where identifier is not null),

    {# Visits as they could be told at the time: events that became known later stand behind those known before. #}
    web_events as (
        select
            event_id,
            case when {{ has_prefix("device_id", "junk_") }} then identifier else device_id end as device_id,
            source,
            known_day,
            occurred_at,
            url,
            referrer,
            utm_source,
            utm_medium,
            click_id_type
        from owned
        where is_of_a_visit and kind <> 'outcome' and event not in ({{ quoted(events_after_outcomes()) }})
    ),

    spaced as (
        select
            event_id,
            device_id,
            known_day,
            occurred_at,
            lag(occurred_at) over (
                partition by device_id order by known_day, occurred_at, event_id
            ) as previous_at
        from web_events
    ),

    opened as (
        select
            event_id,
            device_id,
            known_day,
            occurred_at,
            case
                when
                    abs({{ seconds_between("previous_at", "occurred_at") }})
                    < {{ var("session_gap_seconds") }}
                then 0
                else 1
            end as is_visit_start
        from spaced
    ),

    numbered as (
        select
            event_id,
            device_id,
            known_day,
            is_visit_start,
            sum(is_visit_start) over (
                partition by device_id order by known_day, occurred_at, event_id rows unbounded preceding
            ) as visit_number
        from opened
    ),

    telling as (
        select
            numbered.device_id,
            numbered.visit_number,
            numbered.known_day,
            web_events.source,
            web_events.utm_source,
            web_events.utm_medium,
            web_events.click_id_type,
            {{ url_host("web_events.url") }} as host,
            {{ url_host("web_events.referrer") }} as said_host,
            row_number() over (
                partition by numbered.device_id, numbered.visit_number
                order by numbered.known_day, web_events.occurred_at, web_events.event_id
            ) as place
        from numbered
        inner join web_events on numbered.event_id = web_events.event_id
        where
            coalesce(web_events.url, web_events.referrer, web_events.utm_source, web_events.click_id_type)
            is not null
    ),

    {# Where a visit came from: its first event that tells, as far as it was known on the day the visit was. #}
    entries as (
        select
            telling.device_id,
            telling.visit_number,
            telling.known_day,
            telling.source,
            telling.utm_source,
            telling.utm_medium,
            telling.click_id_type,
            case
                when telling.said_host <> coalesce(telling.host, '') then telling.said_host
            end as referrer_host
        from telling
        where telling.place = 1
    ),

    kinds_of_entry as (
        select distinct source, utm_source, utm_medium, click_id_type, referrer_host from entries
    ),

    {{ channel_ctes() }},

    visits as (
        select numbered.event_id, coalesce(channels.channel, 'direct') as visit_channel
        from numbered
        left join
            entries
            on numbered.device_id = entries.device_id
            and numbered.visit_number = entries.visit_number
            and numbered.known_day = entries.known_day
        left join channels on {{ is_entry_of_channel("entries", "entries.referrer_host") }}
        where numbered.is_visit_start = 1
    ),

    {# Each visit in which the product was used, by one of the events that say so. #}
    uses as (
        select min(owned.event_id) as event_id
        from owned
        inner join numbered on owned.event_id = numbered.event_id
        where owned.event in ({{ quoted(feature_events()["feature_used"]) }})
        group by numbered.device_id, numbered.visit_number, numbered.known_day
    ),

    details as (select * from {{ ref("action_details") }}),

    final as (
        select
            owned.component_id,
            owned.event_id,
            owned.identifier,
            owned.event,
            owned.kind,
            owned.occurred_at,
            owned.local_day,
            owned.known_day,
            extract(hour from owned.local_at) as local_hour,
            owned.kind in ('touch', 'milestone', 'friction')
            and owned.event not in ({{ quoted(events_after_outcomes()) }}) as is_own,
            visits.visit_channel,
            uses.event_id is not null as is_visit_of_use,
            case
                when owned.app_version is not null
                then 'app'
                when owned.device_type in ({{ quoted(device_kinds()) }})
                then owned.device_type
                else 'unknown'
            end as device_kind,
            owned.country,
            case
                when owned.account_id is not null and not {{ has_prefix("owned.account_id", "junk_") }}
                then 1
                else 0
            end as has_account,
            details.block,
            case
                when details.property = 'url'
                then coalesce({{ url_first_path_part("owned.url") }}, 'home')
                when details.property = 'channel'
                then owned.channel
                when details.property is not null
                then {{ json_value("owned.properties", "details.property") }}
            end as action
        from owned
        left join visits on owned.event_id = visits.event_id
        left join uses on owned.event_id = uses.event_id
        left join details on owned.event = details.event
    )

select *
from final
