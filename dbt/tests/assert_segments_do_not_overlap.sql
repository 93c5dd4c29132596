-- On any day a person is in one segment at most, and every stretch lasts a day at least.
with
    stretches as (
        select
            person_id,
            valid_from,
            valid_to,
            lead(valid_from) over (partition by person_id order by valid_from) as next_from
        from {{ source("predictions", "segment_history") }}
    )

select *
from stretches
where valid_to <= valid_from or next_from < coalesce(valid_to, date '9999-12-31')
