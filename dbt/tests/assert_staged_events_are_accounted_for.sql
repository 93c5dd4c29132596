-- G2: per source table, every staged event is in the timeline or counted in ops.dropped_rows.
with
    staged as (
        select source, source_table, count(*) as row_count
        from {{ ref("events") }}
        group by source, source_table
    ),

    kept as (
        select source, source_table, count(*) as row_count
        from {{ ref("customer_events") }}
        group by source, source_table
    ),

    dropped as (
        select source, source_table, sum(row_count) as row_count
        from {{ ref("dropped_rows") }}
        where place = 'timeline'
        group by source, source_table
    ),

    final as (
        select
            source,
            source_table,
            coalesce(staged.row_count, 0) as staged_count,
            coalesce(kept.row_count, 0) as kept_count,
            coalesce(dropped.row_count, 0) as dropped_count
        from staged
        full join kept using (source, source_table)
        full join dropped using (source, source_table)
    )

select *
from final
where staged_count <> kept_count + dropped_count
