-- G3: every sighted identifier that may identify a person has exactly one current person; accounts and
-- orders none.
with
    sightings as (select * from {{ ref("identifier_sightings") }}),

    identifiers as (select * from {{ source("identity", "identifiers") }}),

    persons as (select * from {{ source("identity", "persons") }}),

    rules as (select * from {{ ref("identifier_rules") }}),

    counted as (
        select
            sightings.identifier,
            coalesce(rules.is_person_identifier, false) as is_person_identifier,
            count(identifiers.identifier) as row_count,
            count(persons.person_id) as person_count
        from sightings
        left join identifiers on sightings.identifier = identifiers.identifier
        left join persons on identifiers.person_id = persons.person_id
        left join rules on sightings.identifier_type = rules.identifier_type
        group by sightings.identifier, rules.is_person_identifier
    ),

    final as (
        select *
        from counted
        where row_count <> 1 or person_count <> case when is_person_identifier then 1 else 0 end
    )

select *
from final
