with
    demographics as (select * from {{ source("complete_journey", "demographics") }}),

    {# Who a household is, in bands, has no column in the canonical shape and stays in raw. #}
    final as (
        select
            household_id || '|' || cast(_row_key as varchar) as profile_key,
            'complete_journey' as source,
            'demographics' as source_table,
            available_at as changed_at,
            available_at,
            household_id as crm_id,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from demographics
        where {{ is_known("available_at") }}
    )

select *
from final
