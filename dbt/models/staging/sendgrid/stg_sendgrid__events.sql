with
    events as (select * from {{ source("sendgrid", "events") }}),

    final as (
        select
            event_id as event_key,
            'sendgrid' as source,
            'events' as source_table,
            {# What a mail program fetches by itself is nobody's reading. #}
            case when event = 'open' and is_machine_open then 'open.machine' else event end as event_name,
            occurred_at,
            available_at,
            user_id,
            email,
            nullif(url, '') as url,
            {{ url_parameter("url", "utm_source") }} as utm_source,
            {{ url_parameter("url", "utm_medium") }} as utm_medium,
            coalesce(
                {{ url_parameter("url", "utm_campaign") }}, campaign, singlesend_name, marketing_campaign_name
            ) as utm_campaign,
            {{ url_parameter("url", "utm_term") }} as utm_term,
            {{ url_parameter("url", "utm_content") }} as utm_content,
            {{ click_id_type("url") }} as click_id_type,
            user_agent,
            {{ device_type("null", "user_agent") }} as device_type,
            {{ operating_system("null", "user_agent") }} as os,
            {{
                json_object_of(
                    {
                        "message": "message_id",
                        "category": "category",
                        "group": "unsubscribe_group",
                        "attempt": "attempt",
                        "bounce": "bounce_type",
                        "classification": "bounce_classification",
                        "status": "status",
                    }
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from events
        where {{ is_known("available_at") }}
    )

select *
from final
