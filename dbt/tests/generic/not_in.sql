{# No row says any of the values. #}
{% test not_in(model, column_name, values) %}
    select {{ column_name }} from {{ model }} where {{ column_name }} in ('{{ values | join("', '") }}')
{% endtest %}
