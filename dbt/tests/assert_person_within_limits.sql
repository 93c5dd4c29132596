-- G3: no person holds more identifiers of a type and namespace than the rules allow, within their window if
-- they have
-- one; what an override joined counts as one, so persons of overrides are left out.
with
    identifiers as (select * from {{ source("identity", "identifiers") }}),

    rules as (select * from {{ ref("identifier_rules") }}),

    overrides as (select * from {{ ref("identity_overrides") }} where verdict = 'always'),

    overridden as (
        select distinct identifiers.person_id
        from identifiers
        inner join overrides on identifiers.identifier in (overrides.identifier_a, overrides.identifier_b)
        where identifiers.person_id is not null
    ),

    held as (
        select
            identifiers.person_id,
            {{ token_class("identifiers.identifier") }} as identifier_class,
            identifiers.first_available_at,
            rules.limit_per_person,
            rules.limit_window_days,
            row_number() over (
                partition by identifiers.person_id, {{ token_class("identifiers.identifier") }}
                order by identifiers.first_available_at, identifiers.identifier
            ) as place
        from identifiers
        inner join rules on identifiers.identifier_type = rules.identifier_type
        left join overridden on identifiers.person_id = overridden.person_id
        where
            identifiers.person_id is not null
            and rules.limit_per_person is not null
            and overridden.person_id is null
    ),

    {# The one that is one too many, beside the first of those before it that the limit counts. #}
    final as (
        select one_more.person_id, one_more.identifier_class
        from held as one_more
        inner join
            held as earlier
            on one_more.person_id = earlier.person_id
            and one_more.identifier_class = earlier.identifier_class
            and one_more.place = earlier.place + earlier.limit_per_person
        where
            one_more.limit_window_days is null
            or one_more.first_available_at
            < {{ plus_hours("earlier.first_available_at", "24 * one_more.limit_window_days") }}
    )

select *
from final
