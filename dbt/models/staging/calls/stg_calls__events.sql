{#
    A call exported again is the same call, and what was known last counts, from then on: a transcript comes later than
    its call. A call that connects has an outcome besides, save in sales, where an open end is no trouble.
#}
with
    calls as (select * from {{ source("calls", "calls") }}),

    versions as (
        select
            {{ all_but(["available_at", "direction", "reason", "disposition", "_loaded_at"]) }},
            greatest(available_at, coalesce(ended_at, available_at)) as available_at,
            lower(direction) as direction,
            lower(reason) as reason,
            lower(disposition) as disposition,
            max(_loaded_at) over (partition by call_id) as _loaded_at
        from calls
        where
            {{ is_known("greatest(available_at, coalesce(ended_at, available_at))") }}
            and lower(direction) in ('inbound', 'outbound')
    ),

    contacts as (
        select
            *,
            'contact' as part,
            started_at as occurred_at,
            case
                when coalesce(disposition not in ('abandoned', 'voicemail'), answered_at is not null)
                then
                    case
                        reason
                        when 'support'
                        then 'Support Call '
                        when 'onboarding'
                        then 'Onboarding Call '
                        when 'sales'
                        then 'Sales Call '
                        when 'billing'
                        then 'Billing Call '
                        when 'cancellation'
                        then 'Cancellation Call '
                        else 'Call '
                    end
                    || case direction when 'inbound' then 'Answered' else 'Made' end
                when direction = 'outbound'
                then 'Customer Not Reached'
                when disposition = 'voicemail'
                then 'Voicemail Left'
                else 'Call Abandoned'
            end as event_name,
            customer_text_id as text_id
        from versions
    ),

    outcomes as (
        select
            *,
            'outcome' as part,
            coalesce(ended_at, started_at) as occurred_at,
            case
                disposition
                when 'resolved'
                then 'Call Resolved'
                when 'callback'
                then 'Callback Agreed'
                else 'Call Unresolved'
            end as event_name,
            cast(null as varchar) as text_id
        from versions
        where disposition in ('resolved', 'callback', 'unresolved') and coalesce(reason, 'other') <> 'sales'
    ),

    parts as (
        select *
        from contacts
        union all
        select *
        from outcomes
    ),

    ranked as (
        select
            *, row_number() over (partition by call_id, part order by available_at desc, _row_key) as version
        from parts
    ),

    final as (
        select
            call_id || '|' || part as event_key,
            'calls' as source,
            'calls' as source_table,
            event_name,
            occurred_at,
            available_at,
            phone,
            crm_id,
            text_id,
            {{
                json_object_of(
                    {
                        "call": "call_id",
                        "direction": "direction",
                        "reason": "reason",
                        "queue": "queue",
                        "disposition": "disposition",
                        "wait_seconds": "wait_seconds",
                        "talk_seconds": "talk_seconds",
                    }
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from ranked
        where version = 1
    )

select *
from final
