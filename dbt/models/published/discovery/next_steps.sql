with
    state_transitions as (select * from {{ source("journeys", "state_transitions") }}),

    final as (
        select
            journey,
            step,
            next,
            transition_count,
            {{ rounded("probability") }} as probability,
            {{ rounded("probability_low") }} as probability_low,
            {{ rounded("probability_high") }} as probability_high,
            top_rank
        from state_transitions
    )

select *
from final
