{# How many identifiers a person holds, in buckets: name, and the most that is still in it. #}
{% macro person_sizes() %}
    {{
        return(
            [
                ["1", 1],
                ["2", 2],
                ["3", 3],
                ["4", 4],
                ["5", 5],
                ["6", 6],
                ["7", 7],
                ["8", 8],
                ["9", 9],
                ["10", 10],
                ["11 to 20", 20],
                ["21 to 50", 50],
                ["51 and more", none],
            ]
        )
    }}
{% endmacro %}


{# Rows of `published.identity_quality` from a relation. Whatever is not named is blank. #}
{% macro identity_measured(
    relation,
    topic,
    measure,
    unit,
    value,
    subject="'all'",
    bucket="'all'",
    bucket_order="0",
    share="cast(null as double)",
    low="cast(null as double)",
    high="cast(null as double)",
    detail="cast(null as varchar)"
) %}
    select
        {{ subject }} as subject,
        '{{ topic }}' as topic,
        '{{ measure }}' as measure,
        {{ bucket }} as bucket,
        cast({{ bucket_order }} as integer) as bucket_order,
        round(cast({{ value }} as double), 4) as value,
        '{{ unit }}' as unit,
        round(cast({{ share }} as double), 6) as share_rate,
        round({{ low }}, 6) as value_low,
        round({{ high }}, 6) as value_high,
        {{ detail }} as detail
    from {{ relation }}
{% endmacro %}
