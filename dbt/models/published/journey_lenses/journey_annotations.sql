with
    annotations as (select * from {{ ref("annotations") }}),

    journeys as (select journey from {{ ref("journeys") }}),

    stages as (select distinct journey, stage from {{ ref("journey_stages") }}),

    touchpoints as (select distinct touchpoint from {{ ref("event_taxonomy") }} where touchpoint is not null),

    final as (
        select
            annotations.annotation_id,
            annotations.journey,
            annotations.stage,
            annotations.touchpoint,
            annotations.kind,
            annotations.text,
            annotations.author,
            annotations.said_on,
            case
                when journeys.journey is null
                then 'There is no journey "' || annotations.journey || '" in the seed journeys.'
                when annotations.stage is not null and stages.stage is null
                then
                    'The journey "'
                    || annotations.journey
                    || '" has no stage "'
                    || annotations.stage
                    || '" in the seed journey_stages.'
                when annotations.touchpoint is not null and touchpoints.touchpoint is null
                then
                    'No event of the seed event_taxonomy is of the touchpoint "'
                    || annotations.touchpoint
                    || '".'
            end as problem
        from annotations
        left join journeys on annotations.journey = journeys.journey
        left join stages on annotations.journey = stages.journey and annotations.stage = stages.stage
        left join touchpoints on annotations.touchpoint = touchpoints.touchpoint
    )

select *
from final
