{# Rows that could have been events and are not, for ops.dropped_rows. #}
with
    descriptions as (
        select campaign_id
        from {{ source("complete_journey", "campaign_descriptions") }}
        where {{ is_known("available_at") }}
    ),

    campaigns as (
        select * from {{ source("complete_journey", "campaigns") }} where {{ is_known("available_at") }}
    ),

    counted as (
        select
            'campaigns' as source_table,
            'its campaign has not been described, so that its day is unknown' as reason,
            count(*) as row_count
        from campaigns
        where campaign_id not in (select campaign_id from descriptions)
    ),

    final as (select *, 'complete_journey' as source from counted where row_count > 0)

select *
from final
