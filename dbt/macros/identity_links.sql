{# The identifier columns of the canonical shapes: those of persons, strongest first, then accounts. #}
{% macro identifier_columns() %} {{ return(person_identifier_columns() + ["account_id"]) }} {% endmacro %}


{# Does a row carry one of the identifiers that `relation` lists, if so asked as its order? #}
{% macro carries_any_of(relation, with_order=false) %}
    (
        {% for column in identifier_columns() + ([order_token()] if with_order else []) %}
            coalesce({{ column }} in (select identifier from {{ relation }}), false)
            {% if not loop.last %} or {% endif %}
        {% endfor %}
    )
{% endmacro %}


{# The token under which an order is known to the identity graph: it only holds a recompute unit together. #}
{% macro order_token(order_id="order_id") %} 'order:' || {{ order_id }} {% endmacro %}


{# Is there a source whose contract does not grant `purpose` by default? #}
{% macro is_any_source_reserved(purpose) %}
    {% set reserved = [] %}
    {% if execute %}
        {% for node in graph.sources.values() %}
            {% set contract = (node.source_meta or {}).get("landing") %}
            {% if contract and contract.get("consent_default", {}).get(purpose) != "granted" %}
                {% do reserved.append(node.source_name) %}
            {% endif %}
        {% endfor %}
    {% endif %}
    {{ "true" if reserved else "false" }}
{% endmacro %}


{#
    Keeps what is no token out of a seed of identifiers: somebody may have written a readable one, and readable values
    stand in the vault alone. It runs in the transaction that loads the seed.
#}
{% macro tokens_alone(relation, columns) %}
    {% set kept = [] %}
    {% for column in columns %}
        {% do kept.append(
            column
            ~ " = case when "
            ~ column
            ~ " is null or "
            ~ is_token(column)
            ~ " then "
            ~ column
            ~ " else 'a value that is no token (throughline whois shows it)' end"
        ) %}
    {% endfor %}
    {{ "update " ~ relation ~ " set " ~ kept | join(", ") }}
{% endmacro %}
