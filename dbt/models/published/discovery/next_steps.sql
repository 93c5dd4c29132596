with
    state_transitions as (select * from {{ source("journeys", "state_transitions") }}),

    final as (
        select
            journey,
            step,
            next,
            transition_count,
            round(probability, 6) as probability,
            round(probability_low, 6) as probability_low,
            round(probability_high, 6) as probability_high,
            top_rank
        from state_transitions
    )

select *
from final
