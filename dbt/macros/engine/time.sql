{# Instants that sources spell in their own way. #}
{# Unix seconds, a number or its text, as a UTC instant. #}
{% macro from_unix_seconds(seconds) %} make_timestamp(cast({{ seconds }} as bigint) * 1000000) {% endmacro %}


{# An instant plus a number of hours. #}
{% macro plus_hours(instant, hours) %}({{ instant }} + {{ hours }} * interval 1 hour) {% endmacro %}


{# An instant plus a number of minutes. #}
{% macro plus_minutes(instant, minutes) %}({{ instant }} + {{ minutes }} * interval 1 minute) {% endmacro %}


{# An instant plus the smallest step that instants know. #}
{% macro plus_microsecond(instant) %}({{ instant }} + interval 1 microsecond) {% endmacro %}


{# The last instant of a local day, in UTC: from then on counts what became available on that day. #}
{% macro day_end_utc(day) %}({{ day_start_utc(next_day(day)) }} - interval 1 microsecond) {% endmacro %}


{# Days from one date to a later one. #}
{% macro days_between(earlier, later) %} date_diff('day', {{ earlier }}, {{ later }}) {% endmacro %}


{% macro next_day(day) %} cast({{ day }} + 1 as date) {% endmacro %}


{# A date some days earlier or later. #}
{% macro days_before(day, days) %} cast({{ day }} - {{ days }} as date) {% endmacro %}


{% macro days_after(day, days) %} cast({{ day }} + {{ days }} as date) {% endmacro %}


{# The first Monday that is not before a date. #}
{% macro monday_on_or_after(day) %} cast(date_trunc('week', {{ day }} + 6) as date) {% endmacro %}


{# One row per Monday from `first` to `last`, two dates: use in the select list. #}
{% macro mondays_to_rows(first, last) %}
    cast(
        unnest(
            generate_series(
                date_trunc('week', cast({{ first }} as timestamp) + interval 6 day),
                cast({{ last }} as timestamp),
                interval 7 day
            )
        ) as date
    )
{% endmacro %}
