{# The buckets of `available_at` less `occurred_at`: name, and the hours that the delay stays below. #}
{% macro delay_buckets() %}
    {{
        return(
            [
                ["before it happened", 0],
                ["within an hour", 1],
                ["within a day", 24],
                ["within two days", 48],
                ["within a week", 168],
                ["within 30 days", 720],
                ["later than 30 days", none],
            ]
        )
    }}
{% endmacro %}


{#
    Rows of `published.data_quality` from a relation with the subject's columns. Whatever is not named is blank.
    `split` holds the bucket, its order and the first and last day it speaks of.
#}
{% macro measured(
    relation,
    topic,
    measure,
    unit,
    value,
    subject="table",
    bucket="'all'",
    bucket_order="0",
    from_date="cast(null as date)",
    to_date="cast(null as date)",
    share="cast(null as double)",
    is_problem="false",
    detail="cast(null as varchar)"
) %}
    select
        '{{ subject }}' as subject_type,
        {% if subject == "table" %}
            source || '/' || source_table as subject,
            source,
            source_table,
            cast(null as varchar) as journey,
            cast(null as integer) as stage_order,
            cast(null as varchar) as stage,
        {% else %}
            journey || '/' || stage as subject,
            cast(null as varchar) as source,
            cast(null as varchar) as source_table,
            journey,
            stage_order,
            stage,
        {% endif %}
        '{{ topic }}' as topic,
        '{{ measure }}' as measure,
        {{ bucket }} as bucket,
        cast({{ bucket_order }} as integer) as bucket_order,
        {{ from_date }} as from_date,
        {{ to_date }} as to_date,
        round(cast({{ value }} as double), 4) as value,
        '{{ unit }}' as unit,
        round(cast({{ share }} as double), 6) as share_rate,
        coalesce({{ is_problem }}, false) as is_problem,
        {{ detail }} as detail
    from {{ relation }}
{% endmacro %}


{# How fresh a table is, in words. #}
{% macro freshness_in_words() %}
    case
        when usual_gap_days is null
        then 'delivered on one day only: nothing tells when the next is due'
        else
            case when is_overdue then 'overdue: ' else '' end
            || 'last delivered on '
            || cast(last_date as varchar)
            || ', as a rule every '
            || {{ number_text("usual_gap_days") }}
            || ' days'
    end
{% endmacro %}
