{#
    The set is one export of a year: what happened becomes known a day later. A campaign's households and its days stand in
    two tables; the send waits in raw until both have come.
#}
{% set delay_hours = 24 %}

with
    campaigns as (
        select * from {{ source("complete_journey", "campaigns") }} where {{ is_known("available_at") }}
    ),

    descriptions as (
        select
            *,
            max(_loaded_at) over (partition by campaign_id) as last_loaded_at,
            row_number() over (partition by campaign_id order by available_at, _row_key) as version
        from {{ source("complete_journey", "campaign_descriptions") }}
        where {{ is_known("available_at") }}
    ),

    redemptions as (select * from {{ source("complete_journey", "coupon_redemptions") }}),

    lines as (
        select * from {{ source("complete_journey", "transactions") }} where {{ is_known("available_at") }}
    ),

    {# A campaign described anew does not move what has been sent. #}
    sends as (
        select
            campaigns.campaign_id || '|' || campaigns.household_id as event_key,
            'campaigns' as source_table,
            'Campaign Sent' as event_name,
            descriptions.start_at as occurred_at,
            greatest(
                campaigns.available_at,
                descriptions.available_at,
                {{ plus_hours("descriptions.start_at", delay_hours) }}
            ) as available_at,
            campaigns.household_id as crm_id,
            'complete_journey' as utm_source,
            'direct_mail' as utm_medium,
            campaigns.campaign_id as utm_campaign,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            {{
                json_object_of(
                    {
                        "campaign": "campaigns.campaign_id",
                        "type": "descriptions.campaign_type",
                        "ends": "descriptions.end_date",
                    }
                )
            }} as properties,
            campaigns._file_id,
            campaigns._row_number,
            campaigns._row_key,
            greatest(campaigns._loaded_at, descriptions.last_loaded_at) as _loaded_at
        from campaigns
        inner join
            descriptions on campaigns.campaign_id = descriptions.campaign_id and descriptions.version = 1
    ),

    redeemed as (
        select
            campaign_id
            || '|'
            || coupon_upc
            || '|'
            || cast(cast(redeemed_at as date) as varchar)
            || '|'
            || household_id as event_key,
            'coupon_redemptions' as source_table,
            'Coupon Redeemed' as event_name,
            _occurred_at as occurred_at,
            available_at,
            household_id as crm_id,
            cast(null as varchar) as utm_source,
            cast(null as varchar) as utm_medium,
            cast(null as varchar) as utm_campaign,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            {{ json_object_of({"campaign": "campaign_id", "coupon": "coupon_upc"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from redemptions
    ),

    {#
        One event per basket; its lines stay in raw, and name one household, one store and one instant. The customer paid
        what the retailer received less the manufacturer's coupon, which the manufacturer paid; the retailer's own
        discounts are off sales_value already (user guide of the set, section transactions).
    #}
    baskets as (
        select
            basket_id,
            min(_occurred_at) as occurred_at,
            max(available_at) as available_at,
            min(household_id) as crm_id,
            min(store_id) as store_id,
            sum(sales_value - coupon_disc) as amount,
            sum(coalesce(retail_disc, 0) + coalesce(coupon_match_disc, 0)) as retail_discount,
            sum(coupon_disc) as coupon_discount,
            count(*) as line_count,
            min(_file_id) as _file_id,
            min(_row_number) as _row_number,
            min(_row_key) as _row_key,
            max(_loaded_at) as _loaded_at
        from lines
        group by basket_id
    ),

    orders as (
        select
            basket_id as event_key,
            'transactions' as source_table,
            'Order Placed' as event_name,
            occurred_at,
            available_at,
            crm_id,
            cast(null as varchar) as utm_source,
            cast(null as varchar) as utm_medium,
            cast(null as varchar) as utm_campaign,
            {{ order_key("complete_journey", "transactions", "basket_id") }} as order_id,
            cast(amount as decimal(18, 2)) as revenue,
            {{
                json_object_of(
                    {
                        "store": "store_id",
                        "lines": "line_count",
                        "retail_discount": "retail_discount",
                        "coupon_discount": "coupon_discount",
                    }
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from baskets
    ),

    events as (
        select *
        from sends
        union all
        select *
        from redeemed
        union all
        select *
        from orders
    ),

    final as (
        select *, 'complete_journey' as source, case when revenue is not null then 'USD' end as currency
        from events
        where {{ is_known("available_at") }}
    )

select *
from final
