with
    lines as (select * from {{ source("online_retail", "lines") }} where {{ is_known("available_at") }}),

    {# One event per invoice; its lines stay in raw. An invoice's lines name one customer and one country at most. #}
    invoices as (
        select
            invoice_no,
            min(_occurred_at) as occurred_at,
            max(available_at) as available_at,
            min(customer_id) as user_id,
            min(country) as country,
            sum(quantity * unit_price) as amount,
            count(*) as line_count,
            sum(quantity) as piece_count,
            max(case when quantity > 0 and unit_price > 0 then 1 else 0 end) as has_sale,
            min(_file_id) as _file_id,
            min(_row_number) as _row_number,
            min(_row_key) as _row_key,
            max(_loaded_at) as _loaded_at
        from lines
        group by invoice_no
    ),

    {# Invoices without a single piece sold at a price are corrections of stock, written as invoices by the shop. #}
    named as (
        select
            *,
            case
                when invoice_no like 'C%'
                then 'Order Cancelled'
                when invoice_no like 'A%'
                then 'Debt Adjusted'
                when has_sale = 1
                then 'Order Placed'
                else 'Stock Adjusted'
            end as event_name
        from invoices
    ),

    final as (
        select
            invoice_no as event_key,
            'online_retail' as source,
            'lines' as source_table,
            event_name,
            occurred_at,
            available_at,
            user_id,
            country,
            case
                when event_name in ('Order Placed', 'Order Cancelled')
                then {{ order_key("online_retail", "lines", "invoice_no") }}
            end as order_id,
            cast(amount as decimal(18, 2)) as revenue,
            'GBP' as currency,
            {{ json_object_of({"lines": "line_count", "pieces": "piece_count"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from named
    )

select *
from final
