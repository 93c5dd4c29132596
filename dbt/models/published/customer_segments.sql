with
    customers as (select * from {{ ref("customers") }}),

    segments as (select * from {{ source("predictions", "segments") }}),

    {# Who is in no segment has a row too, so that the counts add up to all customers. #}
    listed as (
        select segment, name, description
        from segments
        union all
        select
            'unassigned',
            'Unassigned',
            'Customers who have not done enough yet, or whom only company records speak of.'
        where {{ has_segments() }}
    ),

    {# What the company got from each person, refunds taken off. #}
    paid as (
        select person_id, currency, sum(revenue) as paid_amount
        from {{ ref("customer_events") }}
        where revenue is not null
        group by person_id, currency
    ),

    paid_by_segment as (
        select
            customers.segment,
            sum(paid.paid_amount) as paid_amount,
            min(paid.currency) as currency,
            count(distinct paid.currency) as currency_count
        from customers
        inner join paid on customers.person_id = paid.person_id
        group by customers.segment
    ),

    counted as (
        select segment, count(*) as customer_count, count(first_bought_at) as converted_count
        from customers
        group by segment
    ),

    gridded as (
        select
            listed.segment,
            listed.name,
            coalesce(counted.customer_count, 0) as customer_count,
            coalesce(counted.converted_count, 0) as converted_count,
            paid_by_segment.paid_amount,
            paid_by_segment.currency,
            paid_by_segment.currency_count,
            listed.description
        from listed
        left join counted on listed.segment = counted.segment
        left join paid_by_segment on listed.segment = paid_by_segment.segment
    ),

    final as (
        select
            segment,
            name,
            customer_count,
            converted_count,
            round(converted_count / nullif(customer_count, 0), 6) as conversion_rate,
            round({{ wilson_low("converted_count", "customer_count") }}, 6) as conversion_low,
            round({{ wilson_high("converted_count", "customer_count") }}, 6) as conversion_high,
            cast(
                case when currency_count = 1 then paid_amount / customer_count end as decimal(18, 2)
            ) as value_amount,
            case when currency_count = 1 then currency end as value_currency,
            description
        from gridded
    )

select *
from final
