-- An event has one least rating in all its roles of a journey, and one in all the stages it passes.
with
    roles as (
        select distinct journey, event, least_rating, 'its roles' as place from {{ ref("journey_roles") }}
    ),

    stages as (
        select distinct journey, event, least_rating, 'its stages' as place
        from {{ ref("stage_events") }}
        where not is_last
    ),

    named as (
        select *
        from roles
        union all
        select *
        from stages
    ),

    final as (select journey, event, place from named group by journey, event, place having count(*) > 1)

select *
from final
