with
    tracks as (select * from {{ source("segment", "tracks") }}),

    pages as (select * from {{ source("segment", "pages") }}),

    taxonomy as (select * from {{ ref("event_taxonomy") }}),

    {# Pages the business knows by name; all others are just pages. #}
    known_pages as (
        select lower(event_name) as lower_name, min(event_name) as event_name
        from taxonomy
        where source = 'segment' and event_name like 'Viewed % Page'
        group by 1
    ),

    track_events as (
        select
            message_id as event_key,
            'tracks' as source_table,
            event as event_name,
            coalesce(_occurred_at, corrected_timestamp, received_at) as occurred_at,
            sent_at,
            received_at,
            available_at,
            anonymous_id as device_id,
            user_id,
            email,
            phone,
            group_id as account_id,
            nullif(page_url, '') as url,
            nullif(page_referrer, '') as referrer,
            campaign_source as utm_source,
            campaign_medium as utm_medium,
            campaign_name as utm_campaign,
            campaign_term as utm_term,
            campaign_content as utm_content,
            user_agent,
            device_type,
            os_name,
            os_version,
            app_version,
            country,
            {{
                order_key(
                    "segment",
                    "tracks",
                    "coalesce(invoice_id, order_id, case when event like '% Cancelled' then subscription_id end)",
                )
            }}
            as order_id,
            revenue,
            case when revenue is not null then upper(coalesce(currency, 'USD')) end as currency,
            {{
                json_object_of(
                    {
                        "plan": "plan",
                        "product": "product",
                        "feature": "feature",
                        "step": "step",
                        "step_name": "step_name",
                        "page_seconds": "page_seconds",
                        "hesitation_ms": "hesitation_ms",
                        "webinar": "webinar",
                        "form": "form",
                        "error_code": "error_code",
                        "reason": "reason",
                    }
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from tracks
    ),

    {# Newer libraries repeat the name among the properties; a call without one is named by its address. #}
    named_pages as (
        select
            *,
            coalesce(url, page_url) as seen_url,
            coalesce(referrer, page_referrer) as seen_referrer,
            coalesce(
                name, page_property_name, {{ url_first_path_part("coalesce(url, page_url)") }}
            ) as page_name
        from pages
    ),

    page_events as (
        select
            named_pages.message_id as event_key,
            'pages' as source_table,
            coalesce(known_pages.event_name, 'Page Viewed') as event_name,
            coalesce(
                named_pages._occurred_at, named_pages.corrected_timestamp, named_pages.received_at
            ) as occurred_at,
            named_pages.sent_at,
            named_pages.received_at,
            named_pages.available_at,
            named_pages.anonymous_id as device_id,
            named_pages.user_id,
            cast(null as varchar) as email,
            cast(null as varchar) as phone,
            named_pages.group_id as account_id,
            nullif(named_pages.seen_url, '') as url,
            nullif(named_pages.seen_referrer, '') as referrer,
            named_pages.campaign_source as utm_source,
            named_pages.campaign_medium as utm_medium,
            named_pages.campaign_name as utm_campaign,
            named_pages.campaign_term as utm_term,
            named_pages.campaign_content as utm_content,
            named_pages.user_agent,
            named_pages.device_type,
            named_pages.os_name,
            named_pages.os_version,
            named_pages.app_version,
            named_pages.country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as varchar) as currency,
            {{
                json_object_of(
                    {
                        "page": "coalesce(named_pages.name, named_pages.page_property_name)",
                        "category": "coalesce(named_pages.category, named_pages.page_property_category)",
                    }
                )
            }} as properties,
            named_pages._file_id,
            named_pages._row_number,
            named_pages._row_key,
            named_pages._loaded_at
        from named_pages
        left join known_pages on lower('Viewed ' || named_pages.page_name || ' Page') = known_pages.lower_name
    ),

    calls as (
        select *
        from track_events
        union all
        select *
        from page_events
    ),

    final as (
        select
            event_key,
            'segment' as source,
            source_table,
            event_name,
            occurred_at,
            sent_at,
            received_at,
            available_at,
            device_id,
            user_id,
            email,
            phone,
            account_id,
            url,
            referrer,
            utm_source,
            utm_medium,
            utm_campaign,
            utm_term,
            utm_content,
            {{ click_id_type("url") }} as click_id_type,
            user_agent,
            {{ device_type("device_type", "user_agent") }} as device_type,
            {{ operating_system("os_name", "user_agent") }} as os,
            os_version,
            app_version,
            country,
            order_id,
            revenue,
            currency,
            properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from calls
        where {{ is_known("available_at") }}
    )

select *
from final
