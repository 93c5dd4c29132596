-- An event stands with the same least rating in all its roles of a journey, and once in a stage.
with
    roles as (select journey, event, 'its roles' as place from {{ ref("journey_roles") }}),

    stages as (select journey, event, 'stage ' || stage as place from {{ ref("stage_events") }}),

    final as (
        select journey, event, place
        from
            (
                select *
                from roles
                union all
                select *
                from stages
            ) as named
        group by journey, event, place
        having count(*) > 1
    )

select *
from final
