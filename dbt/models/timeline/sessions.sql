{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

with
    stitched as (
        select *
        from {{ ref("stitched_events") }}
        where session_id is not null and {{ in_affected_component() }}
    ),

    staged as (select * from {{ ref("events") }}),

    contexts as (
        select
            stitched.session_id,
            stitched.occurred_at,
            stitched.event_id,
            stitched.source,
            staged.url,
            staged.utm_source,
            staged.utm_medium,
            staged.utm_campaign,
            staged.click_id_type,
            {{ url_host("staged.url") }} as host,
            {{ url_host("staged.referrer") }} as referrer_host,
            row_number() over (
                partition by stitched.session_id order by stitched.occurred_at, stitched.event_id
            ) as position
        from stitched
        inner join
            staged
            on stitched._file_id = staged._file_id
            and stitched._row_number = staged._row_number
            and stitched.event_key = staged.event_key
        where coalesce(staged.url, staged.referrer, staged.utm_source, staged.click_id_type) is not null
    ),

    {# Where the session came from: its first event that tells. Its own site is no referrer. #}
    entries as (
        select
            session_id,
            source,
            url as landing_url,
            utm_source,
            utm_medium,
            utm_campaign,
            click_id_type,
            case when referrer_host <> coalesce(host, '') then referrer_host end as referrer_host
        from contexts
        where position = 1
    ),

    kinds_of_entry as (
        select distinct source, utm_source, utm_medium, click_id_type, referrer_host from entries
    ),

    {{ channel_ctes() }},

    measures as (
        select
            component_id,
            session_id,
            device_id,
            min(occurred_at) as started_at,
            max(occurred_at) as ended_at,
            count(*) as event_count
        from stitched
        group by component_id, session_id, device_id
    ),

    final as (
        select
            measures.component_id,
            measures.session_id,
            measures.device_id,
            measures.started_at,
            measures.ended_at,
            measures.event_count,
            entries.landing_url,
            entries.referrer_host,
            entries.utm_campaign as campaign,
            coalesce(channels.channel, 'direct') as channel,
            measures.event_count >= {{ var("runaway_session_events") }} as is_runaway,
            {# No person keeps this pace for a minute and more. #}
            measures.event_count >= 60
            and measures.event_count
            >= {{ seconds_between("measures.started_at", "measures.ended_at") }} as is_machine_paced
        from measures
        left join entries on measures.session_id = entries.session_id
        left join channels on {{ is_entry_of_channel("entries", "entries.referrer_host") }}
    )

select *
from final
