-- Two identifiers of which an override that counts by now says never are two persons.
with
    identifiers as (select * from {{ source("identity", "identifiers") }}),

    overrides as (
        select *
        from {{ ref("identity_overrides") }}
        where verdict = 'never' and decided_on < {{ local_day(plus_microsecond(as_of())) }}
    ),

    final as (
        select overrides.identifier_a, overrides.identifier_b
        from overrides
        inner join identifiers on overrides.identifier_a = identifiers.identifier
        inner join
            identifiers as others
            on overrides.identifier_b = others.identifier
            and identifiers.person_id = others.person_id
        where identifiers.identifier <> others.identifier
    )

select *
from final
