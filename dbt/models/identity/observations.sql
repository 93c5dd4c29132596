{{ config(materialized="incremental", incremental_strategy="delete+insert", unique_key="observation_id") }}

-- depends_on: {{ ref("touched_identifiers") }}
with
    staged as (select * from {{ ref("staged_observations") }}),

    {% if is_incremental() %}
        staged_keys as (select distinct observation_id from staged where {{ is_new() }}),

        candidates as (
            select staged.*
            from staged
            inner join staged_keys on staged.observation_id = staged_keys.observation_id
        ),
    {% else %} candidates as (select * from staged),
    {% endif %}

    final as (
        select
            observation_id,
            source,
            {{ identifier_columns() | join(", ") }},
            order_id,
            occurred_at,
            available_at
        from candidates
    )

select *
from final
