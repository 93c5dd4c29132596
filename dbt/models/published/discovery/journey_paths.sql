with
    patterns as (select * from {{ source("journeys", "patterns") }}),

    final as (
        select
            journey,
            kind,
            pattern,
            pattern_length,
            attempt_count,
            open_count,
            round(support_rate, 6) as support_rate,
            converted_count,
            round(conversion_rate, 6) as conversion_rate,
            round(base_conversion_rate, 6) as base_conversion_rate,
            round(lift, 6) as lift,
            round(lift_low, 6) as lift_low,
            round(lift_high, 6) as lift_high,
            round(length_adjusted_lift, 6) as length_adjusted_lift,
            round(p_value, 6) as p_value,
            round(q_value, 6) as q_value,
            verdict,
            is_new_this_month,
            is_unexpected,
            first_seen_date
        from patterns
    )

select *
from final
