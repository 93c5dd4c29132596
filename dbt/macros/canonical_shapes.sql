{#
    The canonical shapes that staging produces: fixed, sparse columns, so that every pack fits.
    Returns a list of [name, type] in order.
#}
{% macro canonical_columns(shape) %}
    {% set identifiers = [
        ["device_id", "varchar"],
        ["user_id", "varchar"],
        ["email", "varchar"],
        ["phone", "varchar"],
        ["crm_id", "varchar"],
        ["support_id", "varchar"],
        ["card_id", "varchar"],
        ["account_id", "varchar"],
    ] %}
    {% set provenance = [
        ["_file_id", "varchar"],
        ["_row_number", "bigint"],
        ["_row_key", "varchar"],
        ["_loaded_at", "timestamp"],
    ] %}
    {% set shapes = {
        "events": [
            ["event_key", "varchar"],
            ["source", "varchar"],
            ["source_table", "varchar"],
            ["event_name", "varchar"],
            ["occurred_at", "timestamp"],
            ["sent_at", "timestamp"],
            ["received_at", "timestamp"],
            ["available_at", "timestamp"],
        ]
        + identifiers
        + [
            ["url", "varchar"],
            ["referrer", "varchar"],
            ["utm_source", "varchar"],
            ["utm_medium", "varchar"],
            ["utm_campaign", "varchar"],
            ["utm_term", "varchar"],
            ["utm_content", "varchar"],
            ["click_id_type", "varchar"],
            ["user_agent", "varchar"],
            ["device_type", "varchar"],
            ["os", "varchar"],
            ["os_version", "varchar"],
            ["app_version", "varchar"],
            ["country", "varchar"],
            ["order_id", "varchar"],
            ["revenue", "decimal(18, 2)"],
            ["currency", "varchar"],
            ["rating", "double"],
            ["text_id", "varchar"],
            ["properties", "json"],
        ]
        + provenance,
        "profiles": [
            ["profile_key", "varchar"],
            ["source", "varchar"],
            ["source_table", "varchar"],
            ["changed_at", "timestamp"],
            ["available_at", "timestamp"],
        ]
        + identifiers
        + [["country", "varchar"], ["language", "varchar"], ["plan", "varchar"]]
        + provenance,
        "accounts": [
            ["account_id", "varchar"],
            ["source", "varchar"],
            ["source_table", "varchar"],
            ["changed_at", "timestamp"],
            ["available_at", "timestamp"],
            ["industry", "varchar"],
            ["country", "varchar"],
            ["plan", "varchar"],
            ["seats", "bigint"],
            ["is_trial", "boolean"],
            ["is_churned", "boolean"],
        ]
        + provenance,
        "consents": [
            ["identifier", "varchar"],
            ["source", "varchar"],
            ["source_table", "varchar"],
            ["purpose", "varchar"],
            ["is_granted", "boolean"],
            ["said_at", "timestamp"],
            ["available_at", "timestamp"],
        ]
        + provenance,
        "spend": [
            ["spend_date", "date"],
            ["spend_timezone", "varchar"],
            ["source", "varchar"],
            ["platform", "varchar"],
            ["ad_account", "varchar"],
            ["campaign_id", "varchar"],
            ["campaign", "varchar"],
            ["channel", "varchar"],
            ["cost", "decimal(24, 6)"],
            ["currency", "varchar"],
            ["impressions", "bigint"],
            ["clicks", "bigint"],
            ["available_at", "timestamp"],
        ]
        + provenance,
    } %}
    {{ return(shapes[shape]) }}
{% endmacro %}


{# The run's as-of instant. #}
{% macro as_of() %} cast('{{ var("as_of") }}' as timestamp) {% endmacro %}


{# What was known at the run's as-of instant. #}
{% macro is_known(column) %} {{ column }} <= {{ as_of() }} {% endmacro %}


{#
    Stack the packs' models into one canonical shape: columns a pack does not have become typed nulls.
    `relations` is the list of the packs' refs; adding a pack is adding its name there.
#}
{% macro union_canonical(shape, relations) %}
    {% for relation in relations %}
        {% set present = [] %}
        {% if execute %}
            {% set present = (
                adapter.get_columns_in_relation(relation)
                | map(attribute="name")
                | map("lower")
                | list
            ) %}
        {% endif %}
        select
            {% for name, type in canonical_columns(shape) %}
                cast(
                    {{ name if name in present else "null" }} as {{ type }}
                ) as {{ name }}{{ "," if not loop.last }}
            {% endfor %}
        from {{ relation }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}
{% endmacro %}


{# What the last completed night has not seen: landed since, or become known since. #}
{% macro is_new(relation="") %}
    {% set prefix = relation ~ "." if relation else "" %}
    (
        {{ prefix }}_loaded_at > cast('{{ var("previous_loaded_at") }}' as timestamp)
        or {{ prefix }}available_at > cast('{{ var("previous_as_of") }}' as timestamp)
    )
{% endmacro %}
