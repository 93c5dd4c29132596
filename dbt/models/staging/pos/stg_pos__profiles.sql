with
    visits as (select * from {{ source("pos", "visits") }}),

    {# Name and address that the till wrote down stand in the vault, under the same file and row. #}
    final as (
        select
            transaction_id || '|' || cast(_row_key as varchar) as profile_key,
            'pos' as source,
            'visits' as source_table,
            local_time as changed_at,
            available_at,
            email,
            loyalty_card as crm_id,
            card_id,
            country,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from visits
        where (loyalty_card is not null or email is not null) and {{ is_known("available_at") }}
    )

select *
from final
