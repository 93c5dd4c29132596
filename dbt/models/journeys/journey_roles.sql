with
    journeys as (select * from {{ ref("journeys") }}),

    starts as (select journey, {{ split_to_rows("start_events") }} as event from journeys),

    successes as (select journey, {{ split_to_rows("success_events") }} as event from journeys),

    failures as (select journey, {{ split_to_rows("failure_events") }} as event from journeys),

    roles as (
        select journey, event, true as is_start, false as is_success, false as is_failure
        from starts
        union all
        select journey, event, false, true, false
        from successes
        union all
        select journey, event, false, false, true
        from failures
    ),

    final as (
        select
            journey,
            event,
            bool_or(is_start) as is_start,
            bool_or(is_success) as is_success,
            bool_or(is_failure) as is_failure
        from roles
        where event <> ''
        group by journey, event
    )

select *
from final
