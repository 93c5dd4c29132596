{# No row lacks any of the columns: one scan instead of one per column. #}
{% test complete(model, columns) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    where {% for column in columns %} {{ column }} is null {% if not loop.last %} or {% endif %} {% endfor %}
{% endtest %}
