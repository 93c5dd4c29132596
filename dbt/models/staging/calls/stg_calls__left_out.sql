{# Rows that could have been events and are not, for ops.dropped_rows. #}
with
    calls as (select * from {{ source("calls", "calls") }} where {{ is_known("available_at") }}),

    final as (
        select
            'calls' as source,
            'calls' as source_table,
            'its direction is neither inbound nor outbound' as reason,
            count(*) as row_count
        from calls
        where lower(direction) not in ('inbound', 'outbound')
        having count(*) > 0
    )

select *
from final
