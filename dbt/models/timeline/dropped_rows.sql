{{ config(schema="ops", materialized="table") }}

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

    events as (
        select source, source_table, event, person_id, traffic_class, has_analytics_consent
        from {{ ref("customer_events") }}
    ),

    unowned as (
        select
            source,
            source_table,
            case
                when not has_analytics_consent
                then 'no consent to analytics'
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
        select source, source_table, reason, row_count
        from {{ ref("stg_calls__left_out") }}
        union all
        select source, source_table, reason, row_count
        from {{ ref("stg_chat__left_out") }}
        union all
        select source, source_table, reason, row_count
        from {{ ref("stg_complete_journey__left_out") }}
        union all
        select source, source_table, reason, row_count
        from {{ ref("stg_google_ads__left_out") }}
        union all
        select source, source_table, reason, row_count
        from {{ ref("stg_nps__left_out") }}
        union all
        select source, source_table, reason, row_count
        from {{ ref("stg_pos__left_out") }}
        union all
        select source, source_table, reason, row_count
        from {{ ref("stg_ravenstack__left_out") }}
        union all
        select source, source_table, reason, row_count
        from {{ ref("stg_reviews__left_out") }}
        union all
        select source, source_table, reason, row_count
        from {{ ref("stg_zendesk__left_out") }}
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
