{# Rows that spend does not count, for ops.dropped_rows. #}
with
    reports as (
        select * from {{ source("google_ads", "campaign_daily") }} where {{ is_known("available_at") }}
    ),

    spend as (select * from {{ ref("stg_google_ads__spend") }}),

    restated as (
        select count(*) as row_count
        from reports
        inner join
            spend
            on reports.customer_id = spend.ad_account
            and reports.campaign_id = spend.campaign_id
            and reports.spend_date = spend.spend_date
        where reports._file_id <> spend._file_id
    ),

    final as (
        select
            'google_ads' as source,
            'campaign_daily' as source_table,
            'a later report of the day restates it' as reason,
            row_count
        from restated
        where row_count > 0
    )

select *
from final
