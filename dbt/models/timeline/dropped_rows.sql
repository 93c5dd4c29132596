{{ config(schema="ops", materialized="table") }}

{% set sources_with_left_out = [
    "calls",
    "chat",
    "complete_journey",
    "google_ads",
    "nps",
    "pos",
    "ravenstack",
    "reviews",
    "zendesk",
] %}

{# Every staged row that is not an event of the timeline, by place and reason; and what the journeys leave out. #}
with
    copies as (
        select source, source_table, sum(copy_count - 1) as row_count
        from {{ ref("event_keys") }}
        group by source, source_table
    ),

    orders as (
        select source, source_table, count(*) as row_count
        from {{ ref("duplicate_orders") }}
        group by source, source_table
    ),

    erased as (select distinct event_id from {{ source("ops", "erased_events") }}),

    events as (
        select
            events.source,
            events.source_table,
            events.event,
            events.person_id,
            events.identity_tier,
            events.traffic_class,
            events.has_analytics_consent,
            erased.event_id is not null as is_erased
        from {{ ref("customer_events") }} as events
        left join erased on events.event_id = erased.event_id
    ),

    unowned as (
        select
            source,
            source_table,
            case
                when not has_analytics_consent
                then 'no consent to analytics'
                when identity_tier is not null
                then 'owned by no person, but by a household or an account'
                when is_erased
                then 'whose it was has been erased'
                else 'no identifier says whose it is'
            end as reason,
            count(*) as row_count
        from events
        where person_id is null
        group by all
    ),

    machines as (
        select source, source_table, 'traffic is ' || traffic_class as reason, count(*) as row_count
        from events
        where person_id is not null and traffic_class not in ('human', 'unknown')
        group by all
    ),

    unclassified as (
        select source, source_table, 'event is not in the taxonomy' as reason, count(*) as row_count
        from events
        where person_id is not null and traffic_class in ('human', 'unknown') and event is null
        group by all
    ),

    left_out as (
        {% for source in sources_with_left_out %}
            select source, source_table, reason, row_count
            from {{ ref("stg_" ~ source ~ "__left_out") }}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    counted as (
        select 'staging' as place, source, source_table, reason, row_count
        from left_out
        union all
        select 'timeline', source, source_table, 'same event delivered again', row_count
        from copies
        where row_count > 0
        union all
        select 'timeline', source, source_table, 'same order reported by another event', row_count
        from orders
        union all
        select 'journeys', source, source_table, reason, row_count
        from unowned
        union all
        select 'journeys', source, source_table, reason, row_count
        from machines
        union all
        select 'journeys', source, source_table, reason, row_count
        from unclassified
    ),

    final as (select place, source, source_table, reason, cast(row_count as bigint) as row_count from counted)

select *
from final
