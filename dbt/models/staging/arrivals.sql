{{ config(materialized="table") }}

{#
    Every contracted table of raw, so that one that nobody stages is counted too. Rows that were not known yet on the
    as-of day are not counted, but the file they came in is listed.
#}
{% set tables = [] %}
{% if execute %}
    {% for node in graph.sources.values() | sort(attribute="unique_id") if node.schema == "raw" %}
        {% do tables.append(node) %}
    {% endfor %}
{% endif %}

with
    {# By the minute first: a few rows then go through the time zone, not all. #}
    minutes as (
        {% for table in tables %}
            select
                '{{ table.source_name }}' as source,
                '{{ table.name }}' as source_table,
                _file_id as file_id,
                date_trunc('minute', available_at) as available_minute,
                count(case when {{ is_known("available_at") }} then 1 end) as row_count,
                min(available_at) as first_available_at,
                max(case when {{ is_known("available_at") }} then available_at end) as last_known_at
            from {{ table.relation_name }}
            group by file_id, available_minute
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    final as (
        select
            source,
            source_table,
            file_id,
            cast({{ local_time("available_minute") }} as date) as available_date,
            cast(sum(row_count) as bigint) as row_count,
            min(first_available_at) as first_available_at,
            max(last_known_at) as last_known_at
        from minutes
        group by source, source_table, file_id, available_date
    )

select *
from final
