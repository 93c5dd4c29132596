{{ config(materialized="view") }}

with
    events as (select * from {{ ref("events") }}),

    profiles as (select * from {{ ref("profiles") }}),

    final as (
        select
            {{ small_digest(["source", "source_table", "event_key"]) }} as observation_id,
            source,
            {{ identifier_columns() | join(", ") }},
            order_id,
            occurred_at,
            available_at,
            _loaded_at
        from events
        union all
        select
            {{ small_digest(["source", "source_table", "profile_key", "'profile'"]) }} as observation_id,
            source,
            {{ identifier_columns() | join(", ") }},
            cast(null as varchar) as order_id,
            changed_at as occurred_at,
            available_at,
            _loaded_at
        from profiles
    )

select *
from final
