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

    erased as (select distinct event_id from {{ source("ops", "erased_events") }}),

    {# What was stitched to somebody who has been erased since is used for nobody. #}
    owned as (
        select events.*
        from events
        left join
            erased
            on events.event_id = erased.event_id
            and {{ has_prefix("events.identifier", "device_id:") }}
        where events.identifier is not null and erased.event_id is null
    ),

    {# Visits as they could be told at the time: events that became known later stand behind those known before. #}
    web_events as (
        select
            event_id,
            case when {{ has_prefix("device_id", "junk_") }} then identifier else device_id end as device_id,
            known_day,
            occurred_at,
            coalesce(url, referrer, utm_source, click_id_type) is not null as is_telling,
            coalesce(event in ({{ quoted(feature_events()["feature_used"]) }}), false) as is_use
        from owned
        where is_of_a_visit and kind <> 'outcome' and event not in ({{ quoted(events_after_outcomes()) }})
    ),

    spaced as (
        select
            *,
            lag(occurred_at) over (
                partition by device_id order by known_day, occurred_at, event_id
            ) as previous_at
        from web_events
    ),

    opened as (
        select
            {{ all_but(["previous_at"]) }},
            case
                when
                    abs({{ seconds_between("previous_at", "occurred_at") }})
                    < {{ var("session_gap_seconds") }}
                then 0
                else 1
            end as is_start
        from spaced
    ),

    numbered as (
        select
            *,
            sum(is_start) over (
                partition by device_id order by known_day, occurred_at, event_id rows unbounded preceding
            ) as visit_number
        from opened
    ),

    {# What was known of a visit on one day: the event that opened it, the first that tells whence, one of use. #}
    visits as (
        select
            max(case when is_start = 1 then event_id end) as event_id,
            {{
                value_at_first(
                    "case when is_telling then event_id end",
                    ["case when is_telling then occurred_at end", "event_id"],
                )
            }} as entry_event_id,
            min(case when is_use then event_id end) as use_event_id
        from numbered
        group by device_id, visit_number, known_day
    ),

    told_entries as (
        select
            visits.event_id,
            owned.source,
            owned.utm_source,
            owned.utm_medium,
            owned.click_id_type,
            {{ url_host("owned.url") }} as host,
            {{ url_host("owned.referrer") }} as said_host
        from visits
        inner join owned on visits.entry_event_id = owned.event_id
        where visits.event_id is not null
    ),

    {# Its own site is no referrer. #}
    entries as (
        select
            event_id,
            source,
            utm_source,
            utm_medium,
            click_id_type,
            case when said_host <> coalesce(host, '') then said_host end as referrer_host
        from told_entries
    ),

    kinds_of_entry as (
        select distinct source, utm_source, utm_medium, click_id_type, referrer_host from entries
    ),

    {{ channel_ctes() }},

    channels_of_visits as (
        select entries.event_id, channels.channel
        from entries
        inner join channels on {{ is_entry_of_channel("entries", "entries.referrer_host") }}
    ),

    visit_starts as (
        select visits.event_id, coalesce(channels_of_visits.channel, 'direct') as visit_channel
        from visits
        left join channels_of_visits on visits.event_id = channels_of_visits.event_id
        where visits.event_id is not null
    ),

    uses as (select use_event_id as event_id from visits where use_event_id is not null),

    details as (select * from {{ ref("action_details") }}),

    named as (
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
            visit_starts.visit_channel,
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
            end as action,
            details.left_out
        from owned
        left join visit_starts on owned.event_id = visit_starts.event_id
        left join uses on owned.event_id = uses.event_id
        left join details on owned.event = details.event
    ),

    {# The page that thanks a customer tells of the outcome. #}
    final as (
        select
            {{ all_but(["action", "left_out"]) }},
            case when not coalesce({{ matches("action", "left_out") }}, false) then action end as action
        from named
    )

select *
from final
