{# Rows that could have been events and are not, for ops.dropped_rows. #}
with
    conversations as (
        select * from {{ source("chat", "conversations") }} where {{ is_known("available_at") }}
    ),

    counted as (
        select 'its rating is neither good nor bad nor from 1 to 5' as reason, count(*) as row_count
        from conversations
        where lower(rating) not in ('good', 'bad', '1', '2', '3', '4', '5')
        union all
        select 'it ends after the day of this run', count(*)
        from conversations
        where not ({{ is_known("ended_at") }})
    ),

    final as (select 'chat' as source, 'conversations' as source_table, * from counted where row_count > 0)

select *
from final
