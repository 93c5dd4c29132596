with
    contacts as (select * from {{ source("hubspot", "contacts") }} where {{ is_known("available_at") }}),

    {# A profile has one number: who has two has two. #}
    numbers as (
        select
            *,
            record_id || '|' || cast(_row_key as varchar) as profile_key,
            coalesce(mobile_phone, phone) as number
        from contacts
        union all
        select *, record_id || '|' || cast(_row_key as varchar) || '|phone', phone
        from contacts
        where phone <> mobile_phone
    ),

    final as (
        select
            profile_key,
            'hubspot' as source,
            'contacts' as source_table,
            modified_at as changed_at,
            available_at,
            user_id,
            email,
            number as phone,
            contact_id as crm_id,
            account_id,
            address_country as country,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from numbers
    )

select *
from final
