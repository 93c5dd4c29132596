with
    users as (select * from {{ source("zendesk", "users") }}),

    {# Staff answer tickets; only customers have journeys. #}
    final as (
        select
            id || '|' || cast(_row_key as varchar) as profile_key,
            'zendesk' as source,
            'users' as source_table,
            updated_at as changed_at,
            available_at,
            id as support_id,
            external_id as user_id,
            email,
            phone,
            organization_id as account_id,
            locale as language,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from users
        where role = 'end-user' and {{ is_known("available_at") }}
    )

select *
from final
