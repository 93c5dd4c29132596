with
    abandonment as (select * from {{ source("journeys", "abandonment") }}),

    final as (
        select
            journey,
            abandonment_type,
            name,
            description,
            attempt_count,
            round(share_rate, 6) as share_rate,
            round(share_low, 6) as share_low,
            round(share_high, 6) as share_high,
            main_stage,
            main_touchpoint,
            round(median_seconds, 4) as median_seconds,
            main_signal
        from abandonment
    )

select *
from final
