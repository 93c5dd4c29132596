{{ config(materialized="incremental", incremental_strategy="replace_affected_weeks") }}

{# What was known of each customer at the start of each Monday: happened, available and linked before it. #}
with
    known_range as (select min(known_day) as first_day from {{ ref("daily_activity") }}),

    mondays as (
        select {{ mondays_to_rows("first_day", open_day(as_of())) }} as snapshot_date from known_range
    ),

    {{ holder_ctes() }},

    {{ feature_ctes("mondays", scope=in_affected_week("holders.component_id", "days.snapshot_date")) }}

select *
from features
