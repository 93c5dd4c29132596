{{ config(alias="journey_stages") }}

{% set slice = "journey, week, segment" %}

with
    stages as (select journey, stage_order, stage from {{ ref("journey_stages") }}),

    attempt_stages as (
        select attempt_stages.*, segments.assigned_segment
        from {{ ref("attempt_stages") }} as attempt_stages
        inner join
            {{ ref("attempt_segments") }} as segments on attempt_stages.attempt_id = segments.attempt_id
    ),

    {# Each split comes with its margins: every attempt counts in its week and in `all`, in its segment and in `all`. #}
    counted as (
        select
            journey,
            {{ slice_columns() }},
            stage_order,
            count(*) as reached_count,
            count(case when way_out = 'advanced' then 1 end) as advanced_count,
            count(case when way_out = 'lost' then 1 end) as lost_count,
            count(case when way_out = 'open' then 1 end) as open_count,
            median(
                case when hours_from_previous >= 0 then hours_from_previous end
            ) as median_hours_from_previous,
            {{ exact_sum("satisfaction_rate") }}
            / nullif(count(satisfaction_rate), 0)
            * 100 as satisfaction_score
        from attempt_stages
        group by {{ slice_sets(["journey", "stage_order"]) }}
    ),

    {# Every attempt has reached the first stage. #}
    entered as (
        select {{ slice }}, week_start_date, reached_count as entered_count from counted where stage_order = 1
    ),

    curves as (
        select
            {{ slice }},
            stage_order,
            stayed_seconds,
            advanced_rate,
            lost_rate,
            lost_variance,
            {{ log_log_low("advanced_rate", "advanced_variance") }} as advanced_low,
            {{ log_log_high("advanced_rate", "advanced_variance") }} as advanced_high
        from {{ ref("stage_curves") }}
    ),

    {# The share that is lost as far as it was watched, and when half have gone on. #}
    survived as (
        select
            {{ slice }},
            stage_order,
            {{ value_at_last("lost_rate", ["stayed_seconds"]) }} as drop_off_rate,
            {{ value_at_last("lost_variance", ["stayed_seconds"]) }} as drop_off_variance,
            min(case when advanced_rate >= 0.5 then stayed_seconds end) as half_advanced,
            {# Where all have gone on there is no interval any more. #}
            min(
                case when coalesce(advanced_high, advanced_rate) >= 0.5 then stayed_seconds end
            ) as half_advanced_low,
            min(
                case when coalesce(advanced_low, advanced_rate) >= 0.5 then stayed_seconds end
            ) as half_advanced_high
        from curves
        group by {{ slice }}, stage_order
    ),

    conversion_values as (
        select journey, avg(value_amount) as value_amount, min(value_currency) as value_currency
        from {{ ref("attempts") }}
        where status = 'converted' and value_amount is not null
        group by journey
        having count(distinct value_currency) = 1
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
            coalesce(counted.advanced_count, 0) as advanced_count,
            coalesce(counted.lost_count, 0) as lost_count,
            coalesce(counted.open_count, 0) as open_count,
            counted.median_hours_from_previous,
            counted.satisfaction_score,
            survived.half_advanced,
            survived.half_advanced_low,
            survived.half_advanced_high,
            {# Of the last stage nobody is lost. #}
            coalesce(
                survived.drop_off_rate, case when counted.reached_count > 0 then 0.0 end
            ) as drop_off_rate,
            survived.drop_off_variance
        from entered
        inner join stages on entered.journey = stages.journey
        left join
            counted
            on entered.journey = counted.journey
            and entered.week = counted.week
            and entered.segment = counted.segment
            and stages.stage_order = counted.stage_order
        left join
            survived
            on entered.journey = survived.journey
            and entered.week = survived.week
            and entered.segment = survived.segment
            and stages.stage_order = survived.stage_order
    ),

    {#
        Wilson's interval of as many attempts as would give a plain share the estimate's variance: those that are closed
        while none is open. A stage that only open attempts stand in tells nothing yet.
    #}
    measured as (
        select
            {{ all_but(["drop_off_rate"]) }},
            case when advanced_count + lost_count > 0 then drop_off_rate end as drop_off_rate,
            case
                when drop_off_rate > 0 and drop_off_rate < 1 and drop_off_variance > 0
                then drop_off_rate * (1 - drop_off_rate) / drop_off_variance
                else advanced_count + lost_count
            end as effective_count
        from gridded
    ),

    {# What was lost on the way to a stage was lost while standing at the one before. #}
    compared as (
        select
            *,
            lag(reached_count) over in_order as previous_reached_count,
            lag(lost_count) over in_order as lost_before_count,
            lag(drop_off_rate) over in_order as lost_before_rate,
            coalesce(lag(advanced_count + lost_count) over in_order >= 30, false) as is_ranked
        from measured
        window in_order as (partition by {{ slice }} order by stage_order)
    ),

    ranked as (
        select
            *,
            rank() over (
                partition by {{ slice }}, is_ranked order by lost_before_count desc
            ) as place_by_lost,
            rank() over (
                partition by {{ slice }}, is_ranked order by lost_before_rate desc
            ) as place_by_step_rate,
            median_hours_from_previous = max(median_hours_from_previous) over (partition by {{ slice }})
            and count(median_hours_from_previous) over (partition by {{ slice }}) > 1 as is_longest_wait
        from compared
    ),

    final as (
        select
            ranked.journey,
            ranked.week,
            ranked.week_start_date,
            ranked.segment,
            ranked.stage_order,
            ranked.stage,
            ranked.entered_count,
            ranked.reached_count,
            ranked.advanced_count,
            ranked.lost_count,
            ranked.open_count,
            round(ranked.reached_count / nullif(ranked.entered_count, 0), 6) as shared_rate,
            case
                when ranked.stage_order = 1
                then 1.0
                else round(ranked.reached_count / nullif(ranked.previous_reached_count, 0), 6)
            end as step_rate,
            round(ranked.drop_off_rate, 6) as drop_off_rate,
            round(
                {{ wilson_low("(drop_off_rate * effective_count)", "effective_count") }}, 6
            ) as drop_off_low,
            round(
                {{ wilson_high("(drop_off_rate * effective_count)", "effective_count") }}, 6
            ) as drop_off_high,
            round(ranked.median_hours_from_previous, 4) as median_hours_from_previous,
            round(ranked.half_advanced / 3600, 4) as median_hours_to_next,
            round(ranked.half_advanced_low / 3600, 4) as median_hours_to_next_low,
            round(ranked.half_advanced_high / 3600, 4) as median_hours_to_next_high,
            ranked.lost_before_count,
            case when ranked.is_ranked then ranked.place_by_lost end as rank_by_lost,
            case when ranked.is_ranked then ranked.place_by_step_rate end as rank_by_step_rate,
            case
                when ranked.is_ranked and ranked.median_hours_from_previous is not null
                then
                    'people wait '
                    || {{ duration_text("ranked.median_hours_from_previous") }}
                    || ' before it'
                    || case when ranked.is_longest_wait then ', the longest wait of the journey' else '' end
            end as likely_reason,
            round(ranked.satisfaction_score, 4) as satisfaction_score,
            cast(
                ranked.lost_count * conversion_values.value_amount as decimal(18, 2)
            ) as value_at_risk_amount,
            conversion_values.value_currency as value_at_risk_currency
        from ranked
        left join conversion_values on ranked.journey = conversion_values.journey
    )

select *
from final
