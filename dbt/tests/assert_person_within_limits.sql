-- G3: no person holds more identifiers of a type and namespace than the rules allow.
with
    identifiers as (select * from {{ source("identity", "identifiers") }}),

    rules as (select * from {{ ref("identifier_rules") }}),

    held as (
        select
            identifiers.person_id,
            {{ token_class("identifiers.identifier") }} as identifier_class,
            rules.limit_per_person,
            count(*) as identifier_count
        from identifiers
        inner join rules on identifiers.identifier_type = rules.identifier_type
        where identifiers.person_id is not null and rules.limit_per_person is not null
        group by identifiers.person_id, identifier_class, rules.limit_per_person
    ),

    final as (select * from held where identifier_count > limit_per_person)

select *
from final
