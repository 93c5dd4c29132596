{# None of the columns is below zero anywhere: one scan instead of one per column. #}
{% test not_negative(model, columns) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    where {% for column in columns %} {{ column }} < 0 {% if not loop.last %} or {% endif %} {% endfor %}
{% endtest %}
