with
    journeys as (select * from {{ ref("journeys") }}),

    starts as (select journey, {{ split_to_rows("start_events") }} as item from journeys),

    successes as (select journey, {{ split_to_rows("success_events") }} as item from journeys),

    failures as (select journey, {{ split_to_rows("failure_events") }} as item from journeys),

    roles as (
        select journey, item, true as is_start, false as is_success, false as is_failure
        from starts
        union all
        select journey, item, false, true, false
        from successes
        union all
        select journey, item, false, false, true
        from failures
    ),

    final as (
        select
            journey,
            {{ named_event("item") }} as event,
            {{ least_rating("item") }} as least_rating,
            bool_or(is_start) as is_start,
            bool_or(is_success) as is_success,
            bool_or(is_failure) as is_failure
        from roles
        where item <> ''
        group by journey, item
    )

select *
from final
