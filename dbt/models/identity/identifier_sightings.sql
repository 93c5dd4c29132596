{{ config(materialized="incremental", incremental_strategy="delete+insert", unique_key="identifier") }}

with
    observations as (
        select * from {{ ref("observations") }} {% if is_incremental() %} where {{ is_new() }} {% endif %}
    ),

    {# Few distinct rows of identifiers stand for many observations. #}
    combinations as (
        select
            {{ identifier_columns() | join(", ") }},
            order_id,
            min(occurred_at) as first_occurred_at,
            min(available_at) as first_available_at,
        from observations
        group by {{ identifier_columns() | join(", ") }}, order_id
    ),

    tokens as (
        select
            {{ list_to_rows(token_list(identifier_columns() + [order_token()])) }} as identifier,
            first_occurred_at,
            first_available_at,
        from combinations
        {% if is_incremental() %}
            union all
            select identifier, first_occurred_at, first_available_at
            from {{ this }}
        {% endif %}
    ),

    final as (
        select
            identifier,
            split_part(identifier, ':', 1) as identifier_type,
            min(first_occurred_at) as first_occurred_at,
            min(first_available_at) as first_available_at,
        from tokens
        group by identifier
    )

select *
from final
{% if is_incremental() %}
    {# Only what is new or was seen earlier than known is written. #}
    except
    select identifier, identifier_type, first_occurred_at, first_available_at
    from {{ this }}
{% endif %}
