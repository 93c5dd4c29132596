with
    what_ifs as (select * from {{ source("journeys", "what_ifs") }}),

    final as (
        select
            journey,
            change,
            step,
            {{ rounded("conversion_before") }} as conversion_before,
            {{ rounded("conversion_after") }} as conversion_after,
            {{ rounded("difference") }} as difference,
            {{ rounded("difference_low") }} as difference_low,
            {{ rounded("difference_high") }} as difference_high,
            is_offered,
            reason
        from what_ifs
    )

select *
from final
