with
    companies as (select * from {{ source("hubspot", "companies") }}),

    final as (
        select
            account_id,
            'hubspot' as source,
            'companies' as source_table,
            modified_at as changed_at,
            available_at,
            industry,
            country,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from companies
        where account_id is not null and {{ is_known("available_at") }}
    )

select *
from final
