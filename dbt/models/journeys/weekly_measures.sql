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

    sliced as (
        select *, first_channel as channel
        from measures
        union all
        select *, 'all' as channel
        from measures
    ),

    aged as (
        select
            sliced.*,
            horizons.horizon_seconds,
            sliced.status = 'converted'
            and sliced.duration_seconds <= horizons.horizon_seconds as has_converted,
            ln(greatest(sliced.duration_seconds / 3600, 1.0 / 60)) as log_hours,
            ln(1 + sliced.first_day_touch_count) as log_touches
        from sliced
        inner join horizons on sliced.journey = horizons.journey
    ),

    final as (
        select
            journey,
            week_start_date,
            channel,
            horizon_seconds,
            count(*) as conversion_n,
            count(case when has_converted then 1 end) as conversion_sum,
            count(satisfaction_rate) as sentiment_n,
            {{ exact_sum("satisfaction_rate") }} as sentiment_sum,
            count(log_touches) as engagement_n,
            {{ exact_sum("log_touches") }} as engagement_sum,
            {{ exact_sum("log_touches * log_touches") }} as engagement_square_sum,
            count(case when has_converted then 1 end) as velocity_n,
            {{ exact_sum("case when has_converted then log_hours end") }} as velocity_sum,
            {{ exact_sum("case when has_converted then log_hours * log_hours end") }} as velocity_square_sum
        from aged
        group by journey, week_start_date, channel, horizon_seconds
    )

select *
from final
