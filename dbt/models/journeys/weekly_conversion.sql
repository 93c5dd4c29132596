{#
    Share of a week's attempts that convert, estimated as Aalen and Johansen (1978) do: open attempts count as
    long as they were watched and are never taken for lost. Its variance is that of Marubini and Valsecchi
    (1995, eq. 10.12); without open attempts both are those of a plain share.
#}
with
    measures as (select * from {{ ref("attempt_measures") }}),

    weeks as (select * from {{ ref("journey_weeks") }}),

    {# Whatever happens after the horizon is not known at the horizon. #}
    watched_to_horizon as (
        select
            measures.journey,
            measures.week_start_date,
            measures.first_channel,
            measures.status as status_now,
            case
                when measures.duration_seconds > weeks.horizon_seconds then 'open' else measures.status
            end as status,
            least(
                measures.duration_seconds, coalesce(weeks.horizon_seconds, measures.duration_seconds)
            ) as duration_seconds,
            measures.status <> 'open' or measures.duration_seconds >= weeks.horizon_seconds as is_watched
        from measures
        inner join
            weeks on measures.journey = weeks.journey and measures.week_start_date = weeks.week_start_date
    ),

    sliced as (
        select *, first_channel as channel
        from watched_to_horizon
        union all
        select *, 'all' as channel
        from watched_to_horizon
    ),

    by_time as (
        select
            journey,
            week_start_date,
            channel,
            duration_seconds,
            count(*) as leaving,
            count(case when status = 'converted' then 1 end) as converted,
            count(case when status <> 'open' then 1 end) as ended,
            count(case when is_watched then 1 end) as watched_count,
            count(case when status_now = 'converted' then 1 end) as converted_count,
            count(case when status_now = 'lost' then 1 end) as lost_count,
            count(case when status_now = 'open' then 1 end) as open_count
        from sliced
        group by journey, week_start_date, channel, duration_seconds
    ),

    at_risk as (
        select
            *,
            cast(
                sum(leaving) over (
                    partition by journey, week_start_date, channel
                    order by duration_seconds desc
                    rows unbounded preceding
                ) as double
            ) as watched
        from by_time
    ),

    surviving as (
        select
            *,
            {# At the last time everybody watched may end; nobody is left for whom that would matter. #}
            exp(
                coalesce(
                    sum(case when ended < watched then ln(1 - ended / watched) else 0 end) over (
                        partition by journey, week_start_date, channel
                        order by duration_seconds
                        rows between unbounded preceding and 1 preceding
                    ),
                    0
                )
            ) as open_rate_before
        from at_risk
    ),

    cumulated as (
        select
            *,
            sum(open_rate_before * converted / watched) over (
                partition by journey, week_start_date, channel
                order by duration_seconds
                rows unbounded preceding
            ) as rate_so_far,
            sum(open_rate_before * converted / watched) over (
                partition by journey, week_start_date, channel
            ) as conversion_rate
        from surviving
    ),

    final as (
        select
            journey,
            week_start_date,
            channel,
            cast(sum(leaving) as bigint) as entered_count,
            cast(sum(converted_count) as bigint) as converted_count,
            cast(sum(lost_count) as bigint) as lost_count,
            cast(sum(open_count) as bigint) as open_count,
            cast(sum(watched_count) as bigint) as watched_count,
            max(conversion_rate) as conversion_rate,
            sum(
                coalesce(
                    power(conversion_rate - rate_so_far, 2) * ended / nullif(watched * (watched - ended), 0),
                    0
                )
                + power(open_rate_before, 2) * (watched - converted) * converted / power(watched, 3)
                - 2 * (conversion_rate - rate_so_far) * open_rate_before * converted / power(watched, 2)
            ) as conversion_variance
        from cumulated
        group by journey, week_start_date, channel
    )

select *
from final
