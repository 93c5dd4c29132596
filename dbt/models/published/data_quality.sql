with
    arrivals as (select * from {{ ref("arrivals") }}),

    {# What had come in by the as-of day: a file counts from its first row on; without rows, from the day in its name. #}
    file_starts as (
        select source, source_table, file_id, min(first_available_at) as first_available_at
        from arrivals
        group by source, source_table, file_id
    ),

    files as (
        select landed_files.*, landed_files.table_name as source_table
        from {{ source("ops", "landed_files") }} as landed_files
        left join
            file_starts
            on landed_files.source = file_starts.source
            and landed_files.table_name = file_starts.source_table
            and landed_files.file_id = file_starts.file_id
        where
            case
                when file_starts.first_available_at is not null
                then {{ is_known("file_starts.first_available_at") }}
                else
                    coalesce(
                        {{ date_in_path("landed_files.path") }} <= cast({{ local_time(as_of()) }} as date),
                        true
                    )
            end
    ),

    ledger as (
        select
            source,
            source_table,
            count(case when status = 'landed' then 1 end) as landed_count,
            count(case when status = 'repeated' then 1 end) as repeated_count,
            count(case when status = 'failed' then 1 end) as failed_count,
            sum(rows_in) as rows_in,
            sum(quarantined) as quarantined,
            sum(duplicates) as duplicates,
            sum(suppressed + coalesce(erased, 0)) as suppressed
        from files
        group by source, source_table
    ),

    failures as (
        select source, source_table, reason, count(*) as row_count
        from files
        where status = 'failed'
        group by source, source_table, reason
    ),

    refusals as (
        select
            files.source,
            files.source_table,
            {{ reason_without_values("quarantine.reason") }} as reason,
            count(*) as row_count
        from {{ source("ops", "quarantine") }} as quarantine
        inner join
            files
            on quarantine.source = files.source
            and quarantine.table_name = files.source_table
            and quarantine.file_id = files.file_id
            and files.status = 'landed'
        group by files.source, files.source_table, {{ reason_without_values("quarantine.reason") }}
    ),

    refused as (
        select refusals.*, row_count / cast(nullif(ledger.rows_in, 0) as double) as share
        from refusals
        inner join ledger on refusals.source = ledger.source and refusals.source_table = ledger.source_table
    ),

    days as (
        select
            source,
            source_table,
            available_date,
            sum(row_count) as row_count,
            max(last_known_at) as last_known_at
        from arrivals
        where row_count > 0
        group by source, source_table, available_date
    ),

    weeks as (
        select
            source,
            source_table,
            cast(date_trunc('week', available_date) as date) as week_start_date,
            sum(row_count) as row_count
        from days
        group by source, source_table, week_start_date
    ),

    spaced as (
        select
            *,
            available_date
            - lag(available_date) over (partition by source, source_table order by available_date) as gap_days
        from days
    ),

    tables as (
        select
            source,
            source_table,
            sum(row_count) as row_count,
            min(available_date) as first_date,
            max(available_date) as last_date,
            {{ seconds_between("max(last_known_at)", as_of()) }} / 3600.0 as hours_since_last,
            median(gap_days) as usual_gap_days
        from spaced
        group by source, source_table
    ),

    {# Late is whoever lets twice the usual gap pass, and two days at least. #}
    freshness as (
        select *, hours_since_last > 24 * greatest(2, 2 * usual_gap_days) as is_overdue from tables
    ),

    delays as (select * from {{ ref("event_delays") }}),

    events as (
        select source, source_table, sum(row_count) as row_count from delays group by source, source_table
    ),

    buckets as (
        {% for bucket in delay_buckets() %}
            select {{ loop.index }} as bucket_order, '{{ bucket[0] }}' as bucket
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    counted_delays as (
        select source, source_table, bucket_order, sum(row_count) as row_count
        from delays
        group by source, source_table, bucket_order
    ),

    histogram as (
        select
            events.source,
            events.source_table,
            buckets.bucket_order,
            buckets.bucket,
            coalesce(counted_delays.row_count, 0) as row_count,
            coalesce(counted_delays.row_count, 0) / cast(events.row_count as double) as share
        from events
        cross join buckets
        left join
            counted_delays
            on events.source = counted_delays.source
            and events.source_table = counted_delays.source_table
            and buckets.bucket_order = counted_delays.bucket_order
    ),

    dropped as (
        select source, source_table, place || ': ' || reason as bucket, row_count
        from {{ ref("dropped_rows") }}
    ),

    taxonomy as (select * from {{ ref("event_taxonomy") }}),

    seen as (
        select
            delays.source,
            coalesce(taxonomy.event, fallback.event) as event,
            sum(delays.row_count) as row_count
        from delays
        left join taxonomy on delays.source = taxonomy.source and delays.event_name = taxonomy.event_name
        left join taxonomy as fallback on delays.source = fallback.source and fallback.event_name = '*'
        group by 1, 2
    ),

    stages as (select distinct journey, stage_order, stage from {{ ref("journey_stages") }}),

    stage_sources as (
        select
            stage_events.journey,
            stage_events.stage_order,
            stage_events.stage,
            seen.source,
            sum(seen.row_count) as row_count
        from {{ ref("stage_events") }} as stage_events
        inner join seen on stage_events.event = seen.event
        group by stage_events.journey, stage_events.stage_order, stage_events.stage, seen.source
    ),

    seeing as (
        select journey, stage_order, count(*) as source_count, {{ listed_values("source") }} as sources
        from stage_sources
        group by journey, stage_order
    ),

    able as (
        select
            stage_events.journey, stage_events.stage_order, {{ listed_values("taxonomy.source") }} as sources
        from {{ ref("stage_events") }} as stage_events
        inner join taxonomy on stage_events.event = taxonomy.event
        group by stage_events.journey, stage_events.stage_order
    ),

    coverage as (
        select
            stages.journey,
            stages.stage_order,
            stages.stage,
            coalesce(seeing.source_count, 0) as source_count,
            case
                when seeing.source_count > 0
                then 'seen by ' || seeing.sources
                when able.sources is not null
                then 'no delivered event tells of it; these sources could: ' || able.sources
                else 'no delivered event tells of it, and the taxonomy knows no source that could'
            end as detail
        from stages
        left join seeing on stages.journey = seeing.journey and stages.stage_order = seeing.stage_order
        left join able on stages.journey = able.journey and stages.stage_order = able.stage_order
    ),

    final as (
        {{
            measured(
                "tables",
                "arrival",
                "rows",
                "rows",
                "row_count",
                from_date="first_date",
                to_date="last_date",
            )
        }}
        union all
        {{
            measured(
                "days",
                "arrival",
                "rows_by_day",
                "rows",
                "row_count",
                bucket="cast(available_date as varchar)",
                from_date="available_date",
                to_date="available_date",
            )
        }}
        union all
        {{
            measured(
                "weeks",
                "arrival",
                "rows_by_week",
                "rows",
                "row_count",
                bucket="cast(week_start_date as varchar)",
                from_date="week_start_date",
                to_date="week_start_date + 6",
            )
        }}
        union all
        {{ measured("events", "arrival", "events", "events", "row_count") }}
        union all
        {{ measured("ledger", "arrival", "files", "files", "landed_count") }}
        union all
        {{
            measured(
                "histogram",
                "lateness",
                "events_by_delay",
                "events",
                "row_count",
                bucket="bucket",
                bucket_order="bucket_order",
                share="share",
                is_problem="bucket_order = 1 and share >= 0.01",
            )
        }}
        union all
        {{
            measured(
                "freshness",
                "freshness",
                "hours_since_last",
                "hours",
                "hours_since_last",
                from_date="last_date",
                to_date="last_date",
                is_problem="is_overdue",
                detail=freshness_in_words(),
            )
        }}
        union all
        {{ measured("freshness", "freshness", "usual_gap", "days", "usual_gap_days") }}
        union all
        {{
            measured(
                "ledger",
                "refused",
                "quarantined_rows",
                "rows",
                "quarantined",
                share="quarantined / cast(nullif(rows_in, 0) as double)",
                is_problem="quarantined > 0",
            )
        }}
        union all
        {{
            measured(
                "refused",
                "refused",
                "quarantined_rows_by_reason",
                "rows",
                "row_count",
                bucket="reason",
                share="share",
                is_problem="true",
            )
        }}
        union all
        {{
            measured(
                "ledger",
                "refused",
                "duplicate_rows",
                "rows",
                "duplicates",
                share="duplicates / cast(nullif(rows_in, 0) as double)",
            )
        }}
        union all
        {{
            measured(
                "ledger",
                "refused",
                "suppressed_rows",
                "rows",
                "suppressed",
                share="suppressed / cast(nullif(rows_in, 0) as double)",
            )
        }}
        union all
        {{ measured("ledger", "refused", "repeated_files", "files", "repeated_count") }}
        union all
        {{
            measured(
                "ledger", "refused", "failed_files", "files", "failed_count", is_problem="failed_count > 0"
            )
        }}
        union all
        {{
            measured(
                "failures",
                "refused",
                "failed_files_by_reason",
                "files",
                "row_count",
                bucket="reason",
                is_problem="true",
            )
        }}
        union all
        {{ measured("dropped", "dropped", "dropped_rows", "rows", "row_count", bucket="bucket") }}
        union all
        {{
            measured(
                "coverage",
                "coverage",
                "sources_seeing",
                "sources",
                "source_count",
                subject="stage",
                is_problem="source_count = 0",
                detail="detail",
            )
        }}
        union all
        {{
            measured(
                "stage_sources",
                "coverage",
                "events_by_source",
                "events",
                "row_count",
                subject="stage",
                bucket="source",
            )
        }}
    )

select *
from final
order by subject_type desc, subject, topic, measure, bucket_order, bucket
