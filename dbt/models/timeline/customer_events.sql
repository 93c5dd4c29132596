{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

with
    stitched as (select * from {{ ref("stitched_events") }} where {{ in_affected_component() }}),

    staged as (select * from {{ ref("events") }}),

    sessions as (select * from {{ ref("sessions") }}),

    taxonomy as (select * from {{ ref("event_taxonomy") }}),

    user_agents as (select * from {{ ref("user_agents") }}),

    {# Own test sites, by host. #}
    own_sites as (select * from {{ ref("traffic_rules") }} where field = 'url_host'),

    hosts as (
        select distinct own_sites.traffic_class, own_sites.reason, site.host
        from (select distinct {{ url_host("url") }} as host from staged where url is not null) as site
        inner join own_sites on {{ matches("site.host", "own_sites.pattern") }}
    ),

    {# Outside a web session the source and the campaign on the event itself say the channel. #}
    kinds_of_entry as (
        select distinct
            stitched.source,
            staged.utm_source,
            staged.utm_medium,
            staged.click_id_type,
            cast(null as varchar) as referrer_host
        from stitched
        inner join
            staged
            on stitched._file_id = staged._file_id
            and stitched._row_number = staged._row_number
            and stitched.event_key = staged.event_key
        where stitched.session_id is null
    ),

    {{ channel_ctes() }},

    final as (
        select
            stitched.event_id,
            stitched.component_id,
            stitched.person_id,
            stitched.identity_tier,
            stitched.household_id,
            stitched.account_key,
            stitched.session_id,
            stitched.source,
            stitched.source_table,
            staged.event_name,
            coalesce(taxonomy.event, fallback.event) as event,
            coalesce(taxonomy.touchpoint, fallback.touchpoint) as touchpoint,
            coalesce(taxonomy.kind, fallback.kind) as kind,
            coalesce(taxonomy.lifecycle_stage, fallback.lifecycle_stage) as lifecycle_stage,
            stitched.occurred_at,
            staged.sent_at,
            staged.received_at,
            staged.available_at,
            {% for column in person_identifier_columns() %} staged.{{ column }},{% endfor %}
            staged.account_id,
            staged.url,
            staged.referrer,
            staged.utm_source,
            staged.utm_medium,
            staged.utm_campaign,
            staged.utm_term,
            staged.utm_content,
            staged.click_id_type,
            coalesce(sessions.channel, channels.channel, 'other') as channel,
            case
                when hosts.host is not null
                then hosts.traffic_class
                when user_agents.traffic_class <> 'human'
                then user_agents.traffic_class
                when sessions.is_machine_paced
                then 'bot'
                when staged.user_agent is null
                then 'unknown'
                else 'human'
            end as traffic_class,
            case
                when hosts.host is not null
                then hosts.reason
                when user_agents.traffic_class <> 'human'
                then user_agents.reason
                when sessions.is_machine_paced
                then 'one event a second or more, for sixty events'
                when staged.user_agent is null
                then 'no user agent'
            end as traffic_reason,
            staged.user_agent,
            staged.device_type,
            staged.os,
            staged.os_version,
            staged.app_version,
            staged.country,
            staged.order_id,
            staged.revenue,
            staged.currency,
            staged.rating,
            staged.text_id,
            staged.properties,
            stitched.has_analytics_consent,
            stitched.has_marketing_consent,
            stitched.has_personalisation_consent,
            staged._file_id,
            staged._row_number,
            staged._loaded_at
        from stitched
        inner join
            staged
            on stitched._file_id = staged._file_id
            and stitched._row_number = staged._row_number
            and stitched.event_key = staged.event_key
        left join sessions on stitched.session_id = sessions.session_id
        left join taxonomy on stitched.source = taxonomy.source and staged.event_name = taxonomy.event_name
        left join taxonomy as fallback on stitched.source = fallback.source and fallback.event_name = '*'
        left join user_agents on staged.user_agent = user_agents.user_agent
        left join hosts on {{ url_host("staged.url") }} = hosts.host
        left join
            channels
            on stitched.session_id is null
            and {{ is_entry_of_channel("staged", "cast(null as varchar)") }}
    )

select *
from final
order by person_id, occurred_at, event_id
