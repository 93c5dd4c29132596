with
    responses as (select * from {{ source("nps", "responses") }}),

    {# A version speaks of the day it was exported. #}
    final as (
        select
            response_id || '|' || cast(_row_key as varchar) as profile_key,
            'nps' as source,
            'responses' as source_table,
            available_at as changed_at,
            available_at,
            user_id,
            email,
            phone,
            locale as language,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from responses
        where {{ is_known("available_at") }}
    )

select *
from final
