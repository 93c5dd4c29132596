{# What the lenses on journeys have in common: slices, survival and words. #}
{#
    Weeks and segments with their margins for an aggregate, which so sees its rows once; without `by_segment` only weeks.
    Goes with `slice_columns`, which names them.
#}
{% macro slice_sets(columns, by_segment=true) %}
    {% set slices = [[], ["week_start_date"]] %}
    {% if by_segment %}
        {% set slices = slices + [["assigned_segment"], ["week_start_date", "assigned_segment"]] %}
    {% endif %} grouping sets (
        {% for slice in slices %}({{ (columns + slice) | join(", ") }}){{ "," if not loop.last }} {% endfor %}
    )
    {% if by_segment %} having grouping(assigned_segment) = 1 or assigned_segment is not null {% endif %}
{% endmacro %}


{% macro slice_columns(by_segment=true) %}
    case when grouping(week_start_date) = 1 then 'all' else cast(week_start_date as varchar) end as week,
    case when grouping(week_start_date) = 0 then week_start_date end as week_start_date,
    {% if by_segment %} case when grouping(assigned_segment) = 1 then 'all' else assigned_segment end
    {% else %} 'all'
    {% endif %} as segment
{% endmacro %}


{#
    The 95 % interval of a survival or incidence on the scale of ln(-ln(rate)), which keeps it between 0 and 1
    (Kalbfleisch and Prentice 1980); null at 0 and at 1, where it has no width there.
#}
{% macro log_log_low(rate, variance) %} {{ _log_log(rate, variance, "+") }}{% endmacro %}


{% macro log_log_high(rate, variance) %} {{ _log_log(rate, variance, "-") }}{% endmacro %}


{% macro _log_log(rate, variance, side) %}
    case
        when {{ rate }} > 0 and {{ rate }} < 1
        then
            power(
                {{ rate }},
                exp(
                    {{ side }} {{ z95() }}
                    * sqrt(greatest({{ variance }}, 0))
                    / ({{ rate }} * abs(ln({{ rate }})))
                )
            )
    end
{% endmacro %}


{#
    How long attempts stay in a stage and which way they leave it, as CTEs. `stays` has the columns of `keys`, `grid`,
    `way_out` (advanced, lost or open) and `turn`, a whole number that orders the stays by their length and at equal
    lengths puts the open ones last.

    Nobody's watching ends inside a stretch, which lies between two ends of watching and in one value of `grid`; so all
    that leave in a stretch are one draw of many from those who were there at its start. That gives the survival of Kaplan
    and Meier (1958), the incidences of Aalen and Johansen (1978) and the variances of Greenwood (1926) and of Marubini and
    Valsecchi (1995, eq. 10.12) at its end without a look at each time: up to there their sums telescope. The squares of
    the last are multiplied out, so that running sums suffice.

    `turned` numbers the stays, `stretches` has per stretch at its end: `rate` that is there still, `hazards` whose product
    with its square is its variance, and per way `_rate`, `_linear` and `_square`, of which `incidence_variance` makes the
    variance.
#}
{% macro competing_risks(stays, keys) %}
    {% set key = keys | join(", ") %}
    {% set so_far = "over (in_turn rows unbounded preceding)" %}
    {% set before = "over (in_turn rows between unbounded preceding and 1 preceding)" %}
    {% set in_turn = "window in_turn as (partition by " ~ key ~ " order by first_place)" %}
    {# Open stays never have the turn of others, so ranks tell how many of them come before a stay. #}
    turned as (
        select
            *,
            row_number() over by_turn as place,
            case
                when way_out = 'open'
                then rank() over of_kind - 1
                else rank() over by_turn - rank() over of_kind
            end as stretch
        from {{ stays }}
        window
            by_turn as (partition by {{ key }} order by turn),
            of_kind as (partition by {{ key }}, way_out = 'open' order by turn)
    ),

    counted_stretches as (
        select
            {{ key }},
            grid,
            stretch,
            min(place) as first_place,
            max(place) as last_place,
            count(case when way_out = 'advanced' then 1 end) as advanced,
            count(case when way_out = 'lost' then 1 end) as lost
        from turned
        group by {{ key }}, grid, stretch
    ),

    watched_stretches as (
        select
            *,
            advanced + lost as ended,
            cast(max(last_place) over (partition by {{ key }}) - first_place + 1 as double) as watched
        from counted_stretches
    ),

    surviving_stretches as (
        select
            *,
            {# Where everybody leaves nobody is left for whom the rest would matter. #}
            case when ended < watched then ended / (watched * (watched - ended)) else 0 end as hazard,
            exp(
                coalesce(
                    {{
                        exact_sum(
                            "case when ended < watched then ln(1 - ended / watched) else 0 end",
                            decimals=18,
                            over=before,
                        )
                    }},
                    0
                )
            ) as rate_before
        from watched_stretches {{ in_turn }}
    ),

    cumulated_stretches as (
        select
            *,
            case when ended < watched then rate_before * (1 - ended / watched) else 0.0 end as rate,
            {{ exact_sum("hazard", decimals=18, over=so_far) }} as hazards,
            coalesce(sum(advanced) {{ before }}, 0) as advanced_before
            {% for way in ["advanced", "lost"] %}
                ,
                rate_before * {{ way }} / power(watched, 2) as {{ way }}_step,
                {{ exact_sum("rate_before * " ~ way ~ " / watched", decimals=18, over=so_far) }}
                as {{ way }}_rate
            {% endfor %}
        from surviving_stretches {{ in_turn }}
    ),

    {% for way in ["advanced", "lost"] %}
        {% set linear = "hazard * " ~ way ~ "_rate + " ~ way ~ "_step" %}
        {% set square = (
            "hazard * power("
            ~ way
            ~ "_rate, 2) + rate_before * (watched - "
            ~ way
            ~ ") / watched * "
            ~ way
            ~ "_step + 2 * "
            ~ way
            ~ "_step * "
            ~ way
            ~ "_rate"
        ) %}
        {{ way }}_stretches as (
            select
                *,
                {{ exact_sum(linear, decimals=18, over=so_far) }} as {{ way }}_linear,
                {{ exact_sum(square, decimals=18, over=so_far) }} as {{ way }}_square,
                {{ linear }} as {{ way }}_linear_step,
                {{ square }} as {{ way }}_square_step
            from {{ "cumulated" if way == "advanced" else "advanced" }}_stretches {{ in_turn }}
        ),
    {% endfor %}

    stretches as (select * from lost_stretches)
{% endmacro %}


{# The variance of an incidence from the sums that `competing_risks` gives. #}
{% macro incidence_variance(rate, hazards, linear, square) %}
    greatest({{ hazards }} * power({{ rate }}, 2) - 2 * {{ rate }} * ({{ linear }}) + {{ square }}, 0)
{% endmacro %}


{# The order of stays by their length, in microseconds; who was watched no longer comes after who left then. #}
{% macro turn_of(seconds, way_out) %}
    2 * cast({{ seconds }} * 1000000 as bigint) + case when {{ way_out }} = 'open' then 1 else 0 end
{% endmacro %}
