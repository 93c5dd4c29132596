-- G6: spend out = spend in, per account, campaign and day: each day that any report knows stands in spend
-- once,
-- with the figures of a report that nothing known restates, whether the campaign sold anything or not.
with
    spend as (select * from {{ ref("spend") }}),

    reported as (
        select
            'google_ads' as source,
            customer_id as ad_account,
            campaign_id,
            spend_date,
            available_at,
            _file_id,
            sum(cast(cost_micros as decimal(24, 0))) as cost_micros,
            sum(impressions) as impressions,
            sum(clicks) as clicks
        from {{ source("google_ads", "campaign_daily") }}
        where {{ is_known("available_at") }}
        group by customer_id, campaign_id, spend_date, available_at, _file_id
    ),

    latest as (
        select source, ad_account, campaign_id, spend_date, max(available_at) as available_at
        from reported
        group by source, ad_account, campaign_id, spend_date
    ),

    counted as (
        select
            source,
            ad_account,
            campaign_id,
            spend_date,
            count(*) as row_count,
            sum(cost * 1000000) as cost_micros
        from spend
        group by source, ad_account, campaign_id, spend_date
    ),

    agreeing as (
        select distinct spend.source, spend.ad_account, spend.campaign_id, spend.spend_date
        from spend
        inner join reported using (source, ad_account, campaign_id, spend_date, available_at)
        inner join latest using (source, ad_account, campaign_id, spend_date, available_at)
        where
            spend.cost * 1000000 = reported.cost_micros
            and spend.impressions = reported.impressions
            and spend.clicks = reported.clicks
    ),

    final as (
        select
            source,
            ad_account,
            campaign_id,
            spend_date,
            case
                when counted.row_count is null
                then 'the day is missing'
                when latest.available_at is null
                then 'no report knows the day'
                when counted.row_count > 1
                then 'the day is counted twice'
                else 'the figures are not those of the latest report'
            end as fault
        from latest
        full join counted using (source, ad_account, campaign_id, spend_date)
        left join agreeing using (source, ad_account, campaign_id, spend_date)
        where counted.row_count is distinct from 1 or agreeing.source is null
    )

select *
from final
