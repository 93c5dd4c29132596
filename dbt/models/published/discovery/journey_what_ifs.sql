with
    what_ifs as (select * from {{ source("journeys", "what_ifs") }}),

    final as (
        select
            journey,
            change,
            step,
            round(conversion_before, 6) as conversion_before,
            round(conversion_after, 6) as conversion_after,
            round(difference, 6) as difference,
            round(difference_low, 6) as difference_low,
            round(difference_high, 6) as difference_high,
            is_offered,
            reason
        from what_ifs
    )

select *
from final
