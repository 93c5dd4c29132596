{# How the seeds name the events of journeys: `event`, or `event>=0.75` for those rated 0.75 or better. #}
{% macro named_event(item) %} split_part({{ item }}, '>=', 1) {% endmacro %}


{% macro least_rating(item) %} cast(nullif(split_part({{ item }}, '>=', 2), '') as double) {% endmacro %}


{# Is the event one that `named`, a row with `event` and `least_rating`, means? #}
{% macro is_named_event(events, named) %}
    {{ events }}.event = {{ named }}.event
    and ({{ named }}.least_rating is null or {{ events }}.rating >= {{ named }}.least_rating)
{% endmacro %}
