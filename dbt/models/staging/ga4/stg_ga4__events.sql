{#
    Google's own reading of where a visitor came from, best first: what came with the event, what Google read from
    its page, and on a first visit what first brought the visitor. Placeholders such as (direct) say nothing.
#}
{% set entry = {
    "utm_source": ["manual_source", "param_source", "first_source"],
    "utm_medium": ["manual_medium", "param_medium", "first_medium"],
    "utm_campaign": ["manual_campaign", "param_campaign", "first_campaign"],
    "utm_term": ["manual_term", "param_term"],
    "utm_content": ["manual_content", "param_content"],
} %}
{#
    Events have no id. What was sent apart differs in the fields of the contract's key; a website's events of one
    request share those where they are older than the batch numbers, and differ in what they say. Fields that Google
    works out later are no part of the key: a table exported again holds the same events.
#}
{% set sent_apart = [
    "stream_id",
    "user_pseudo_id",
    "exported.event_timestamp",
    "exported.event_name",
    "event_bundle_sequence_id",
    "batch_page_id",
    "batch_ordering_id",
    "batch_event_index",
] %}
{% set said = [
    "user_id",
    "page_location",
    "page_referrer",
    "engagement_ms",
    "percent_scrolled",
    "link_url",
    "link_id",
    "file_name",
    "video_url",
    "video_percent",
    "form_id",
    "form_name",
    "screen_class",
    "content_type",
    "content_id",
    "promotion_name",
    "item_list_name",
    "value_amount",
    "currency",
    "param_transaction_id",
    "items",
] %}
{% set is_first = "event_name in ('first_visit', 'first_open')" %}

with
    exported as (select * from {{ source("ga4", "events") }} where {{ is_known("available_at") }}),

    taxonomy as (select * from {{ ref("event_taxonomy") }}),

    {# Pages the business knows by the first part of their address; all others are just pages. #}
    known_pages as (select event_name from taxonomy where source = 'ga4' and event_name like 'page_view:%'),

    named as (
        select
            exported.*,
            coalesce(known_pages.event_name, exported.event_name) as known_name,
            {{ digest(sent_apart + said) }} as event_key
        from exported
        left join
            known_pages
            on exported.event_name = 'page_view'
            and known_pages.event_name
            = 'page_view:' || lower({{ url_first_path_part("exported.page_location") }})
    ),

    {# In the event's currency if it names one, else in dollars as Google converts it. Refunds go back. #}
    amounts as (
        select
            *,
            case
                event_name
                when 'purchase'
                then coalesce(purchase_revenue, value_amount)
                when 'refund'
                then - abs(coalesce(refund_value, value_amount))
            end as local_amount,
            case
                event_name
                when 'purchase'
                then coalesce(purchase_revenue_in_usd, event_value_in_usd)
                when 'in_app_purchase'
                then event_value_in_usd
                when 'refund'
                then - abs(coalesce(refund_value_in_usd, event_value_in_usd))
            end as dollar_amount
        from named
    ),

    priced as (
        select
            *,
            case
                when currency is not null and local_amount is not null then local_amount else dollar_amount
            end as amount,
            case
                when currency is not null and local_amount is not null then upper(currency) else 'USD'
            end as amount_currency
        from amounts
    ),

    final as (
        select
            event_key,
            'ga4' as source,
            'events' as source_table,
            known_name as event_name,
            _occurred_at as occurred_at,
            available_at,
            user_pseudo_id as device_id,
            user_id,
            nullif(page_location, '') as url,
            nullif(page_referrer, '') as referrer,
            {% for name, columns in entry.items() %}
                coalesce(
                    {% for column in columns %}
                        case
                            when
                                {{ column }} not like '(%)' and {{ column }} not like '<%>'
                                {% if column.startswith("first_") %} and {{ is_first }} {% endif %}
                            then {{ column }}
                        end
                        {%- if not loop.last %}, {% endif %}
                    {% endfor %}
                ) as {{ name }},
            {% endfor %}
            case
                when coalesce(gclid, dclid, param_gclid) is not null
                then 'google'
                else {{ click_id_type("page_location") }}
            end as click_id_type,
            lower(device_category) as device_type,
            os_name as os,
            os_version,
            app_version,
            country,
            case
                when event_name in ('purchase', 'refund')
                then
                    {{
                        order_key(
                            "ga4",
                            "events",
                            "coalesce(nullif(transaction_id, '(not set)'), param_transaction_id)",
                        )
                    }}
            end as order_id,
            cast(amount as decimal(18, 2)) as revenue,
            case when amount is not null then amount_currency end as currency,
            {{
                json_object_of(
                    {
                        "stream": "stream_id",
                        "platform": "platform",
                        "browser": "browser",
                        "screen": "screen_class",
                        "method": "method",
                        "form": "coalesce(form_name, form_id)",
                        "link": "nullif(link_url, '')",
                        "file": "file_name",
                        "video": "nullif(video_url, '')",
                        "content": "content_id",
                        "product": json_text("items", "$[0].item_name"),
                        "pieces": "total_item_quantity",
                        "payment_type": "payment_type",
                        "coupon": "coupon",
                        "promotion": "promotion_name",
                        "value": "value_amount",
                    }
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from priced
    )

select *
from final
