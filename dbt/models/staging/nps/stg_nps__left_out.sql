{# Rows whose answer is no event, for ops.dropped_rows. #}
with
    responses as (select * from {{ source("nps", "responses") }} where {{ is_known("available_at") }}),

    counted as (
        select
            'responses' as source_table, 'its score is not between 0 and 10' as reason, count(*) as row_count
        from responses
        where score not between 0 and 10
    ),

    final as (select *, 'nps' as source from counted where row_count > 0)

select *
from final
