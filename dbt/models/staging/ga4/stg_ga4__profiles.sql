{# What an event says about a known user: that they signed up or in on this device, or the plan they are on. #}
with
    exported as (select * from {{ source("ga4", "events") }} where {{ is_known("available_at") }}),

    final as (
        select
            cast(_row_key as varchar) as profile_key,
            'ga4' as source,
            'events' as source_table,
            _occurred_at as changed_at,
            available_at,
            user_pseudo_id as device_id,
            user_id,
            country,
            language,
            plan,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from exported
        where user_id is not null and (plan is not null or event_name in ('login', 'sign_up'))
    )

select *
from final
