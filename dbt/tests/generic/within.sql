{# Every value that is there lies between the bounds, themselves included; what is no number does not. #}
{% test within(model, column, low, high) %}
    select {{ column }}
    from {{ model }}
    where {{ column }} is not null and not ({{ column }} >= {{ low }} and {{ column }} <= {{ high }})
{% endtest %}
