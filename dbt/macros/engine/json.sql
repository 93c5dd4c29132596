{# JSON values: how they are taken apart and put together differs between engines. #}
{# The value at a path of a JSON column, as text. #}
{% macro json_text(value, path) %} json_extract_string({{ value }}, '{{ path }}') {% endmacro %}


{#
    A JSON object of the given columns without those that are null, and null when all are.
    `columns` maps each name in the object to a column or expression.
#}
{% macro json_object_of(columns) %}
    cast(
        nullif(
            '{' || concat_ws(
                ',',
                {% for name, value in columns.items() %}
                    '"{{ name }}":' || cast(to_json({{ value }}) as varchar){% if not loop.last %},{% endif %}
                {% endfor %}
            )
            || '}',
            '{}'
        ) as json
    )
{% endmacro %}


{# The value of a JSON column under a name that another column holds, as text. #}
{% macro json_value(value, name) %} json_extract_string({{ value }}, {{ name }}) {% endmacro %}


{# A text as a whole number; null if it is none. #}
{% macro whole_number(value) %} try_cast({{ value }} as integer) {% endmacro %}
