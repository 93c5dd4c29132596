{# 95 % of a normal distribution lies within this many standard deviations of its mean. #}
{% macro z95() %} 1.959963984540054 {% endmacro %}


{# Four of five draws of a normal distribution lie below this many standard deviations above its mean. #}
{% macro z80_one_sided() %} 0.8416212335729143 {% endmacro %}


{# Wilson's score interval for `hits` of `tries` (Wilson 1927); null when nothing was tried. #}
{% macro wilson_low(hits, tries) %}
    case when {{ tries }} > 0 then greatest(0.0, {{ _wilson(hits, tries, "-") }}) end
{% endmacro %}


{% macro wilson_high(hits, tries) %}
    case when {{ tries }} > 0 then least(1.0, {{ _wilson(hits, tries, "+") }}) end
{% endmacro %}


{% macro _wilson(hits, tries, side) %}
    (
        {{ hits }} + power({{ z95() }}, 2) / 2
        {{ side }} {{ z95() }} * sqrt(
            {{ hits }} * ({{ tries }} - {{ hits }}) / cast(nullif({{ tries }}, 0) as double)
            + power({{ z95() }}, 2) / 4
        )
    )
    / (nullif({{ tries }}, 0) + power({{ z95() }}, 2))
{% endmacro %}


{#
    A sum that is the same in whatever order its rows come, which floating point cannot promise: of nine decimals, or
    of eighteen where the numbers may be small. `over` makes it a window's.
#}
{% macro exact_sum(value, decimals=9, over="") %}
    cast(sum(cast({{ value }} as {{ exact_type(decimals) }})) {{ over }} as double)
{% endmacro %}


{% macro exact_type(decimals=9) %} decimal({{ 18 if decimals <= 9 else 38 }}, {{ decimals }}) {% endmacro %}


{% macro logit(rate) %} ln({{ rate }} / (1 - {{ rate }})) {% endmacro %}


{# A measure's distance from its reference as a score: par is 75, ever worse tends to 0, ever better to 100. #}
{% macro score(distance) %}
    100 / (1 + exp(- ({{ var("health_par_logit") }} + {{ var("health_slope") }} * ({{ distance }}))))
{% endmacro %}


{# How much the score moves per unit of distance, for carrying variances over. #}
{% macro score_slope(score_value) %}
    ({{ var("health_slope") }} * {{ score_value }} * (1 - {{ score_value }} / 100))
{% endmacro %}
