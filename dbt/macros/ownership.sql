{#
    A person's identifiers on an event, strongest first: the order of `priority` in `identifier_rules`
    (a test holds the two together). Account ids own nothing; they are a level of their own.
#}
{% macro person_identifier_columns() %}
    {{ return(["user_id", "crm_id", "support_id", "card_id", "email", "phone", "device_id"]) }}
{% endmacro %}


{# The strongest identifier on a row that is not junk: it says who owns the event. #}
{% macro owner_identifier() %}
    coalesce(
        {% for column in person_identifier_columns() %}
            case when not {{ has_prefix(column, "junk_") }} then {{ column }} end
            {% if not loop.last %},{% endif %}
        {% endfor %}
    )
{% endmacro %}


{#
    The component an event belongs to: that of its owner identifier, else of its order, else the event alone.
    The arguments are the aliases of the event keys and of two joins to `identity.identifiers`.
#}
{% macro component_of_event(keys, owners, orders) %}
    coalesce({{ owners }}.component_id, {{ orders }}.component_id, {{ keys }}.event_id)
{% endmacro %}


{% macro consent_purposes() %} {{ return(["analytics", "marketing", "personalisation"]) }} {% endmacro %}


{# What a contract grants when nobody said anything: true where `purpose` is granted by default. #}
{% macro consent_default(purpose, source_column="source") %}
    {% set granted = [] %}
    {% if execute %}
        {% for node in graph.sources.values() if node.source_name not in granted %}
            {% set defaults = (node.source_meta or {}).get("landing", {}).get("consent_default", {}) %}
            {% if defaults.get(purpose) == "granted" %} {% do granted.append(node.source_name) %} {% endif %}
        {% endfor %}
    {% endif %}
    {{ source_column }} in ('{{ granted | join("', '") }}')
{% endmacro %}
