{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{# The events by which somebody comes into question for a target, is out of it, or reaches it. #}
with
    targets as (select * from {{ ref("prediction_targets") }}),

    {% set roles = ["entry", "exit", "outcome"] %}
    named as (
        {% for role in roles %}
            select target, '{{ role }}' as role, {{ split_to_rows(role ~ "_events") }} as event
            from targets
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    final as (
        select
            events.component_id,
            named.target,
            named.role,
            events.event_id,
            events.identifier,
            events.occurred_at,
            events.local_day,
            events.known_day
        from {{ ref("usable_events") }} as events
        inner join named on events.event = named.event
        where {{ in_affected_component("events.component_id") }}
    )

select *
from final
