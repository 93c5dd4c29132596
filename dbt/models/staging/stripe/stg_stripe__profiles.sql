with
    customers as (select * from {{ source("stripe", "customers") }}),

    {# A version speaks of the day it was exported; a customer's creation is the only time the object itself tells. #}
    final as (
        select
            id || '|' || cast(_row_key as varchar) as profile_key,
            'stripe' as source,
            'customers' as source_table,
            available_at as changed_at,
            available_at,
            customer_id as crm_id,
            user_id,
            email,
            phone,
            address_country as country,
            {{ json_text("preferred_locales", "$[0]") }} as language,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from customers
        where {{ is_known("available_at") }}
    )

select *
from final
