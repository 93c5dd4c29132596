-- Nobody lives in two households at once.
with
    households as (select * from {{ source("identity", "households") }}),

    final as (
        select person_id, count(distinct household_id) as household_count
        from households
        where person_id is not null
        group by person_id
        having count(distinct household_id) > 1
    )

select *
from final
