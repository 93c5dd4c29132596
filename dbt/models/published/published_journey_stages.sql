{{ config(alias="journey_stages") }}

with
    attempt_stages as (select * from {{ ref("attempt_stages") }}),

    attempts as (select * from {{ ref("attempts") }}),

    stages as (select journey, stage_order, stage from {{ ref("journey_stages") }}),

    segments as (select * from {{ ref("attempt_segments") }}),

    timed as (
        select
            attempt_stages.*,
            segments.assigned_segment,
            {{
                seconds_between(
                    previous_known("attempt_stages.reached_at") ~ " over by_attempt",
                    "attempt_stages.reached_at",
                )
            }} / 3600 as hours_from_previous
        from attempt_stages
        inner join segments on attempt_stages.attempt_id = segments.attempt_id
        window by_attempt as (partition by attempt_stages.attempt_id order by attempt_stages.stage_order)
    ),

    {# Each split comes with its margins: every attempt counts in its week and in `all`, in its segment and in `all`. #}
    {% set weeks = ["cast(week_start_date as varchar)", "'all'"] %}

    weekly as (
        {% for week in weeks %}
            select *, {{ week }} as week, 'all' as segment
            from timed
            union all
            select *, {{ week }} as week, assigned_segment as segment
            from timed
            where assigned_segment is not null
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    {# Every attempt has reached the first stage. #}
    entered as (
        select
            journey,
            week,
            segment,
            min(case when week <> 'all' then week_start_date end) as week_start_date,
            count(*) as entered_count
        from weekly
        where stage_order = 1
        group by journey, week, segment
    ),

    conversion_values as (
        select journey, avg(value_amount) as value_amount, min(value_currency) as value_currency
        from attempts
        where status = 'converted' and value_amount is not null
        group by journey
        having count(distinct value_currency) = 1
    ),

    counted as (
        select
            journey,
            week,
            segment,
            stage_order,
            count(*) as reached_count,
            count(case when has_advanced then 1 end) as advanced_count,
            count(case when is_converted_here then 1 end) as converted_count,
            count(case when is_lost_here then 1 end) as lost_count,
            count(case when is_open_here then 1 end) as open_count,
            median(
                case when hours_from_previous >= 0 then hours_from_previous end
            ) as median_hours_from_previous,
            {{ exact_sum("satisfaction_rate") }}
            / nullif(count(satisfaction_rate), 0)
            * 100 as satisfaction_score
        from weekly
        group by journey, week, segment, stage_order
    ),

    gridded as (
        select
            entered.journey,
            entered.week,
            entered.week_start_date,
            entered.segment,
            stages.stage_order,
            stages.stage,
            entered.entered_count,
            coalesce(counted.reached_count, 0) as reached_count,
            coalesce(counted.advanced_count, 0) + coalesce(counted.converted_count, 0) as advanced_count,
            coalesce(counted.lost_count, 0) as lost_count,
            coalesce(counted.open_count, 0) as open_count,
            counted.median_hours_from_previous,
            counted.satisfaction_score
        from entered
        inner join stages on entered.journey = stages.journey
        left join
            counted
            on entered.journey = counted.journey
            and entered.week = counted.week
            and entered.segment = counted.segment
            and stages.stage_order = counted.stage_order
    ),

    rated as (
        select
            *,
            lag(reached_count) over (
                partition by journey, week, segment order by stage_order
            ) as previous_reached_count,
            {# Open attempts are in no denominator of a loss. #}
            advanced_count + lost_count as closed_count
        from gridded
    ),

    final as (
        select
            rated.journey,
            rated.week,
            rated.week_start_date,
            rated.segment,
            rated.stage_order,
            rated.stage,
            rated.entered_count,
            rated.reached_count,
            rated.advanced_count,
            rated.lost_count,
            rated.open_count,
            round(rated.reached_count / nullif(rated.entered_count, 0), 6) as shared_rate,
            case
                when rated.stage_order = 1
                then 1.0
                else round(rated.reached_count / nullif(rated.previous_reached_count, 0), 6)
            end as step_rate,
            round(rated.lost_count / nullif(rated.closed_count, 0), 6) as drop_off_rate,
            round({{ wilson_low("rated.lost_count", "rated.closed_count") }}, 6) as drop_off_low,
            round({{ wilson_high("rated.lost_count", "rated.closed_count") }}, 6) as drop_off_high,
            round(rated.median_hours_from_previous, 4) as median_hours_from_previous,
            round(rated.satisfaction_score, 4) as satisfaction_score,
            cast(rated.lost_count * conversion_values.value_amount as decimal(18, 2)) as value_at_risk_amount,
            conversion_values.value_currency as value_at_risk_currency
        from rated
        left join conversion_values on rated.journey = conversion_values.journey
    )

select *
from final
