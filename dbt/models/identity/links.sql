{{
    config(
        materialized="incremental",
        incremental_strategy="replace_touched",
        unique_key=["identifier_a", "identifier_b"],
    )
}}

with
    touched as (select identifier from {{ ref("touched_identifiers") }}),

    observations as (
        select *
        from {{ ref("observations") }}
        {% if is_incremental() %} where {{ carries_any_of("touched", with_order=true) }} {% endif %}
    ),

    {# Where consent is the default, only those who ever refused need a closer look. #}
    refusers as (
        select distinct identifier from {{ ref("consents") }} where purpose = 'analytics' and not is_granted
    ),

    {# What each identifier answered about analytics; two answers at one instant: the refusal counts. #}
    answers as (
        select identifier, said_at, bool_and(is_granted) as is_granted
        from {{ ref("consents") }}
        where
            purpose = 'analytics'
            and (identifier in (select identifier from refusers) or {{ is_any_source_reserved("analytics") }})
        group by identifier, said_at
    ),

    consents as (
        select
            identifier,
            said_at as valid_from,
            lead(said_at) over answers_of_identifier as valid_to,
            is_granted,
            last_value(is_granted) over (
                answers_of_identifier rows between unbounded preceding and unbounded following
            ) as is_granted_now
        from answers
        window answers_of_identifier as (partition by identifier order by said_at)
    ),

    {# A row that came several times was seen once. #}
    repeated as (select observation_id from observations group by observation_id having count(*) > 1),

    marked as (
        select
            *,
            {{ consent_default("analytics") }} as is_granted_by_default,
            {{ carries_any_of("refusers") }} or not {{ consent_default("analytics") }} as is_doubtful,
            case
                when observation_id in (select observation_id from repeated) then observation_id
            end as repeated_id
        from observations
    ),

    {# Few distinct rows of identifiers stand for many observations; a doubtful one keeps its time. #}
    combinations as (
        select
            row_number() over () as combination,
            source,
            {{ identifier_columns() | join(", ") }},
            order_id,
            is_granted_by_default,
            is_doubtful,
            case when is_doubtful then occurred_at end as asked_at,
            min(occurred_at) as first_occurred_at,
            max(occurred_at) as last_occurred_at,
            min(available_at) as first_available_at,
            count(*) - count(repeated_id) + count(distinct repeated_id) as seen_count
        from marked
        group by
            source,
            {{ identifier_columns() | join(", ") }},
            order_id,
            is_granted_by_default,
            is_doubtful,
            asked_at
    ),

    listed as (
        select
            combination,
            source,
            {{ token_list(identifier_columns()) }} as tokens,
            {{ owner_identifier() }} as owner_identifier,
            order_id,
            is_granted_by_default,
            is_doubtful,
            asked_at,
            first_occurred_at,
            last_occurred_at,
            first_available_at,
            seen_count
        from combinations
    ),

    asked as (
        select combination, asked_at, is_granted_by_default, {{ list_to_rows("tokens") }} as identifier
        from listed
        where is_doubtful
    ),

    {# Consent held at the time and was not withdrawn since, as far as any of the row's identifiers says. #}
    withheld as (
        select asked.combination
        from asked
        left join
            consents as then_said
            on asked.identifier = then_said.identifier
            and asked.asked_at >= then_said.valid_from
            and (asked.asked_at < then_said.valid_to or then_said.valid_to is null)
        left join consents as now_said on asked.identifier = now_said.identifier and now_said.valid_to is null
        group by asked.combination, asked.is_granted_by_default
        having
            not (
                coalesce(bool_and(then_said.is_granted), asked.is_granted_by_default)
                and coalesce(bool_and(now_said.is_granted_now), asked.is_granted_by_default)
            )
    ),

    consented as (
        select listed.*, withheld.combination is null as is_consented
        from listed
        left join withheld on listed.combination = withheld.combination
    ),

    ends as (
        select
            source,
            tokens,
            {{ list_to_rows("tokens") }} as identifier_a,
            is_consented,
            first_occurred_at,
            last_occurred_at,
            first_available_at,
            seen_count
        from consented
    ),

    sides as (
        select
            source,
            identifier_a,
            {{ list_to_rows("tokens") }} as identifier_b,
            is_consented,
            first_occurred_at,
            last_occurred_at,
            first_available_at,
            seen_count
        from ends
    ),

    pairs as (
        select *
        from sides
        where identifier_a < identifier_b
        union all
        {# An order holds its rows together for rebuilding, whatever the consent; it identifies nobody. #}
        select
            source,
            least(owner_identifier, {{ order_token() }}) as identifier_a,
            greatest(owner_identifier, {{ order_token() }}) as identifier_b,
            true as is_consented,
            first_occurred_at,
            last_occurred_at,
            first_available_at,
            seen_count
        from consented
        where owner_identifier is not null and order_id is not null
    ),

    final as (
        select
            identifier_a,
            identifier_b,
            source,
            case
                when {{ has_prefix("identifier_a", "order:") }} or {{ has_prefix("identifier_b", "order:") }}
                then 'order'
                when bool_or(is_consented)
                then 'deterministic'
                else 'withheld'
            end as link_kind,
            cast(1 as double) as confidence,
            coalesce(
                min(first_occurred_at) filter (where is_consented), min(first_occurred_at)
            ) as first_occurred_at,
            coalesce(
                max(last_occurred_at) filter (where is_consented), max(last_occurred_at)
            ) as last_occurred_at,
            coalesce(
                min(first_available_at) filter (where is_consented), min(first_available_at)
            ) as first_available_at,
            cast(
                coalesce(sum(seen_count) filter (where is_consented), sum(seen_count)) as bigint
            ) as seen_count
        from pairs
        {% if is_incremental() %}
            where
                identifier_a in (select identifier from touched)
                or identifier_b in (select identifier from touched)
        {% endif %}
        group by identifier_a, identifier_b, source
    )

select *
from final
