{# Rows that could have been events and are not, for ops.dropped_rows. #}
with
    reviews as (select * from {{ source("reviews", "reviews") }} where {{ is_known("available_at") }}),

    counted as (
        select 'reviews' as source_table, 'its rating is not between 1 and 5' as reason, count(*) as row_count
        from reviews
        where rating not between 1 and 5
    ),

    final as (select *, 'reviews' as source from counted where row_count > 0)

select *
from final
