with
    reports as (
        select * from {{ source("google_ads", "campaign_daily") }} where {{ is_known("available_at") }}
    ),

    {# A report split by a further segment, such as the device, has several rows of a campaign and day. #}
    versions as (
        select
            customer_id,
            campaign_id,
            spend_date,
            _file_id,
            max(time_zone) as time_zone,
            max(upper(currency_code)) as currency,
            max(coalesce(campaign_name, campaign_id)) as campaign,
            max(lower(advertising_channel_type)) as channel_type,
            sum(cast(cost_micros as decimal(24, 0))) as cost_micros,
            cast(sum(impressions) as bigint) as impressions,
            cast(sum(clicks) as bigint) as clicks,
            max(available_at) as available_at,
            min(_row_number) as _row_number,
            min(_row_key) as _row_key,
            max(_loaded_at) as _loaded_at
        from reports
        group by customer_id, campaign_id, spend_date, _file_id
    ),

    {# Within a day figures grow: of two files of one day the one with more in it is the later. #}
    ranked as (
        select
            *,
            row_number() over (
                partition by customer_id, campaign_id, spend_date
                order by available_at desc, impressions desc, cost_micros desc, _file_id
            ) as recency
        from versions
    ),

    {# The kind of campaign stands in for the medium. #}
    figures as (
        select
            *,
            'google_ads' as source,
            'google' as utm_source,
            channel_type as utm_medium,
            cast(null as varchar) as click_id_type
        from ranked
        where recency = 1
    ),

    kinds_of_entry as (
        select distinct source, utm_source, utm_medium, click_id_type, cast(null as varchar) as referrer_host
        from figures
    ),

    {{ channel_ctes() }},

    final as (
        select
            figures.spend_date,
            figures.time_zone as spend_timezone,
            figures.source,
            'google_ads' as platform,
            figures.customer_id as ad_account,
            figures.campaign_id,
            figures.campaign,
            coalesce(channels.channel, 'other') as channel,
            cast(figures.cost_micros * cast(0.000001 as decimal(7, 6)) as decimal(24, 6)) as cost,
            figures.currency,
            figures.impressions,
            figures.clicks,
            figures.available_at,
            figures._file_id,
            figures._row_number,
            figures._row_key,
            figures._loaded_at
        from figures
        left join channels on {{ is_entry_of_channel("figures", "cast(null as varchar)") }}
    )

select *
from final
