{# While there are no segments nothing is split by them, and nobody is in none. #}
{% macro has_segments() %} exists (select 1 from {{ source("predictions", "segments") }}) {% endmacro %}


{#
    Every row in its segment, in its `split`, in both and in neither (`all`): a split with all its margins. Rows without
    an `assigned_segment`, as all are while there are no segments, stand under `all` alone.
#}
{% macro with_margins(relation, columns, split, split_by) %}
    {% for value in ["'all'", split_by] %}
        {% set outer = loop %}
        {% for segment in ["'all'", "assigned_segment"] %}
            select {{ columns | join(", ") }}, {{ segment }} as segment, {{ value }} as {{ split }}
            from {{ relation }}
            {% if not loop.first %} where assigned_segment is not null {% endif %}
            {% if not (outer.last and loop.last) %}
                union all
            {% endif %}
        {% endfor %}
    {% endfor %}
{% endmacro %}
