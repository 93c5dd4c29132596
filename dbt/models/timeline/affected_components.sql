{#
    The components this night rebuilds. A component is what evidence connects, shared devices and orders
    included, so everything the timeline says of a row depends on its component alone.
#}
with
    identifiers as (select * from {{ source("identity", "identifiers") }}),

    touched_events as (
        select event_id, owner_identifier, order_id
        from {{ ref("event_keys") }}
        where
            _loaded_at > cast('{{ var("previous_loaded_at") }}' as timestamp)
            or last_available_at > cast('{{ var("previous_as_of") }}' as timestamp)
    ),

    of_identity as (select component_id from {{ source("ops", "affected_components") }}),

    of_events as (
        select {{ component_of_event("touched_events", "identifiers", "orders") }} as component_id
        from touched_events
        left join identifiers on touched_events.owner_identifier = identifiers.identifier
        left join identifiers as orders on 'order:' || touched_events.order_id = orders.identifier
    ),

    of_consents as (
        select identifiers.component_id
        from {{ ref("consents") }} as consents
        inner join identifiers on consents.identifier = identifiers.identifier
        where {{ is_new("consents") }}
    ),

    {% set events_before = last_night("timeline", "customer_events") %}
    {% if events_before %}
        {# A key whose winning delivery changed may have left another component. #}
        of_former_owners as (
            select events.component_id
            from {{ events_before }} as events
            inner join touched_events on events.event_id = touched_events.event_id
        ),
    {% endif %}

    final as (
        select component_id
        from of_identity
        union
        select component_id
        from of_events
        union
        select component_id
        from of_consents
        {% if events_before %}
            union
            select component_id
            from of_former_owners
        {% endif %}
    )

select *
from final
