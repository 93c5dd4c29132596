{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{#
    What a person said with any identifier is what the person said; a shared device that nobody is known on
    speaks for itself. Of two answers at one instant the refusal counts.
#}
with
    said as (
        select
            identifiers.component_id,
            case
                when identifiers.is_shared_device then identifiers.identifier else identifiers.person_id
            end as consent_subject,
            consent_history.purpose,
            consent_history.valid_from,
            bool_and(consent_history.is_granted) as is_granted
        from {{ ref("consent_history") }} as consent_history
        inner join
            {{ source("identity", "identifiers") }} as identifiers
            on consent_history.identifier = identifiers.identifier
        where {{ in_affected_component("identifiers.component_id") }}
        group by 1, 2, 3, 4
    ),

    final as (
        select
            component_id,
            consent_subject,
            purpose,
            valid_from,
            lead(valid_from, 1, cast('9999-12-31' as timestamp)) over answers as valid_to,
            is_granted,
            last_value(is_granted) over (
                answers rows between unbounded preceding and unbounded following
            ) as is_granted_now
        from said
        window answers as (partition by consent_subject, purpose order by valid_from)
    )

select *
from final
where consent_subject is not null
