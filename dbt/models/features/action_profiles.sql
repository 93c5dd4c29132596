{{ config(materialized="incremental", incremental_strategy="replace_affected_weeks") }}

{#
    What each person had done by each Monday, at the Mondays before which their actions or their identifiers
    changed; between them the last one holds.
#}
{% set affected = (
    "history.component_id in (select component_id from timeline.affected_components) or known_days.snapshot_date > "
    ~ open_day("cast('" ~ var("previous_as_of") ~ "' as timestamp)")
) %}
with
    known_range as (select min(known_from_day) as first_day from {{ ref("action_counts") }}),

    mondays as (
        select {{ mondays_to_rows("first_day", open_day(as_of())) }} as snapshot_date from known_range
    ),

    {{ held_ctes("mondays", scope="(" ~ affected ~ ")" if is_incremental() else "true") }},

    told as (
        select distinct identifier, {{ monday_on_or_after("known_from_day") }} as snapshot_date
        from {{ ref("action_counts") }}
    ),

    acted as (
        select distinct held.snapshot_date, held.person_id
        from held
        inner join told on held.identifier = told.identifier and held.snapshot_date = told.snapshot_date
    ),

    {# An identifier came to a person, or left. #}
    moved as (
        select person_id, {{ monday_on_or_after(next_day(local_day("known_from"))) }} as snapshot_date
        from history
        union
        select person_id, {{ monday_on_or_after(next_day(local_day("known_to"))) }}
        from history
        where known_to < cast('9999-12-31' as timestamp)
    ),

    wanted as (
        select snapshot_date, person_id
        from acted
        union
        select snapshot_date, person_id
        from moved
    ),

    {{ profile_ctes("wanted") }},

    final as (
        select
            profiles.snapshot_date,
            profiles.person_id,
            anchors.identifier,
            profiles.component_id,
            profiles.block,
            profiles.action,
            profiles.action_count
        from profiles
        inner join anchors on profiles.person_id = anchors.person_id
    )

select *
from final
