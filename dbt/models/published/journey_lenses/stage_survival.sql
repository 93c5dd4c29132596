{# The curves of all attempts, read off at the end of each day. #}
with
    journeys as (select journey, window_days from {{ ref("journeys") }}),

    stages as (select journey, stage_order, stage from {{ ref("journey_stages") }}),

    curves as (select * from {{ ref("stage_curves") }} where week = 'all' and segment = 'all'),

    entered as (
        select journey, stage_order, max(at_risk_count) as entered_count
        from curves
        group by journey, stage_order
    ),

    days as (
        select
            entered.journey,
            entered.stage_order,
            entered.entered_count,
            {{ numbers_to_rows("journeys.window_days") }} as day
        from entered
        inner join journeys on entered.journey = journeys.journey
    ),

    timed as (select *, cast(day as double) * 86400 as day_seconds from days),

    read_off as (
        select
            timed.journey,
            timed.stage_order,
            timed.day,
            case
                when curves.stayed_seconds is null
                then timed.entered_count
                when curves.stayed_seconds = timed.day_seconds
                then curves.at_risk_count
                else curves.left_at_risk_count
            end as at_risk_count,
            coalesce(curves.survival_rate, 1.0) as survival_rate,
            coalesce(curves.survival_variance, 0.0) as survival_variance,
            coalesce(curves.advanced_rate, 0.0) as advanced_rate,
            coalesce(curves.advanced_variance, 0.0) as advanced_variance,
            coalesce(curves.lost_rate, 0.0) as lost_rate,
            coalesce(curves.lost_variance, 0.0) as lost_variance
        from
            timed
            {{
                asof_latest_join(
                    "curves", "curves", ["journey", "stage_order"], "timed", "day_seconds", "stayed_seconds"
                )
            }}
    ),

    final as (
        select
            read_off.journey,
            read_off.stage_order,
            stages.stage,
            read_off.day,
            round(read_off.survival_rate, 6) as survival_rate,
            {# At 1 and at 0 as lifelines has it. #}
            round(coalesce({{ log_log_low("survival_rate", "survival_variance") }}, survival_rate), 6) as low,
            round(
                coalesce({{ log_log_high("survival_rate", "survival_variance") }}, survival_rate), 6
            ) as high,
            {% for way in ["advanced", "lost"] %}
                {% set rate, variance = way ~ "_rate", way ~ "_variance" %}
                round(read_off.{{ rate }}, 6) as {{ rate }},
                round({{ log_log_low(rate, variance) }}, 6) as {{ way }}_low,
                round({{ log_log_high(rate, variance) }}, 6) as {{ way }}_high,
            {% endfor %}
            read_off.at_risk_count
        from read_off
        inner join stages on read_off.journey = stages.journey and read_off.stage_order = stages.stage_order
    )

select *
from final
