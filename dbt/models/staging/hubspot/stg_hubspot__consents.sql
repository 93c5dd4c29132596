{#
    Every version repeats the contact's answer, and no version is one: only a change of it is. Were it taken as given
    anew with each export, it would undo what the contact has told another source in between.
    A contact that the first version known shows as willing has been so since it was created, as far as anybody knows.
#}
with
    contacts as (select * from {{ source("hubspot", "contacts") }} where {{ is_known("available_at") }}),

    {# A non-marketing contact is one HubSpot is not paid for: that is the company's choice and no answer. #}
    answers as (
        select
            *,
            case
                when is_unsubscribed then false when lower(marketing_status) = 'marketing contact' then true
            end as is_granted
        from contacts
    ),

    compared as (
        select
            *,
            lag(is_granted) over (
                partition by record_id order by modified_at, available_at, _row_key
            ) as was_granted,
            max(_loaded_at) over (partition by record_id) as last_loaded_at
        from answers
        where is_granted is not null and contact_id is not null
    ),

    final as (
        select
            contact_id as identifier,
            'hubspot' as source,
            'contacts' as source_table,
            'marketing' as purpose,
            is_granted,
            case
                when is_granted and was_granted is null then least(created_at, modified_at) else modified_at
            end as said_at,
            available_at,
            _file_id,
            _row_number,
            _row_key,
            last_loaded_at as _loaded_at
        from compared
        where was_granted is null or was_granted <> is_granted
    )

select *
from final
