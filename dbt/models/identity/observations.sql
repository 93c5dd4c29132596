{{ config(materialized="view") }}

with
    events as (select * from {{ ref("events") }}),

    profiles as (select * from {{ ref("profiles") }}),

    final as (
        select
            source, {{ identifier_columns() | join(", ") }}, order_id, occurred_at, available_at, _loaded_at,
        from events
        union all
        select
            source,
            {{ identifier_columns() | join(", ") }},
            cast(null as varchar) as order_id,
            changed_at as occurred_at,
            available_at,
            _loaded_at,
        from profiles
    )

select *
from final
