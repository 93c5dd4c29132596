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
            {{ rounded("support_rate") }} as support_rate,
            converted_count,
            {{ rounded("conversion_rate") }} as conversion_rate,
            {{ rounded("base_conversion_rate") }} as base_conversion_rate,
            {{ rounded("lift") }} as lift,
            {{ rounded("lift_low") }} as lift_low,
            {{ rounded("lift_high") }} as lift_high,
            {{ rounded("length_adjusted_lift") }} as length_adjusted_lift,
            {{ rounded("p_value") }} as p_value,
            {{ rounded("q_value") }} as q_value,
            verdict,
            is_new_this_month,
            is_unexpected,
            first_seen_date
        from patterns
    )

select *
from final
