{#
    Every call repeats what the visitor allowed; `timeline.consent_history` keeps the changes. The answer counts for
    the user where one is known, because a device may be shared.
#}
{% set columns %}
    anonymous_id,
    user_id,
    consent_analytics,
    consent_advertising,
    coalesce(consent_personalization, consent_functional) as consent_personalisation,
    coalesce(_occurred_at, corrected_timestamp, received_at) as said_at,
    available_at,
    _file_id,
    _row_number,
    _row_key,
    _loaded_at,
{% endset %}

with
    tracks as (select * from {{ source("segment", "tracks") }}),

    pages as (select * from {{ source("segment", "pages") }}),

    identifies as (select * from {{ source("segment", "identifies") }}),

    calls as (
        select 'tracks' as source_table, {{ columns }}
        from tracks
        union all
        select 'pages' as source_table, {{ columns }}
        from pages
        union all
        select 'identifies' as source_table, {{ columns }}
        from identifies
    ),

    purposes as (
        select 'analytics' as purpose
        union all
        select 'marketing'
        union all
        select 'personalisation'
    ),

    answers as (
        select
            calls.*,
            purposes.purpose,
            case
                when calls.user_id is not null and not {{ has_prefix("calls.user_id", "junk_") }}
                then calls.user_id
                else calls.anonymous_id
            end as identifier,
            case
                purposes.purpose
                when 'analytics'
                then calls.consent_analytics
                when 'marketing'
                then calls.consent_advertising
                else calls.consent_personalisation
            end as is_granted
        from calls
        cross join purposes
    ),

    final as (
        select
            identifier,
            'segment' as source,
            source_table,
            purpose,
            is_granted,
            said_at,
            available_at,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from answers
        where is_granted is not null and identifier is not null and {{ is_known("available_at") }}
    )

select *
from final
