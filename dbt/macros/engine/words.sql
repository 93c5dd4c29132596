{# Words about rows, and lists as words: regular expressions and ordered aggregates differ between engines. #}
{#
    Why a row was refused, without the value that was wrong: `step: 'first' is not a whole number` becomes
    `step: a value is not a whole number`. A reason that quotes in an unforeseen way keeps only its column.
#}
{% macro reason_without_values(reason) %}
    {% set quoted = "': ''(?:[^'']|''[^ ;])*'' is (not|no) '" %}
    {% set instant = "'[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}[0-9:.]*'" %}
    {% set fields = "'the row has [0-9]+ fields where the header has [0-9]+'" %}
    {% set told = "regexp_replace(" ~ reason ~ ", " ~ quoted ~ ", ': a value is \\1 ', 'g')" %}
    {% set told = "regexp_replace(" ~ told ~ ", " ~ instant ~ ", 'a time', 'g')" %}
    {% set told = (
        "regexp_replace("
        ~ told
        ~ ", "
        ~ fields
        ~ ", 'the row has other fields than the header', 'g')"
    ) %}
    case
        when regexp_matches(regexp_replace({{ told }}, ': ''[^'']*'' is required', '', 'g'), ': ''')
        then regexp_extract({{ reason }}, '^([a-z0-9_.]+): ', 1) || ': a value does not fit'
        else {{ told }}
    end
{% endmacro %}


{# The day in a file's path, such as 2026-01-31; null where there is none. #}
{% macro date_in_path(path) %}
    try_cast(nullif(regexp_extract({{ path }}, '[0-9]{4}-[0-9]{2}-[0-9]{2}'), '') as date)
{% endmacro %}


{# The different values of a group in order, as one text. #}
{% macro listed_values(value) %} string_agg(distinct {{ value }}, ', ' order by {{ value }}) {% endmacro %}


{# A number of hours as people say it: 40 s, 45 min, 6.5 h, 4.2 days. #}
{% macro duration_text(hours) %}
    case
        when {{ hours }} * 60 < 1
        then format('{:.0f} s', {{ hours }} * 3600)
        when {{ hours }} < 1
        then format('{:.0f} min', {{ hours }} * 60)
        when {{ hours }} < 48
        then format('{:.1f} h', cast({{ hours }} as double))
        else format('{:.1f} days', {{ hours }} / 24)
    end
{% endmacro %}
