{# All attempts of a stage, read off at the end of each day. #}
with
    journeys as (select journey, window_days from {{ ref("journeys") }}),

    stages as (
        select journey, stage_order, stage, max(stage_order) over (partition by journey) as last_stage_order
        from {{ ref("journey_stages") }}
    ),

    {# Nobody leaves the last stage: who reaches it has converted. #}
    stays as (
        select
            attempt_stages.journey,
            attempt_stages.stage_order,
            attempt_stages.way_out,
            {# The day at whose end it counts. #}
            cast(ceil(attempt_stages.stayed_seconds / 86400) as integer) as grid,
            {{ turn_of("attempt_stages.stayed_seconds", "attempt_stages.way_out") }} as turn
        from {{ ref("attempt_stages") }} as attempt_stages
        inner join
            stages
            on attempt_stages.journey = stages.journey
            and attempt_stages.stage_order = stages.stage_order
        where attempt_stages.stage_order < stages.last_stage_order
    ),

    {{ competing_risks("stays", ["journey", "stage_order"]) }},

    day_ends as (
        select
            *,
            row_number() over (partition by journey, stage_order, grid order by first_place desc) as from_last
        from stretches
    ),

    ends as (select * from day_ends where from_last = 1),

    {# Those who stayed for a whole number of days were there still when it was over. #}
    entered as (
        select journey, stage_order, count(*) as entered_count from stays group by journey, stage_order
    ),

    to_the_instant as (
        select journey, stage_order, grid, count(*) as leaving_count
        from stays
        where turn - turn % 2 = 2 * 86400000000 * cast(grid as bigint)
        group by journey, stage_order, grid
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

    read_off as (
        select
            days.journey,
            days.stage_order,
            days.day,
            days.entered_count
            - coalesce(ends.last_place, 0)
            + coalesce(to_the_instant.leaving_count, 0) as at_risk_count,
            round(coalesce(ends.rate, 1.0), 12) as survival_rate,
            coalesce(power(ends.rate, 2) * ends.hazards, 0.0) as survival_variance,
            {% for way in ["advanced", "lost"] %}
                round(coalesce(ends.{{ way }}_rate, 0.0), 12) as {{ way }}_rate,
                coalesce(
                    {{
                        incidence_variance(
                            "ends." ~ way ~ "_rate",
                            "ends.hazards",
                            "ends." ~ way ~ "_linear",
                            "ends." ~ way ~ "_square",
                        )
                    }},
                    0.0
                ) as {{ way }}_variance{{ "," if not loop.last }}
            {% endfor %}
        from days {{ asof_latest_join("ends", "ends", ["journey", "stage_order"], "days", "day", "grid") }}
        left join
            to_the_instant
            on days.journey = to_the_instant.journey
            and days.stage_order = to_the_instant.stage_order
            and days.day = to_the_instant.grid
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
