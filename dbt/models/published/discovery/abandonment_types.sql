with
    abandonment as (select * from {{ source("journeys", "abandonment") }}),

    final as (
        select
            journey,
            abandonment_type,
            name,
            description,
            attempt_count,
            {{ rounded("share_rate") }} as share_rate,
            {{ rounded("share_low") }} as share_low,
            {{ rounded("share_high") }} as share_high,
            main_stage,
            main_touchpoint,
            {{ rounded("median_seconds", 4) }} as median_seconds,
            main_signal
        from abandonment
    )

select *
from final
