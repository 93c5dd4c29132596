{# While there are no segments nothing is split by them, and nobody is in none. #}
{% macro has_segments() %} exists (select 1 from {{ source("predictions", "segments") }}) {% endmacro %}
