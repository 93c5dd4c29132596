{# Instants that sources spell in their own way. #}
{# Unix seconds, a number or its text, as a UTC instant. #}
{% macro from_unix_seconds(seconds) %} make_timestamp(cast({{ seconds }} as bigint) * 1000000) {% endmacro %}


{# An instant plus a number of hours. #}
{% macro plus_hours(instant, hours) %}({{ instant }} + {{ hours }} * interval 1 hour) {% endmacro %}


{# An instant plus a number of minutes. #}
{% macro plus_minutes(instant, minutes) %}({{ instant }} + {{ minutes }} * interval 1 minute) {% endmacro %}
