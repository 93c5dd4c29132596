{#
    Share of a week's attempts that convert, estimated as Aalen and Johansen (1978) do: open attempts count as
    long as they were watched and are never taken for lost. Its variance is that of Marubini and Valsecchi
    (1995, eq. 10.12); without open attempts both are those of a plain share.
#}
with
    measures as (select * from {{ ref("attempt_measures") }}),

    segments as (select * from {{ ref("attempt_segments") }}),

    weeks as (select * from {{ ref("journey_weeks") }}),

    {# Whatever happens after the horizon is not known at the horizon. #}
    watched_to_horizon as (
        select
            measures.journey,
            measures.week_start_date,
            segments.assigned_segment,
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
        inner join segments on measures.attempt_id = segments.attempt_id
        inner join
            weeks on measures.journey = weeks.journey and measures.week_start_date = weeks.week_start_date
    ),

    counted as (
        select
            journey,
            week_start_date,
            assigned_segment,
            first_channel,
            duration_seconds,
            count(*) as leaving,
            count(case when status = 'converted' then 1 end) as converted,
            count(case when status <> 'open' then 1 end) as ended,
            count(case when is_watched then 1 end) as watched_count,
            count(case when status_now = 'converted' then 1 end) as converted_count,
            count(case when status_now = 'lost' then 1 end) as lost_count,
            count(case when status_now = 'open' then 1 end) as open_count
        from watched_to_horizon
        group by journey, week_start_date, assigned_segment, first_channel, duration_seconds
    ),

    {% set counts = [
        "leaving",
        "converted",
        "ended",
        "watched_count",
        "converted_count",
        "lost_count",
        "open_count",
    ] %}

    sliced as (
        {{
            with_margins(
                "counted",
                ["journey", "week_start_date", "duration_seconds"] + counts,
                "channel",
                "first_channel",
            )
        }}
    ),

    by_time as (
        select
            journey,
            week_start_date,
            segment,
            channel,
            duration_seconds,
            {% for count in counts %}
                cast(sum({{ count }}) as bigint) as {{ count }}{{ "," if not loop.last }}
            {% endfor %}
        from sliced
        group by journey, week_start_date, segment, channel, duration_seconds
    ),

    at_risk as (
        select
            *,
            cast(
                sum(leaving) over (
                    partition by journey, week_start_date, segment, channel
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
                    {{
                        exact_sum(
                            "case when ended < watched then ln(1 - ended / watched) else 0 end",
                            decimals=18,
                            over="over (by_time rows between unbounded preceding and 1 preceding)",
                        )
                    }},
                    0
                )
            ) as open_rate_before
        from at_risk
        window by_time as (partition by journey, week_start_date, segment, channel order by duration_seconds)
    ),

    cumulated as (
        select
            *,
            {% set step = "open_rate_before * converted / watched" %}
            {{ exact_sum(step, decimals=18, over="over (by_time rows unbounded preceding)") }} as rate_so_far,
            {{ exact_sum(step, decimals=18, over="over (in_all)") }} as conversion_rate
        from surviving
        window
            in_all as (partition by journey, week_start_date, segment, channel),
            by_time as (partition by journey, week_start_date, segment, channel order by duration_seconds)
    ),

    varied as (
        select
            *,
            coalesce(
                power(conversion_rate - rate_so_far, 2) * ended / nullif(watched * (watched - ended), 0), 0
            )
            + power(open_rate_before, 2) * (watched - converted) * converted / power(watched, 3)
            - 2
            * (conversion_rate - rate_so_far)
            * open_rate_before
            * converted
            / power(watched, 2) as variance
        from cumulated
    ),

    final as (
        select
            journey,
            week_start_date,
            segment,
            channel,
            cast(sum(leaving) as bigint) as entered_count,
            cast(sum(converted_count) as bigint) as converted_count,
            cast(sum(lost_count) as bigint) as lost_count,
            cast(sum(open_count) as bigint) as open_count,
            cast(sum(watched_count) as bigint) as watched_count,
            {# The last digits of a sum of steps are noise; 81.25 % must not come out as 81.3 %. #}
            round(max(conversion_rate), 12) as conversion_rate,
            {{ exact_sum("variance", decimals=18) }} as conversion_variance
        from varied
        group by journey, week_start_date, segment, channel
    )

select *
from final
