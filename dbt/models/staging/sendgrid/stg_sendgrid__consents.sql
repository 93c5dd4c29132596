{#
    The address answers; a role mailbox is nobody, so that there the user does. Purposes know no unsubscribe groups:
    who leaves one of them has refused, and who comes back has agreed.
#}
with
    events as (select * from {{ source("sendgrid", "events") }} where {{ is_known("available_at") }}),

    answers as (
        select
            *,
            case when not {{ has_prefix("email", "junk_") }} then email end as person_email,
            event = 'group_resubscribe' as is_granted
        from events
        where event in ('unsubscribe', 'group_unsubscribe', 'spamreport', 'group_resubscribe')
    ),

    final as (
        select
            coalesce(person_email, user_id, email) as identifier,
            'sendgrid' as source,
            'events' as source_table,
            'marketing' as purpose,
            is_granted,
            occurred_at as said_at,
            available_at,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from answers
        where coalesce(user_id, email) is not null
    )

select *
from final
