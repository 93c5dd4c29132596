{# What the lenses on journeys have in common: slices, survival and words. #}
{#
    Every row in its week and segment, in either, and in neither (`all`). Rows without an `assigned_segment`, as all are
    while there are no segments, stand under `all` alone.
#}
{% macro with_slices(relation, columns) %}
    {% for week in ["'all'", "cast(week_start_date as varchar)"] %}
        {% set outer = loop %}
        {% for segment in ["'all'", "assigned_segment"] %}
            select {{ columns | join(", ") }}, {{ week }} as week, {{ segment }} as segment
            from {{ relation }}
            {% if not loop.first %} where assigned_segment is not null {% endif %}
            {% if not (outer.last and loop.last) %}
                union all
            {% endif %}
        {% endfor %}
    {% endfor %}
{% endmacro %}


{#
    The same slices for an aggregate, which so sees its rows once; without `by_segment` only those of weeks. Goes with
    `slice_columns`, which names them.
#}
{% macro slice_sets(columns, by_segment=true) %}
    {% set slices = [[], ["week_start_date"]] %}
    {% if by_segment %}
        {% set slices = slices + [["assigned_segment"], ["week_start_date", "assigned_segment"]] %}
    {% endif %} grouping sets (
        {% for slice in slices %}({{ (columns + slice) | join(", ") }}){{ "," if not loop.last }} {% endfor %}
    )
    {% if by_segment %} having grouping(assigned_segment) = 1 or assigned_segment is not null {% endif %}
{% endmacro %}


{% macro slice_columns(by_segment=true) %}
    case when grouping(week_start_date) = 1 then 'all' else cast(week_start_date as varchar) end as week,
    case when grouping(week_start_date) = 0 then week_start_date end as week_start_date,
    {% if by_segment %} case when grouping(assigned_segment) = 1 then 'all' else assigned_segment end
    {% else %} 'all'
    {% endif %} as segment
{% endmacro %}


{#
    The 95 % interval of a survival or incidence on the scale of ln(-ln(rate)), which keeps it between 0 and 1
    (Kalbfleisch and Prentice 1980); null at 0 and at 1, where it has no width there.
#}
{% macro log_log_low(rate, variance) %} {{ _log_log(rate, variance, "+") }}{% endmacro %}


{% macro log_log_high(rate, variance) %} {{ _log_log(rate, variance, "-") }}{% endmacro %}


{% macro _log_log(rate, variance, side) %}
    case
        when {{ rate }} > 0 and {{ rate }} < 1
        then
            power(
                {{ rate }},
                exp(
                    {{ side }} {{ z95() }}
                    * sqrt(greatest({{ variance }}, 0))
                    / ({{ rate }} * abs(ln({{ rate }})))
                )
            )
    end
{% endmacro %}
