{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{#
    Counts that only add up: a cell says what became known on one day of what one identifier did on another, so
    nothing known later changes it.
#}
with
    events as (
        select *
        from {{ ref("usable_events") }}
        where (is_own or (visit_channel is not null and kind <> 'outcome')) and {{ in_affected_component() }}
    ),

    final as (
        select
            component_id,
            identifier,
            local_day,
            known_day,
            count(visit_channel) as visit_count,
            count(case when is_visit_of_use then 1 end) as use_visit_count,
            count(case when local_hour >= 18 then visit_channel end) as evening_visit_count,
            {% for kind in device_kinds() %}
                count(case when device_kind = '{{ kind }}' then visit_channel end) as {{ kind }}_visit_count,
            {% endfor %}
            count(case when is_own then 1 end) as own_event_count,
            {% for kind in ["touch", "milestone", "friction"] %}
                count(case when is_own and kind = '{{ kind }}' then 1 end) as {{ kind }}_count,
            {% endfor %}
            count(case when event in ({{ quoted(help_events()) }}) then 1 end) as help_contact_count,
            {% for name, named in feature_events().items() %}
                count(case when event in ({{ quoted(named) }}) then 1 end) as {{ name }}_count
                {{- "," if not loop.last }}
            {% endfor %}
        from events
        group by component_id, identifier, local_day, known_day
    )

select *
from final
