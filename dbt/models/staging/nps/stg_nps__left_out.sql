{# Rows whose answer is no event, for ops.dropped_rows. #}
with
    responses as (select * from {{ source("nps", "responses") }} where {{ is_known("available_at") }}),

    counted as (
        select
            'responses' as source_table, 'its score is not between 0 and 10' as reason, count(*) as row_count
        from responses
        where score not between 0 and 10
        union all
        select 'responses', 'it was answered after the day of this run', count(*)
        from responses
        where
            (score between 0 and 10 or (score is null and comment_text_id is not null))
            and not ({{ is_known("responded_at") }})
    ),

    final as (select *, 'nps' as source from counted where row_count > 0)

select *
from final
