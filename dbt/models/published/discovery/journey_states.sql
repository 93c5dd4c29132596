with
    states as (select * from {{ source("journeys", "states") }}),

    final as (
        select
            journey,
            model_order,
            state,
            stage_order,
            touchpoint,
            visit_count,
            round(success_probability, 6) as success_probability,
            round(success_low, 6) as success_low,
            round(success_high, 6) as success_high,
            round(expected_steps, 4) as expected_steps,
            round(observed_conversion_rate, 6) as observed_conversion_rate,
            round(observed_low, 6) as observed_low,
            round(observed_high, 6) as observed_high,
            round(chain_conversion_rate, 6) as chain_conversion_rate,
            is_reproduced
        from states
    )

select *
from final
