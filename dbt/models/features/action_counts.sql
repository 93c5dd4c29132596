{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{# What one identifier did, by the day on which it became known: what journey types are found from. #}
with
    events as (select * from {{ ref("usable_events") }} where {{ in_affected_component() }}),

    {# The page a visit lands on is its channel's doing. #}
    actions as (
        select component_id, identifier, known_day, block, action
        from events
        where is_own and block is not null and not (block = 'page' and visit_channel is not null)
        union all
        select component_id, identifier, known_day, 'channel', visit_channel
        from events
        where visit_channel is not null
        union all
        select component_id, identifier, known_day, 'device', device_kind
        from events
        where visit_channel is not null
        union all
        select
            component_id,
            identifier,
            known_day,
            'time of day',
            case
                when local_hour < 6
                then 'night'
                when local_hour < 12
                then 'morning'
                when local_hour < 18
                then 'afternoon'
                else 'evening'
            end
        from events
        where visit_channel is not null
    ),

    final as (
        select
            component_id,
            identifier,
            {{ next_day("known_day") }} as from_day,
            block,
            action,
            count(*) as action_count
        from actions
        where action is not null
        group by component_id, identifier, known_day, block, action
    )

select *
from final
