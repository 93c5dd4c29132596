{#
    Sums from which a week and the weeks before it are compared like with like: everything that takes time is
    counted up to the same age, the age that the compared week has reached (`horizon_seconds`).
#}
with
    measures as (select * from {{ ref("attempt_measures") }}),

    horizons as (
        select distinct journey, horizon_seconds
        from {{ ref("journey_weeks") }}
        where horizon_seconds is not null
    ),

    measured as (
        select
            measures.*,
            segments.assigned_segment,
            ln(greatest(measures.duration_seconds / 3600, 1.0 / 60)) as log_hours,
            ln(1 + measures.first_day_touch_count) as log_touches
        from measures
        inner join {{ ref("attempt_segments") }} as segments on measures.attempt_id = segments.attempt_id
    ),

    aged as (
        select
            measured.*,
            horizons.horizon_seconds,
            measured.status = 'converted'
            and measured.duration_seconds <= horizons.horizon_seconds as has_converted
        from measured
        inner join horizons on measured.journey = horizons.journey
    ),

    {# Decimals until the end, so that parts add up to their margins to the last digit. #}
    summed as (
        select
            journey,
            week_start_date,
            assigned_segment,
            first_channel,
            horizon_seconds,
            count(*) as conversion_n,
            count(case when has_converted then 1 end) as conversion_sum,
            count(satisfaction_rate) as sentiment_n,
            sum(cast(satisfaction_rate as {{ exact_type() }})) as sentiment_sum,
            count(log_touches) as engagement_n,
            sum(cast(log_touches as {{ exact_type() }})) as engagement_sum,
            sum(cast(log_touches * log_touches as {{ exact_type() }})) as engagement_square_sum,
            count(case when has_converted then 1 end) as velocity_n,
            sum(cast(case when has_converted then log_hours end as {{ exact_type() }})) as velocity_sum,
            sum(
                cast(case when has_converted then log_hours * log_hours end as {{ exact_type() }})
            ) as velocity_square_sum
        from aged
        group by journey, week_start_date, assigned_segment, first_channel, horizon_seconds
    ),

    {% set counts = ["conversion_n", "conversion_sum", "sentiment_n", "engagement_n", "velocity_n"] %}
    {% set sums = [
        "sentiment_sum",
        "engagement_sum",
        "engagement_square_sum",
        "velocity_sum",
        "velocity_square_sum",
    ] %}

    sliced as (
        {{
            with_margins(
                "summed",
                ["journey", "week_start_date", "horizon_seconds"] + counts + sums,
                "channel",
                "first_channel",
            )
        }}
    ),

    final as (
        select
            journey,
            week_start_date,
            segment,
            channel,
            horizon_seconds,
            {% for count in counts %} cast(sum({{ count }}) as bigint) as {{ count }}, {% endfor %}
            {% for sum in sums %}
                cast(sum({{ sum }}) as double) as {{ sum }}{{ "," if not loop.last }}
            {% endfor %}
        from sliced
        group by journey, week_start_date, segment, channel, horizon_seconds
    )

select *
from final
