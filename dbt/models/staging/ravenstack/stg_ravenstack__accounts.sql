with
    accounts as (select * from {{ source("ravenstack", "accounts") }}),

    {# The files carry no date: what they say of the present was true on the latest day the source speaks of. #}
    source_days as (
        select max(available_at) as latest_at
        from accounts
        {% for table_name in ["subscriptions", "feature_usage", "support_tickets", "churn_events"] %}
            union all
            select max(available_at) as latest_at
            from {{ source("ravenstack", table_name) }}
        {% endfor %}
    ),

    export as (select max(latest_at) as exported_at from source_days),

    at_sign_up as (
        select
            account_id,
            _occurred_at as changed_at,
            available_at,
            industry,
            country,
            cast(null as varchar) as plan,
            cast(null as bigint) as seats,
            cast(null as boolean) as is_trial,
            cast(null as boolean) as is_churned,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from accounts
    ),

    at_export as (
        select
            accounts.account_id,
            export.exported_at as changed_at,
            export.exported_at as available_at,
            accounts.industry,
            accounts.country,
            accounts.plan_tier as plan,
            accounts.seats,
            accounts.is_trial,
            accounts.churn_flag as is_churned,
            accounts._file_id,
            accounts._row_number,
            accounts._row_key,
            accounts._loaded_at
        from accounts
        cross join export
    ),

    versions as (
        select *
        from at_sign_up
        union all
        select *
        from at_export
    ),

    final as (
        select *, 'ravenstack' as source, 'accounts' as source_table
        from versions
        where {{ is_known("available_at") }}
    )

select *
from final
