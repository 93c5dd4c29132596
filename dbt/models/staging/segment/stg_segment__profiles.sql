with
    identifies as (select * from {{ source("segment", "identifies") }}),

    final as (
        select
            message_id as profile_key,
            'segment' as source,
            'identifies' as source_table,
            coalesce(_occurred_at, corrected_timestamp, received_at) as changed_at,
            available_at,
            anonymous_id as device_id,
            user_id,
            email,
            phone,
            coalesce(group_id, company_id) as account_id,
            coalesce(address_country, country) as country,
            locale as language,
            plan,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from identifies
        where {{ is_known("available_at") }}
    )

select *
from final
