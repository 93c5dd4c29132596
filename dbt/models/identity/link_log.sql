{{ config(materialized="view") }}

{#
    Every pair of identifiers that anything says of whether they are one person's: seen together, likely by their
    profiles, or said by people. What became of a link stands beside it. Orders hold rows together and say
    nothing of persons.
#}
with
    seen as (
        select
            identifier_a,
            identifier_b,
            source,
            link_kind,
            cast(null as varchar) as tier,
            confidence,
            cast(null as double) as match_weight,
            first_occurred_at,
            last_occurred_at,
            first_available_at,
            seen_count
        from {{ ref("links") }}
        where link_kind <> 'order'
    ),

    likely as (
        select
            identifier_a,
            identifier_b,
            source,
            link_kind,
            tier,
            confidence,
            match_weight,
            first_occurred_at,
            last_occurred_at,
            first_available_at,
            seen_count
        from {{ source("identity", "probabilistic_links") }}
        where {{ is_known("first_available_at") }}
    ),

    {# A day's word counts from the end of that day, as all evidence does. #}
    decided as (
        select
            least(identifier_a, identifier_b) as identifier_a,
            greatest(identifier_a, identifier_b) as identifier_b,
            verdict,
            {{ day_end_utc("min(decided_on)") }} as decided_at,
            count(*) as seen_count
        from {{ ref("identity_overrides") }}
        group by 1, 2, 3
    ),

    manual as (
        select
            identifier_a,
            identifier_b,
            'identity_overrides' as source,
            'manual' as link_kind,
            verdict as tier,
            case when verdict = 'never' then 0.0 else 1.0 end as confidence,
            cast(null as double) as match_weight,
            decided_at as first_occurred_at,
            decided_at as last_occurred_at,
            decided_at as first_available_at,
            seen_count
        from decided
        where {{ is_known("decided_at") }}
    ),

    logged as (
        select *
        from seen
        union all
        select *
        from likely
        union all
        select *
        from manual
    ),

    refused as (
        select identifier_a, identifier_b, link_kind, min(reason) as reason
        from {{ source("identity", "refused_links") }}
        group by identifier_a, identifier_b, link_kind
    ),

    identifiers as (select identifier, person_id from {{ source("identity", "identifiers") }}),

    final as (
        select
            logged.*,
            case
                when logged.link_kind = 'withheld'
                then 'withheld'
                when refused.reason is not null
                then 'refused'
                when logged.link_kind = 'manual' and (one.identifier is null or other.identifier is null)
                then 'waiting'
                when logged.link_kind = 'manual' and logged.tier = 'never'
                then 'kept apart'
                when one.person_id = other.person_id
                then 'joined'
                when one.person_id is null or other.person_id is null
                then 'no person'
                else 'apart'
            end as outcome,
            refused.reason as refusal_reason
        from logged
        left join
            refused
            on logged.identifier_a = refused.identifier_a
            and logged.identifier_b = refused.identifier_b
            and logged.link_kind = refused.link_kind
        left join identifiers as one on logged.identifier_a = one.identifier
        left join identifiers as other on logged.identifier_b = other.identifier
    )

select *
from final
