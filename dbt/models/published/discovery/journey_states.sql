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
            {{ rounded("success_probability") }} as success_probability,
            {{ rounded("success_low") }} as success_low,
            {{ rounded("success_high") }} as success_high,
            {{ rounded("expected_steps", 4) }} as expected_steps,
            {{ rounded("observed_conversion_rate") }} as observed_conversion_rate,
            {{ rounded("observed_low") }} as observed_low,
            {{ rounded("observed_high") }} as observed_high,
            {{ rounded("chain_conversion_rate") }} as chain_conversion_rate,
            is_reproduced
        from states
    )

select *
from final
