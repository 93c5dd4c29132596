{# Rows that could have been events and are not, for ops.dropped_rows. #}
with
    tickets as (
        select distinct id
        from {{ source("zendesk", "tickets") }}
        where status <> 'deleted' and {{ is_known("available_at") }}
    ),

    comments as (
        select * from {{ source("zendesk", "ticket_comments") }} where {{ is_known("available_at") }}
    ),

    ratings as (
        select * from {{ source("zendesk", "satisfaction_ratings") }} where {{ is_known("available_at") }}
    ),

    counted as (
        select
            'ticket_comments' as source_table,
            'its ticket is unknown or deleted' as reason,
            count(*) as row_count
        from comments
        where ticket_id not in (select id from tickets)
        union all
        select 'satisfaction_ratings', 'no rating was asked for or given', count(*)
        from ratings
        where score not in ('offered', 'good', 'bad')
    ),

    final as (select *, 'zendesk' as source from counted where row_count > 0)

select *
from final
