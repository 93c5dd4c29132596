{{ config(materialized="incremental", incremental_strategy="replace_touched", unique_key="identifier") }}

with
    touched as (select identifier from {{ ref("touched_identifiers") }}),

    observations as (
        select *
        from {{ ref("observations") }}
        {% if is_incremental() %} where {{ carries_any_of("touched", with_order=true) }} {% endif %}
    ),

    {# Few distinct rows of identifiers stand for many observations. #}
    combinations as (
        select
            {{ identifier_columns() | join(", ") }},
            order_id,
            min(occurred_at) as first_occurred_at,
            min(available_at) as first_available_at
        from observations
        group by {{ identifier_columns() | join(", ") }}, order_id
    ),

    tokens as (
        select
            {{ list_to_rows(token_list(identifier_columns() + [order_token()])) }} as identifier,
            first_occurred_at,
            first_available_at
        from combinations
    ),

    final as (
        select
            identifier,
            split_part(identifier, ':', 1) as identifier_type,
            min(first_occurred_at) as first_occurred_at,
            min(first_available_at) as first_available_at
        from tokens
        {% if is_incremental() %} where identifier in (select identifier from touched) {% endif %}
        group by identifier
    )

select *
from final
