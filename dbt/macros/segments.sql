{# While there are no segments nothing is split by them, and nobody is in none. #}
{% macro has_segments() %} exists (select 1 from {{ source("predictions", "segments") }}) {% endmacro %}


{#
    Every row in its segment, in its channel, in both and in neither (`all`): a split with all its margins. Rows
    without an `assigned_segment`, as all are while there are no segments, stand in the margin alone.
#}
{% macro with_margins(relation, columns) %}
    {% for segment in ["'all'", "assigned_segment"] %}
        {% set outer = loop %}
        {% for channel in ["'all'", "first_channel"] %}
            select {{ columns | join(", ") }}, {{ segment }} as segment, {{ channel }} as channel
            from {{ relation }}
            {% if not outer.first %} where assigned_segment is not null {% endif %}
            {% if not (outer.last and loop.last) %}
                union all
            {% endif %}
        {% endfor %}
    {% endfor %}
{% endmacro %}
