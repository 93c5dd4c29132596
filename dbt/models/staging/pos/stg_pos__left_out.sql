{# Rows that could have been events and are not, for ops.dropped_rows. #}
with
    visits as (select * from {{ source("pos", "visits") }} where {{ is_known("available_at") }}),

    counted as (
        select
            'visits' as source_table,
            'a sale or refund without amount or currency' as reason,
            count(*) as row_count
        from visits
        where lower(trim(type)) in ('sale', 'refund') and (amount is null or currency is null)
    ),

    final as (select *, 'pos' as source from counted where row_count > 0)

select *
from final
