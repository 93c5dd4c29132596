-- G3: a shared device is a device, and no other identifier is the same person as it.
with
    identifiers as (select * from {{ source("identity", "identifiers") }}),

    persons as (select * from {{ source("identity", "persons") }}),

    final as (
        select identifiers.identifier, identifiers.identifier_type, persons.identifier_count
        from identifiers
        inner join persons on identifiers.person_id = persons.person_id
        where
            identifiers.is_shared_device
            and (identifiers.identifier_type <> 'device_id' or persons.identifier_count <> 1)
    )

select *
from final
