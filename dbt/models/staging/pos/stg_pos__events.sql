with
    visits as (
        select *, lower(trim(type)) as kind
        from {{ source("pos", "visits") }}
        where {{ is_known("available_at") }}
    ),

    {# Money without its amount or currency is no order; `stg_pos__left_out` counts it. #}
    complete as (
        select *, coalesce(loyalty_card, card_id, email) is not null as is_named
        from visits
        where kind not in ('sale', 'refund') or (amount is not null and currency is not null)
    ),

    sales as (
        select
            transaction_id as sale_id,
            order_reference as sale_order_reference,
            loyalty_card as sale_loyalty_card,
            card_id as sale_card_id,
            email as sale_email,
            available_at as sale_available_at,
            _loaded_at as sale_loaded_at,
            row_number() over (partition by transaction_id order by available_at, _row_key) as version
        from visits
        where kind = 'sale'
    ),

    {#
        A refund belongs to the order of the sale that it pays back, and to its customer where the refund names nobody:
        two people's cards never meet on one row.
    #}
    receipts as (
        select *
        from complete
        left join
            sales on complete.kind = 'refund' and complete.refund_of = sales.sale_id and sales.version = 1
    ),

    final as (
        select
            transaction_id as event_key,
            'pos' as source,
            'visits' as source_table,
            case
                kind
                when 'visit'
                then 'Shop Visited'
                when 'sale'
                then 'Order Placed'
                when 'refund'
                then 'Order Refunded'
                else 'Other Transaction'
            end as event_name,
            local_time as occurred_at,
            greatest(available_at, sale_available_at) as available_at,
            case when is_named then email else sale_email end as email,
            case when is_named then loyalty_card else sale_loyalty_card end as crm_id,
            case when is_named then card_id else sale_card_id end as card_id,
            country,
            case
                kind
                when 'sale'
                then {{ order_key("pos", "visits", "coalesce(order_reference, transaction_id)") }}
                when 'refund'
                then
                    {{
                        order_key(
                            "pos", "visits", "coalesce(order_reference, sale_order_reference, refund_of)"
                        )
                    }}
            end as order_id,
            case kind when 'sale' then amount when 'refund' then - abs(amount) end as revenue,
            case when kind in ('sale', 'refund') then upper(currency) end as currency,
            {{
                json_object_of(
                    {
                        "store": "store",
                        "terminal": "terminal",
                        "type": "kind",
                        "items": "items",
                        "payment_method": "payment_method",
                        "order": "order_reference",
                        "refund_of": "refund_of",
                    }
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            greatest(_loaded_at, sale_loaded_at) as _loaded_at
        from receipts
    )

select *
from final
