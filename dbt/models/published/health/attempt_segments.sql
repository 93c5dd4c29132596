{#
    The segment of the person on the Monday of the week in which an attempt started, as assigned from what was known
    before it: nothing that happens in the attempt can move it to another segment.
#}
with
    spans as (
        select attempt_id, person_id, journey, {{ week_start("started_at") }} as week_start_date
        from {{ ref("attempt_spans") }}
    ),

    history as (select * from {{ source("predictions", "segment_history") }}),

    final as (
        select
            spans.attempt_id,
            spans.journey,
            spans.week_start_date,
            coalesce(
                history.segment, case when {{ has_segments() }} then 'unassigned' end
            ) as assigned_segment
        from spans
        left join
            history
            on spans.person_id = history.person_id
            and spans.week_start_date >= history.valid_from
            and spans.week_start_date < coalesce(history.valid_to, date '9999-12-31')
    )

select *
from final
