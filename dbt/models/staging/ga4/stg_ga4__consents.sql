{#
    Every event repeats what the visitor allowed; `timeline.consent_history` keeps the changes. The answer counts for
    the user where one is known, because a device may be shared. Unset is no answer; anything but Yes is a refusal.
#}
with
    exported as (select * from {{ source("ga4", "events") }} where {{ is_known("available_at") }}),

    purposes as (
        select 'analytics' as purpose
        union all
        select 'marketing'
    ),

    answers as (
        select
            exported.*,
            purposes.purpose,
            case
                when exported.user_id is not null and not {{ has_prefix("exported.user_id", "junk_") }}
                then exported.user_id
                else exported.user_pseudo_id
            end as identifier,
            case
                purposes.purpose when 'analytics' then exported.analytics_storage else exported.ads_storage
            end as answer
        from exported
        cross join purposes
    ),

    final as (
        select
            identifier,
            'ga4' as source,
            'events' as source_table,
            purpose,
            answer = 'Yes' as is_granted,
            _occurred_at as said_at,
            available_at,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from answers
        where answer <> 'Unset' and identifier is not null
    )

select *
from final
