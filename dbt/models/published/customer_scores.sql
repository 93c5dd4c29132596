{# Scores may be yesterday's; whoever has been merged away or has withdrawn since has none any more. #}
with
    scores as (select * from {{ source("predictions", "scores") }}),

    customers as (select person_id from {{ ref("customers") }}),

    final as (
        select
            scores.person_id,
            scores.target,
            round(scores.probability, 6) as probability,
            scores.decile,
            scores.reason_1,
            scores.reason_2,
            scores.reason_3,
            scores.model_version,
            scores.snapshot_date
        from scores
        inner join customers on scores.person_id = customers.person_id
    )

select *
from final
