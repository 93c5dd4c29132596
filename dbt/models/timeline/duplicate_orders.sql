{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{#
    Outcomes that several sources report under one business key: the report that was available first is the
    event, the others are listed here and stay out of the timeline.
#}
with
    identifiers as (select * from {{ source("identity", "identifiers") }}),

    outcomes as (select source, event_name, event from {{ ref("event_taxonomy") }} where kind = 'outcome'),

    orders as (
        select
            {{ component_of_event("event_keys", "identifiers", "orders") }} as component_id,
            event_keys.event_id,
            event_keys.source,
            event_keys.source_table,
            event_keys.order_id,
            outcomes.event,
            event_keys.available_at,
            event_keys.occurred_at
        from {{ ref("event_keys") }} as event_keys
        inner join
            outcomes on event_keys.source = outcomes.source and event_keys.event_name = outcomes.event_name
        left join identifiers on event_keys.owner_identifier = identifiers.identifier
        left join identifiers as orders on 'order:' || event_keys.order_id = orders.identifier
        where event_keys.order_id is not null
    ),

    ranked as (
        select *, first_value(event_id) over reports as kept_event_id, row_number() over reports as report
        from orders
        where {{ in_affected_component() }}
        window reports as (partition by order_id, event order by available_at, occurred_at, event_id)
    ),

    final as (
        select component_id, event_id, kept_event_id, source, source_table, order_id
        from ranked
        where report > 1
    )

select *
from final
