{# Rows that could have been events and are not, for ops.dropped_rows. #}
with
    calls as (select * from {{ source("calls", "calls") }} where {{ is_known("available_at") }}),

    counted as (
        select 'its direction is neither inbound nor outbound' as reason, count(*) as row_count
        from calls
        where lower(direction) not in ('inbound', 'outbound')
        union all
        select 'it ends after the day of this run', count(*)
        from calls
        where lower(direction) in ('inbound', 'outbound') and not ({{ is_known("ended_at") }})
    ),

    final as (select 'calls' as source, 'calls' as source_table, * from counted where row_count > 0)

select *
from final
