with
    customers as (select * from {{ source("stripe", "customers") }}),

    charges as (select * from {{ source("stripe", "charges") }}),

    {# A version speaks of the day it was exported; a customer's creation is the only time the object itself tells. #}
    customer_profiles as (
        select
            id || '|' || cast(_row_key as varchar) as profile_key,
            'customers' as source_table,
            available_at as changed_at,
            available_at,
            customer_id as crm_id,
            user_id,
            email,
            phone,
            cast(null as varchar) as card_id,
            address_country as country,
            {{ json_text("preferred_locales", "$[0]") }} as language,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from customers
    ),

    {# The invoice tells of its payment, the charge alone with which card. #}
    card_profiles as (
        select
            id || '|' || cast(_row_key as varchar) as profile_key,
            'charges' as source_table,
            created as changed_at,
            available_at,
            customer_id as crm_id,
            user_id,
            cast(null as varchar) as email,
            cast(null as varchar) as phone,
            card_id,
            cast(null as varchar) as country,
            cast(null as varchar) as language,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from charges
        where
            invoice_id is not null
            and status = 'succeeded'
            and card_id is not null
            and customer_id is not null
    ),

    final as (
        select *, 'stripe' as source
        from customer_profiles
        where {{ is_known("available_at") }}
        union all
        select *, 'stripe' as source
        from card_profiles
        where {{ is_known("available_at") }}
    )

select *
from final
