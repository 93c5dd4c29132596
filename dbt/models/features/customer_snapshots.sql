{{ config(materialized="incremental", incremental_strategy="replace_affected_weeks") }}

{# What was known of each customer at the start of each Monday: happened, available and linked before it. #}
{% set affected = (
    "history.component_id in (select component_id from timeline.affected_components) or known_days.snapshot_date > "
    ~ open_day("cast('" ~ var("previous_as_of") ~ "' as timestamp)")
) %}
with
    known_range as (select min(known_day) as first_day from {{ ref("daily_activity") }}),

    mondays as (
        select {{ mondays_to_rows("first_day", open_day(as_of())) }} as snapshot_date from known_range
    ),

    {{ held_ctes("mondays", scope="(" ~ affected ~ ")" if is_incremental() else "true") }},

    {{ feature_ctes() }}

select *
from features
