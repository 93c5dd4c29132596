with
    stages as (select * from {{ ref("journey_stages") }}),

    last_stages as (select journey, max(stage_order) as stage_order from stages group by journey),

    items as (
        select
            stages.journey,
            stages.stage_order,
            stages.stage,
            stages.stage_order = last_stages.stage_order as is_last,
            {{ split_to_rows("stages.events") }} as item
        from stages
        inner join last_stages on stages.journey = last_stages.journey
    ),

    final as (
        select
            journey,
            stage_order,
            stage,
            is_last,
            {{ named_event("item") }} as event,
            {{ least_rating("item") }} as least_rating
        from items
        where item <> ''
    )

select *
from final
