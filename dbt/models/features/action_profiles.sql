{{ config(materialized="incremental", incremental_strategy="replace_affected_weeks") }}

{#
    What each person had done by each Monday, at the Mondays before which their actions or their identifiers
    changed; between them the last one holds.
#}
with
    known_range as (select min(from_day) as first_day from {{ ref("action_counts") }}),

    mondays as (
        select {{ mondays_to_rows("first_day", open_day(as_of())) }} as snapshot_date from known_range
    ),

    {{ holder_ctes() }},

    changes as (
        {# Something became known of an identifier, #}
        select
            holders.component_id,
            holders.person_number,
            {{ monday_on_or_after("counts.from_day") }} as snapshot_date
        from {{ ref("action_counts") }} as counts
        inner join
            holders
            on counts.identifier = holders.identifier
            and counts.from_day >= holders.from_day
            and counts.from_day < holders.until_day
        union
        {# or it came to a person, #}
        select component_id, person_number, {{ monday_on_or_after("from_day") }}
        from holders
        union
        {# or left one. #}
        select component_id, person_number, {{ monday_on_or_after("until_day") }}
        from holders
        where until_day < cast('9999-12-31' as date)
    ),

    wanted as (
        select changes.snapshot_date, changes.person_number
        from changes
        inner join mondays on changes.snapshot_date = mondays.snapshot_date
        where {{ in_affected_week("changes.component_id", "changes.snapshot_date") }}
    ),

    {{ profile_ctes("wanted") }}

select *
from profiles
