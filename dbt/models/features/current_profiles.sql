{# The same for tonight, of everybody who did anything. #}
with
    tonight as (select {{ tonight() }} as snapshot_date),

    {{ holder_ctes() }},

    wanted as (
        select distinct tonight.snapshot_date, holders.person_number
        from holders
        inner join
            tonight on holders.from_day <= tonight.snapshot_date and holders.until_day > tonight.snapshot_date
    ),

    {{ profile_ctes("wanted") }}

select *
from profiles
