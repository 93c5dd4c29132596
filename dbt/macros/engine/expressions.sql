{# Small expressions whose spelling differs between engines. #}
{# Does `value` contain a match of the regular expression `pattern` (RE2), whatever its case? #}
{% macro matches(value, pattern) %} regexp_matches({{ value }}, {{ pattern }}, 'i') {% endmacro %}


{# The host of a URL, in lower case and without "www."; null when there is none. #}
{% macro url_host(url) %}
    nullif(regexp_replace(lower(regexp_extract({{ url }}, '^[a-zA-Z]+://([^/:?#]+)', 1)), '^www\.', ''), '')
{% endmacro %}


{# One row per element of a `|`-separated list: use in the select list. #}
{% macro split_to_rows(column) %} unnest(string_split({{ column }}, '|')) {% endmacro %}


{# A 128-bit digest of the given columns as text; nulls count as themselves. #}
{% macro digest(columns) %}
    md5(
        concat_ws(
            '|',
            {% for column in columns %}
                coalesce(cast({{ column }} as varchar), '~'){% if not loop.last %}, {% endif %}
            {% endfor %}
        )
    )
{% endmacro %}


{# Whole seconds from `earlier` to `later`, with their fraction. #}
{% macro seconds_between(earlier, later) %}
    (epoch_us({{ later }}) - epoch_us({{ earlier }})) / 1000000.0
{% endmacro %}


{# A UTC instant as wall-clock time of the project's time zone. #}
{% macro local_time(column) %}
    (({{ column }} at time zone 'UTC') at time zone '{{ var("timezone") }}')
{% endmacro %}


{# The Monday of the local week in which a UTC instant falls. #}
{% macro week_start(column) %} cast(date_trunc('week', {{ local_time(column) }}) as date) {% endmacro %}


{#
    The UTC instant at which a local day starts. Where clocks go back over midnight it strikes twice, an hour apart: the
    day starts with the first, as Python has it.
#}
{% macro day_start_utc(day) %}
    {% set midnight = (
        "((cast("
        ~ day
        ~ " as timestamp) at time zone '"
        ~ var("timezone")
        ~ "') at time zone 'UTC')"
    ) %}
    (
        {{ midnight }} - case
            when {{ local_time("(" ~ midnight ~ " - interval 1 hour)") }} = cast({{ day }} as timestamp)
            then interval 1 hour
            else interval 0 hour
        end
    )
{% endmacro %}


{# An instant plus a number of days of 24 hours. #}
{% macro plus_days(instant, days) %}({{ instant }} + {{ days }} * interval 1 day) {% endmacro %}


{# An instant less a number of days of 24 hours. #}
{% macro days_earlier(instant, days) %}({{ instant }} - {{ days }} * interval 1 day) {% endmacro %}


{#
    Left join of `left_alias` to the row of `relation` with equal keys whose `right_time` is the first at or
    after `left_time`. Rows that must find none have no `left_time`: a further condition would make it a nested loop.
#}
{% macro asof_next_join(relation, alias, keys, left_alias, left_time, right_time) %}
    asof left join
        {{ relation }} as {{ alias }}
        on {% for key in keys %} {{ left_alias }}.{{ key }} = {{ alias }}.{{ key }} and {% endfor %}
        {{ left_alias }}.{{ left_time }} <= {{ alias }}.{{ right_time }}
{% endmacro %}


{# Likewise to the last row before `left_time`; rows without one are left out. #}
{% macro asof_earlier_join(relation, alias, keys, left_alias, left_time, right_time) %}
    asof join
        {{ relation }} as {{ alias }}
        on {% for key in keys %} {{ left_alias }}.{{ key }} = {{ alias }}.{{ key }} and {% endfor %}
        {{ left_alias }}.{{ left_time }} > {{ alias }}.{{ right_time }}
{% endmacro %}


{# Left join to the last row at or before `left_time`. #}
{% macro asof_latest_join(relation, alias, keys, left_alias, left_time, right_time) %}
    asof left join
        {{ relation }} as {{ alias }}
        on {% for key in keys %} {{ left_alias }}.{{ key }} = {{ alias }}.{{ key }} and {% endfor %}
        {{ left_alias }}.{{ left_time }} >= {{ alias }}.{{ right_time }}
{% endmacro %}


{# One row per whole number from 0 to `last`: use in the select list. #}
{% macro numbers_to_rows(last) %} unnest(range({{ last }} + 1)) {% endmacro %}


{# Numbers as people read them: one decimal. #}
{% macro number_text(value) %} format('{:.1f}', cast({{ value }} as double)) {% endmacro %}


{% macro percent_text(rate) %} format('{:.1f} %', 100 * cast({{ rate }} as double)) {% endmacro %}


{# Every column of `relation` but the named ones; of the whole row where no relation is named. #}
{% macro all_but(columns, relation="") %}
    {{ relation ~ "." if relation else "" }}* exclude ({{ columns | join(", ") }})
{% endmacro %}


{% macro has_prefix(value, prefix) %} starts_with({{ value }}, '{{ prefix }}') {% endmacro %}


{# The value of a group's first row in the order of the columns, of those that have one; a window would sort them all. #}
{% macro first_by(value, columns) %} arg_min({{ value }}, ({{ columns | join(", ") }})) {% endmacro %}


{# `last_value` or `lag` of the values that are not null; the caller adds the window. #}
{% macro last_known(value) %} last_value({{ value }} ignore nulls) {% endmacro %}


{% macro previous_known(value) %} lag({{ value }} ignore nulls) {% endmacro %}


{# The value of the row that comes first, or last, in the order of the given columns; nulls are passed over. #}
{% macro value_at_first(value, order) %} arg_min({{ value }}, row({{ order | join(", ") }})) {% endmacro %}


{% macro value_at_last(value, order) %} arg_max({{ value }}, row({{ order | join(", ") }})) {% endmacro %}


{# How many different whole numbers of `age` from `first` to `last`, at most 63 of them, a group has. #}
{% macro distinct_days(age, first, last) %}
    bit_count(
        bit_or(
            case
                when {{ age }} between {{ first }} and {{ last }}
                then cast(1 as ubigint) << cast({{ age }} - {{ first }} as ubigint)
                else cast(0 as ubigint)
            end
        )
    )
{% endmacro %}


{# Is a value a token: type, namespace if it has one, and 32 hexadecimal digits? #}
{% macro is_token(column) %}
    regexp_full_match({{ column }}, '[a-z_]+(:[a-z0-9_]+)?:[0-9a-f]{32}')
{% endmacro %}
