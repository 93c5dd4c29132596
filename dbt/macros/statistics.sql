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


{# A number as it is published; what rounds to nothing is 0, not -0. #}
{% macro rounded(value, decimals=6) %}(round({{ value }}, {{ decimals }}) + 0) {% endmacro %}


{% macro logit(rate) %} ln({{ rate }} / (1 - {{ rate }})) {% endmacro %}


{# A measure's distance from its reference as a score: par is 75, ever worse tends to 0, ever better to 100. #}
{% macro score(distance) %}
    100 / (1 + exp(- ({{ var("health_par_logit") }} + {{ var("health_slope") }} * ({{ distance }}))))
{% endmacro %}


{# How much the score moves per unit of distance, for carrying variances over. #}
{% macro score_slope(score_value) %}
    ({{ var("health_slope") }} * {{ score_value }} * (1 - {{ score_value }} / 100))
{% endmacro %}


{#
    Chance of so large a distance from nothing, either way, in standard deviations of a normal distribution: the
    complementary error function by the Chebyshev fit of Press and others (Numerical Recipes, 6.2), whose relative error
    is below 1.2e-7 everywhere. `z` is not negative.
#}
{% macro two_sided_p_value(z) %}
    {% set t = "(1 / (1 + 0.5 * (" ~ z ~ ") / sqrt(2.0)))" %}
    {% set terms = [
        "1.00002368",
        "0.37409196",
        "0.09678418",
        "-0.18628806",
        "0.27886807",
        "-1.13520398",
        "1.48851587",
        "-0.82215223",
        "0.17087277",
    ] %}
    {% set fit = namespace(text="0.0") %}
    {% for term in terms | reverse %}
        {% set fit.text = t ~ " * (" ~ term ~ " + " ~ fit.text ~ ")" %}
    {% endfor %}
    {{ t }} * exp(- power({{ z }}, 2) / 2 - 1.26551223 + {{ fit.text }})
{% endmacro %}


{#
    How far two shares lie apart if there is no difference, in standard deviations: the root of chi-squared of a table of
    four with the correction of Yates (1934), which keeps close to Fisher's exact test where numbers are small. 0 where
    all or none are hits.
#}
{% macro yates_z(hits, tries, other_hits, other_tries) %}
    {% set all = "(" ~ tries ~ " + " ~ other_tries ~ ")" %}
    {% set all_hits = "(" ~ hits ~ " + " ~ other_hits ~ ")" %}
    coalesce(
        greatest(
            0.0,
            abs(
                cast({{ hits }} as double) * {{ other_tries }}
                - cast({{ other_hits }} as double) * {{ tries }}
            )
            - {{ all }} / 2.0
        ) * sqrt(
            cast({{ all }} as double) / nullif(
                cast({{ tries }} as double)
                * {{ other_tries }}
                * {{ all_hits }}
                * ({{ all }} - {{ all_hits }}),
                0
            )
        ),
        0.0
    )
{% endmacro %}


{#
    CTEs that end in `discovered`: the rows of `relation` with `q_value`, the share of false discoveries among all with
    a `p_value` so small or smaller, within each group of `by` (Benjamini and Hochberg 1995). Rows without one have none.
#}
{% macro false_discovery_ctes(relation, by, order) %}
    by_p_value as (
        select
            *,
            row_number() over (
                partition by {{ by | join(", ") }} order by p_value nulls last, {{ order | join(", ") }}
            ) as p_place,
            count(p_value) over (partition by {{ by | join(", ") }}) as p_count
        from {{ relation }}
    ),

    discovered as (
        select
            {{ all_but(["p_place", "p_count"]) }},
            case
                when p_value is not null
                then
                    min(least(1.0, p_value * p_count / p_place)) over (
                        partition by {{ by | join(", ") }} order by p_place desc rows unbounded preceding
                    )
            end as q_value
        from by_p_value
    )
{% endmacro %}
