{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{# What was known of an identifier since when: its first day, where it first came from, the country told last. #}
with
    events as (
        select
            component_id,
            identifier,
            event_id,
            known_day,
            case when is_own or visit_channel is not null then local_day end as seen_day,
            case when visit_channel is not null then occurred_at end as visit_at,
            visit_channel,
            occurred_at,
            country,
            has_account
        from {{ ref("usable_events") }}
        where kind <> 'outcome' and {{ in_affected_component() }}
    ),

    told as (
        select
            component_id,
            identifier,
            known_day,
            min(seen_day) as first_seen_day,
            min(visit_at) as first_visit_at,
            {{ value_at_first("visit_channel", ["visit_at", "event_id"]) }} as first_channel,
            {{ value_at_last("country", ["occurred_at", "event_id"]) }} as country,
            max(has_account) as has_account
        from events
        group by component_id, identifier, known_day
    ),

    so_far as (
        select
            component_id,
            identifier,
            known_day,
            first_visit_at,
            first_channel,
            min(first_seen_day) over known as first_seen_day,
            min(first_visit_at) over known as first_visit_so_far,
            {{ last_known("country") }} over known as country,
            {{ last_known("case when country is not null then known_day end") }} over known
            as country_told_day,
            max(has_account) over known as has_account
        from told
        window known as (partition by identifier order by known_day rows unbounded preceding)
    ),

    {# The channel of the earliest visit known: told on the day on which that became the earliest. #}
    followed as (
        select
            component_id,
            identifier,
            known_day,
            first_seen_day,
            first_visit_so_far as first_visit_at,
            {{ last_known("case when first_visit_at = first_visit_so_far then first_channel end") }}
            over known as first_channel,
            country,
            country_told_day,
            has_account
        from so_far
        window known as (partition by identifier order by known_day rows unbounded preceding)
    ),

    compared as (
        select
            *,
            {{ digest(["first_seen_day", "first_visit_at", "first_channel", "country", "has_account"]) }}
            as content
        from followed
        where first_seen_day is not null
    ),

    changed as (
        select *, lag(content) over (partition by identifier order by known_day) as content_before
        from compared
    ),

    final as (
        select
            component_id,
            identifier,
            {{ next_day("known_day") }} as from_day,
            lead({{ next_day("known_day") }}, 1, cast('9999-12-31' as date)) over (
                partition by identifier order by known_day
            ) as until_day,
            first_seen_day,
            first_visit_at,
            first_channel,
            country,
            country_told_day,
            has_account
        from changed
        where content_before is null or content_before <> content
    )

select *
from final
