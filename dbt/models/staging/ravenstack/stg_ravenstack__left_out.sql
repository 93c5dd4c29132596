{# Rows that could have been events and are not, for ops.dropped_rows. #}
with
    subscriptions as (
        select subscription_id
        from {{ source("ravenstack", "subscriptions") }}
        where {{ is_known("available_at") }}
    ),

    feature_usage as (
        select * from {{ source("ravenstack", "feature_usage") }} where {{ is_known("available_at") }}
    ),

    counted as (
        select
            'feature_usage' as source_table,
            'its subscription has not been exported' as reason,
            count(*) as row_count
        from feature_usage
        where subscription_id not in (select subscription_id from subscriptions)
    ),

    final as (select *, 'ravenstack' as source from counted where row_count > 0)

select *
from final
