{#
    Records come again whenever they change, so what happened to a deal is read from its consecutive versions, as is
    done with Zendesk's tickets: keys count how often a thing happened to the deal, and every change of a deal makes its
    events news again. A deal is its contact's, also what happened before the contact was put to it.

    A record was made no later than it changed: of a date of creation that says otherwise the change counts.

    Deals carry no revenue: what they bring is billed, and the bill is the one event that has the money. The amount is
    among the properties.
#}
with
    contacts as (
        select *, row_number() over (partition by record_id order by available_at, _row_key) as version
        from {{ source("hubspot", "contacts") }}
        where {{ is_known("available_at") }}
    ),

    deals as (
        select
            *,
            case
                when {{ matches("deal_stage", "'(^|[^a-z]|closed)won([^a-z]|$)'") }}
                then 'won'
                when {{ matches("deal_stage", "'(^|[^a-z]|closed)lost([^a-z]|$)'") }}
                then 'lost'
                else 'open'
            end as outcome
        from {{ source("hubspot", "deals") }}
        where {{ is_known("available_at") }}
    ),

    versions as (
        select
            *,
            row_number() over exported as version,
            lag(deal_stage) over changed as stage_before,
            lag(outcome) over changed as outcome_before,
            lag(modified_at) over changed as modified_before,
            {{ last_known("contact_id") }} over whole as current_contact_id,
            {{ last_known("account_id") }} over whole as current_account_id,
            max(_loaded_at) over (partition by record_id) as last_loaded_at
        from deals
        window
            changed as (partition by record_id order by modified_at, available_at, _row_key),
            exported as (partition by record_id order by available_at, modified_at, _row_key),
            whole as (
                partition by record_id
                order by modified_at, available_at, _row_key
                rows between unbounded preceding and unbounded following
            )
    ),

    {# Since when it has been known whose deal it is. #}
    associations as (
        select
            record_id,
            greatest(
                coalesce(
                    min(case when contact_id = current_contact_id then available_at end), min(available_at)
                ),
                coalesce(
                    min(case when account_id = current_account_id then available_at end), min(available_at)
                )
            ) as associated_at
        from versions
        group by record_id
    ),

    creations as (
        select *, 'Deal Created' as event_name, 1 as occurrence, least(created_at, modified_at) as occurred_at
        from versions
        where version = 1
    ),

    moves as (
        select
            *,
            'Deal Stage Changed' as event_name,
            row_number() over (
                partition by record_id order by modified_at, available_at, _row_key
            ) as occurrence,
            modified_at as occurred_at
        from versions
        where outcome = 'open' and deal_stage <> stage_before
    ),

    {# The date of closing counts where it can be true: people also change deals that have long been closed. #}
    closings as (
        select
            *,
            case outcome when 'won' then 'Deal Won' else 'Deal Lost' end as event_name,
            row_number() over (
                partition by record_id, outcome order by modified_at, available_at, _row_key
            ) as occurrence,
            case
                when close_at between coalesce(modified_before, created_at) and modified_at
                then close_at
                else modified_at
            end as occurred_at
        from versions
        where outcome <> 'open' and outcome <> coalesce(outcome_before, 'open')
    ),

    changes as (
        select *
        from creations
        union all
        select *
        from moves
        union all
        select *
        from closings
    ),

    deal_events as (
        select
            changes.record_id
            || '|'
            || changes.event_name
            || '|'
            || cast(changes.occurrence as varchar) as event_key,
            'deals' as source_table,
            changes.event_name,
            changes.occurred_at,
            greatest(changes.available_at, associations.associated_at) as available_at,
            cast(null as varchar) as user_id,
            cast(null as varchar) as email,
            cast(null as varchar) as phone,
            changes.current_contact_id as crm_id,
            changes.current_account_id as account_id,
            cast(null as varchar) as country,
            {{
                json_object_of(
                    {
                        "deal": "changes.record_id",
                        "pipeline": "changes.pipeline",
                        "stage": "changes.deal_stage",
                        "stage_before": "changes.stage_before",
                        "amount": "changes.amount",
                        "currency": "upper(changes.currency)",
                    }
                )
            }} as properties,
            changes._file_id,
            changes._row_number,
            changes._row_key,
            changes.last_loaded_at as _loaded_at
        from changes
        inner join associations on changes.record_id = associations.record_id
    ),

    contact_events as (
        select
            record_id || '|created' as event_key,
            'contacts' as source_table,
            'Contact Created' as event_name,
            least(created_at, modified_at) as occurred_at,
            available_at,
            user_id,
            email,
            coalesce(mobile_phone, phone) as phone,
            contact_id as crm_id,
            account_id,
            address_country as country,
            {{
                json_object_of(
                    {
                        "lifecycle_stage": "lifecycle_stage",
                        "original_source": "original_source",
                        "original_source_detail": "original_source_detail",
                    }
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from contacts
        where version = 1
    ),

    final as (
        select *, 'hubspot' as source
        from contact_events
        union all
        select *, 'hubspot' as source
        from deal_events
    )

select *
from final
