-- At no time is an identifier known to be two persons, and every stretch lasts.
with
    stretches as (
        select
            identifier,
            known_from,
            known_to,
            lead(known_from) over (partition by identifier order by known_from) as next_from
        from {{ source("identity", "identifier_history") }}
    ),

    final as (
        select *
        from stretches
        where
            known_from is null
            or known_to <= known_from
            or next_from < known_to
            or (known_to is null and next_from is not null)
            or next_from = known_from
    )

select *
from final
