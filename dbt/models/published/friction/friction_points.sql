with
    points as (select * from {{ source("journeys", "friction") }}),

    final as (
        select
            journey,
            week,
            week_start_date,
            rank,
            stage_order,
            stage,
            touchpoint,
            signal,
            cohort_dimension,
            cohort,
            attempt_count,
            lost_count,
            round(expected_lost_count, 4) as expected_lost_count,
            round(extra_lost_count, 4) as extra_lost_count,
            round(extra_lost_low, 4) as extra_lost_low,
            round(extra_lost_high, 4) as extra_lost_high,
            value_per_conversion_amount,
            value_at_risk_amount,
            value_low,
            value_high,
            value_currency,
            p_value,
            q_value,
            is_ranked,
            from_date,
            to_date,
            owner,
            evidence,
            likely_cause,
            recommendation,
            expected_gain_amount,
            expected_gain_basis
        from points
    )

select *
from final
