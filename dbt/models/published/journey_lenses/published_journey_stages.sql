{{ config(alias="journey_stages") }}

{% set slice = "journey, week, segment" %}

with
    stages as (select journey, stage_order, stage from {{ ref("journey_stages") }}),

    last_stages as (select journey, max(stage_order) as stage_order from stages group by journey),

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

    {#
        Numbers stand for slices: what is counted by the million is sorted by them. Nobody leaves the last stage, so it has
        none.
    #}
    slices as (
        select
            counted.journey,
            counted.week,
            counted.segment,
            counted.stage_order,
            row_number() over (
                order by counted.journey, counted.week, counted.segment, counted.stage_order
            ) as slice_number
        from counted
        inner join last_stages on counted.journey = last_stages.journey
        where counted.stage_order < last_stages.stage_order
    ),

    {# Each attempt at a stage is in one part, and each part in up to four slices: a part is joined on its number. #}
    parts as (
        select
            journey,
            week_start_date,
            assigned_segment,
            stage_order,
            row_number() over (
                order by journey, week_start_date, assigned_segment, stage_order
            ) as part_number
        from attempt_stages
        group by journey, week_start_date, assigned_segment, stage_order
    ),

    sliced as (
        {{
            with_margins(
                "parts",
                ["journey", "week_start_date", "stage_order", "part_number"],
                "week",
                "cast(week_start_date as varchar)",
            )
        }}
    ),

    {# Grouped, or the engine would join the many stays on texts first. #}
    slices_of_parts as (
        select sliced.part_number, slices.slice_number
        from sliced
        inner join
            slices
            on sliced.journey = slices.journey
            and sliced.week = slices.week
            and sliced.segment = slices.segment
            and sliced.stage_order = slices.stage_order
        group by sliced.part_number, slices.slice_number
    ),

    stays_of_parts as (
        select
            parts.part_number,
            attempt_stages.way_out,
            {{ turn_of("attempt_stages.stayed_seconds", "attempt_stages.way_out") }} as turn
        from attempt_stages
        inner join
            parts
            on attempt_stages.journey = parts.journey
            and attempt_stages.week_start_date = parts.week_start_date
            and attempt_stages.assigned_segment is not distinct from parts.assigned_segment
            and attempt_stages.stage_order = parts.stage_order
    ),

    stays as (
        select slices_of_parts.slice_number, 0 as grid, stays_of_parts.way_out, stays_of_parts.turn
        from stays_of_parts
        inner join slices_of_parts on stays_of_parts.part_number = slices_of_parts.part_number
    ),

    {{ competing_risks("stays", ["slice_number"]) }},

    {# The share that is lost as far as it was watched. #}
    lost_in_the_end as (
        select
            slice_number,
            {{ value_at_last("lost_rate", ["first_place"]) }} as lost_rate,
            {{ value_at_last("hazards", ["first_place"]) }} as hazards,
            {{ value_at_last("lost_linear", ["first_place"]) }} as lost_linear,
            {{ value_at_last("lost_square", ["first_place"]) }} as lost_square
        from stretches
        group by slice_number
    ),

    {# The share that has gone on with each that goes: those of the stretch so far are one draw of many again. #}
    numbered as (
        select
            slice_number,
            stretch,
            turn,
            row_number() over (partition by slice_number order by turn) as advanced_so_far
        from turned
        where way_out = 'advanced'
    ),

    advancing as (
        select
            numbered.slice_number,
            (numbered.turn - numbered.turn % 2) / 2000000.0 as stayed_seconds,
            stretches.rate_before,
            stretches.watched,
            (numbered.advanced_so_far - stretches.advanced_before) / stretches.watched as share_of_stretch,
            stretches.hazards - stretches.hazard as hazards,
            stretches.advanced_linear - stretches.advanced_linear_step as linear,
            stretches.advanced_square - stretches.advanced_square_step as square,
            stretches.advanced_rate
            - stretches.rate_before
            * (stretches.advanced_before + stretches.advanced - numbered.advanced_so_far)
            / stretches.watched as rate
        from numbered
        inner join
            stretches
            on numbered.slice_number = stretches.slice_number
            and numbered.stretch = stretches.stretch
    ),

    advanced as (
        select
            slice_number,
            stayed_seconds,
            round(rate, 12) as rate,
            {{ incidence_variance("rate", "hazards", "linear", "square") }}
            + power(rate_before, 2) / watched * share_of_stretch * (1 - share_of_stretch) as variance
        from advancing
    ),

    {# When half have gone on; where all have there is no interval any more. #}
    half_advanced as (
        select
            slice_number,
            min(case when rate >= 0.5 then stayed_seconds end) as half_advanced,
            min(
                case
                    when coalesce({{ log_log_high("rate", "variance") }}, rate) >= 0.5 then stayed_seconds
                end
            ) as half_advanced_low,
            min(
                case when coalesce({{ log_log_low("rate", "variance") }}, rate) >= 0.5 then stayed_seconds end
            ) as half_advanced_high
        from advanced
        group by slice_number
    ),

    survived as (
        select
            {{ all_but(["slice_number"], "slices") }},
            round(lost_in_the_end.lost_rate, 12) as drop_off_rate,
            {{
                incidence_variance(
                    "lost_in_the_end.lost_rate",
                    "lost_in_the_end.hazards",
                    "lost_in_the_end.lost_linear",
                    "lost_in_the_end.lost_square",
                )
            }} as drop_off_variance,
            half_advanced.half_advanced,
            half_advanced.half_advanced_low,
            half_advanced.half_advanced_high
        from slices
        inner join lost_in_the_end on slices.slice_number = lost_in_the_end.slice_number
        left join half_advanced on slices.slice_number = half_advanced.slice_number
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
                when
                    ranked.is_ranked
                    and ranked.median_hours_from_previous >= {{ var("least_telling_wait_hours") }}
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
