{# What data quality counts, from the narrow table of keys: one pass over it, and none over the timeline. #}
with
    keys as (
        select
            source,
            source_table,
            event_name,
            {{ seconds_between("occurred_at", "available_at") }} / 3600.0 as delay_hours
        from {{ ref("event_keys") }}
    ),

    placed as (
        select
            source,
            source_table,
            event_name,
            case
                {% for bucket in delay_buckets()[:-1] %}
                    when delay_hours < {{ bucket[1] }} then {{ loop.index }}
                {% endfor %}
                else {{ delay_buckets() | length }}
            end as bucket_order
        from keys
    ),

    final as (
        select source, source_table, event_name, bucket_order, count(*) as row_count
        from placed
        group by source, source_table, event_name, bucket_order
    )

select *
from final
