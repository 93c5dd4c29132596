with
    definitions as (select * from {{ source("journeys", "definitions") }}),

    final as (
        select
            journey,
            title,
            start_events,
            success_events,
            failure_events,
            window_days,
            is_repeatable,
            value_amount,
            value_currency,
            owner,
            guard_rails,
            attempt_count,
            problem
        from definitions
    )

select *
from final
