{{ config(materialized="view") }}

{#
    How long attempts stay in a stage and which way they leave it: after each time at which any left, the share that
    is there still (Kaplan and Meier 1958) and the shares that have gone on or were lost (Aalen and Johansen 1978, each
    the other's competing risk). Open attempts count as long as they were watched. Variances are Greenwood's (1926) and
    that of Marubini and Valsecchi (1995, eq. 10.12), with its squares multiplied out so that running sums suffice; of a
    share without open attempts both are the binomial's.
#}
{% set slice = "journey, week, segment, stage_order" %}
{% set so_far = "over (by_time rows unbounded preceding)" %}
{% set ways = ["advanced", "lost"] %}

with
    last_stages as (
        select journey, max(stage_order) as stage_order from {{ ref("journey_stages") }} group by journey
    ),

    {# Nobody leaves the last stage: who reaches it has converted. #}
    stays as (
        select
            attempt_stages.journey,
            attempt_stages.week_start_date,
            segments.assigned_segment,
            attempt_stages.stage_order,
            attempt_stages.stayed_seconds,
            attempt_stages.way_out
        from {{ ref("attempt_stages") }} as attempt_stages
        inner join
            last_stages
            on attempt_stages.journey = last_stages.journey
            and attempt_stages.stage_order < last_stages.stage_order
        inner join
            {{ ref("attempt_segments") }} as segments on attempt_stages.attempt_id = segments.attempt_id
    ),

    sliced as (
        {{ with_slices("stays", ["journey", "week_start_date", "stage_order", "stayed_seconds", "way_out"]) }}
    ),

    by_time as (
        select
            {{ slice }},
            stayed_seconds,
            count(*) as leaving,
            count(case when way_out <> 'open' then 1 end) as ended,
            {% for way in ways %}
                count(case when way_out = '{{ way }}' then 1 end) as {{ way }}{{ "," if not loop.last }}
            {% endfor %}
        from sliced
        group by {{ slice }}, stayed_seconds
    ),

    at_risk as (
        select
            *,
            cast(
                sum(leaving) over (
                    partition by {{ slice }}
                    order by stayed_seconds
                    rows between current row and unbounded following
                ) as double
            ) as watched
        from by_time
    ),

    surviving as (
        select
            *,
            {# At the last time everybody watched may end; nobody is left for whom that would matter. #}
            case when ended < watched then ended / (watched * (watched - ended)) else 0 end as hazard,
            exp(
                coalesce(
                    {{
                        exact_sum(
                            "case when ended < watched then ln(1 - ended / watched) else 0 end",
                            decimals=18,
                            over="over (by_time rows between unbounded preceding and 1 preceding)",
                        )
                    }},
                    0
                )
            ) as rate_before
        from at_risk
        window by_time as (partition by {{ slice }} order by stayed_seconds)
    ),

    cumulated as (
        select
            *,
            case when ended < watched then rate_before * (1 - ended / watched) else 0.0 end as rate,
            {{ exact_sum("hazard", decimals=18, over=so_far) }} as hazards,
            {% for way in ways %}
                {{ exact_sum("rate_before * " ~ way ~ " / watched", decimals=18, over=so_far) }}
                as {{ way }}_rate{{ "," if not loop.last }}
            {% endfor %}
        from surviving
        window by_time as (partition by {{ slice }} order by stayed_seconds)
    ),

    varied as (
        select
            *,
            {% for way in ways %}
                {% set step = "rate_before * " ~ way ~ " / power(watched, 2)" %}
                {% set own = (
                    "power(rate_before, 2) * (watched - "
                    ~ way
                    ~ ") * "
                    ~ way
                    ~ " / power(watched, 3)"
                ) %}
                {{ exact_sum("hazard * " ~ way ~ "_rate + " ~ step, decimals=18, over=so_far) }}
                as {{ way }}_linear,
                {{
                    exact_sum(
                        "hazard * power("
                        ~ way
                        ~ "_rate, 2) + "
                        ~ own
                        ~ " + 2 * "
                        ~ step
                        ~ " * "
                        ~ way
                        ~ "_rate",
                        decimals=18,
                        over=so_far,
                    )
                }} as {{ way }}_square{{ "," if not loop.last }}
            {% endfor %}
        from cumulated
        window by_time as (partition by {{ slice }} order by stayed_seconds)
    ),

    final as (
        select
            {{ slice }},
            stayed_seconds,
            cast(watched as bigint) as at_risk_count,
            cast(watched - leaving as bigint) as left_at_risk_count,
            round(rate, 12) as survival_rate,
            power(rate, 2) * hazards as survival_variance,
            {% for way in ways %}
                round({{ way }}_rate, 12) as {{ way }}_rate,
                greatest(
                    hazards * power({{ way }}_rate, 2)
                    - 2 * {{ way }}_rate * {{ way }}_linear
                    + {{ way }}_square,
                    0
                ) as {{ way }}_variance{{ "," if not loop.last }}
            {% endfor %}
        from varied
    )

select *
from final
