{{ config(materialized="table") }}

{#
    A row that is staged anew may name other identifiers than it did before: those it named are touched as well,
    so it has to be asked before `observations` takes the row over. A night that died leaves its list behind,
    which the next night, starting from the same last completed one, adds to.
#}
{% set known_observations = last_night("identity", "observations") if execute %}
{% set touched_before = last_night("identity", "touched_identifiers") if execute %}
{% set since = "cast('" ~ var("previous_loaded_at") ~ "' as timestamp)" %}
{% set tokens = token_list(identifier_columns() + [order_token()]) %}

with
    staged as (select * from {{ ref("staged_observations") }} where {{ is_new() }}),

    staged_keys as (select distinct observation_id from staged),

    {# Where consent is the default, an answer matters to those who ever refused. #}
    refusers as (
        select distinct identifier from {{ ref("consents") }} where purpose = 'analytics' and not is_granted
    ),

    reconsidered as (
        select distinct identifier
        from {{ ref("consents") }}
        where
            purpose = 'analytics'
            and identifier is not null
            and {{ is_new() }}
            and (identifier in (select identifier from refusers) or {{ is_any_source_reserved("analytics") }})
    ),

    tokens as (
        select {{ list_to_rows(tokens) }} as identifier
        from staged
        {# On a first build everything is built anyway. #}
        {% if not known_observations %} where false {% endif %}
        {% if known_observations %}
            union all
            select {{ list_to_rows(tokens) }} as identifier
            from {{ known_observations }}
            where
                observation_id in (select observation_id from staged_keys)
                or {{ carries_any_of("reconsidered") }}
        {% endif %}
        {% if touched_before %}
            union all
            select identifier
            from {{ touched_before }}
            where touched_since = {{ since }}
        {% endif %}
    ),

    final as (select distinct identifier, {{ since }} as touched_since from tokens)

select *
from final
