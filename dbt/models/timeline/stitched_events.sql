{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{#
    Narrow on purpose: who owns each event, on what evidence, with what consent, in which session.
    Windows run here, over few columns; the wide rows are joined and written once, in `customer_events`.
#}
with
    identifiers as (select * from {{ source("identity", "identifiers") }}),

    keys as (
        select
            {{ component_of_event("event_keys", "identifiers", "orders") }} as component_id,
            event_keys.event_id,
            event_keys.source,
            event_keys.source_table,
            event_keys.event_key,
            event_keys.occurred_at,
            event_keys.device_id,
            event_keys._file_id,
            event_keys._row_number,
            event_keys.owner_identifier,
            event_keys.account_identifier,
            identifiers.person_id,
            identifiers.identifier_type,
            identifiers.link_tier,
            coalesce(identifiers.is_shared_device, false) as is_shared_device
        from {{ ref("event_keys") }} as event_keys
        left join identifiers on event_keys.owner_identifier = identifiers.identifier
        left join identifiers as orders on 'order:' || event_keys.order_id = orders.identifier
        left join
            {{ ref("duplicate_orders") }} as duplicate_orders
            on event_keys.event_id = duplicate_orders.event_id
        where duplicate_orders.event_id is null
    ),

    affected as (select * from keys where {{ in_affected_component() }}),

    known_persons as (
        select distinct person_id
        from identifiers
        where identifier_type <> 'device_id' and person_id is not null
    ),

    {# A shared device lends its anonymous events to whoever was last known on it, or to nobody. #}
    shared_devices as (select identifier as device_id from identifiers where is_shared_device),

    borrowed as (
        select
            affected.event_id,
            {{ last_known("case when affected.identifier_type <> 'device_id' then affected.person_id end") }}
            over (
                partition by affected.device_id
                order by affected.occurred_at, affected.event_id {{ lent_events() }}
            ) as person_id
        from affected
        inner join shared_devices on affected.device_id = shared_devices.device_id
    ),

    owned as (
        select
            {{ all_but(["person_id"], "affected") }},
            case
                when affected.is_shared_device then borrowed.person_id else affected.person_id
            end as person_id,
            case
                when affected.is_shared_device and borrowed.person_id is null
                then affected.owner_identifier
                when affected.is_shared_device
                then borrowed.person_id
                else affected.person_id
            end as consent_subject,
            case
                when affected.is_shared_device
                then case when borrowed.person_id is not null then 'probable' end
                when affected.identifier_type <> 'device_id'
                then affected.link_tier
                when known_persons.person_id is not null
                then case when affected.link_tier = 'probable' then 'probable' else 'strong' end
                when affected.person_id is not null
                then 'anonymous'
            end as identity_tier
        from affected
        left join borrowed on affected.event_id = borrowed.event_id
        left join known_persons on affected.person_id = known_persons.person_id
    ),

    consents as (select * from {{ ref("consent_periods") }} where {{ in_affected_component() }}),

    {% set purposes = consent_purposes() %}
    consented as (
        select
            owned.*,
            {% for purpose in purposes %}
                coalesce({{ purpose }}.is_granted, {{ consent_default(purpose, "owned.source") }})
                and coalesce(
                    {{ purpose }}_now.is_granted_now, {{ consent_default(purpose, "owned.source") }}
                ) as has_{{ purpose }}_consent,
            {% endfor %}
        from owned
        {% for purpose in purposes %}
            left join
                consents as {{ purpose }}
                on owned.consent_subject = {{ purpose }}.consent_subject
                and {{ purpose }}.purpose = '{{ purpose }}'
                and owned.occurred_at >= {{ purpose }}.valid_from
                and owned.occurred_at < {{ purpose }}.valid_to
            left join
                (
                    select distinct consent_subject, is_granted_now
                    from consents
                    where purpose = '{{ purpose }}'
                ) as {{ purpose }}_now
                on owned.consent_subject = {{ purpose }}_now.consent_subject
        {% endfor %}
    ),

    {# Levels above persons. Everybody has one household and one account at most. #}
    households as (select distinct person_id, household_id from {{ source("identity", "households") }}),

    accounts as ({{ account_of_each_person() }}),

    named_accounts as (
        select identifier, min(account_key) as account_key
        from {{ source("identity", "accounts") }}
        where person_id is null
        group by identifier
    ),

    {# What all who are known on a shared device have in common. #}
    known_on_device as (
        select distinct device_id, person_id
        from consented
        where
            device_id in (select device_id from shared_devices)
            and person_id is not null
            and identifier_type <> 'device_id'
            and has_analytics_consent
    ),

    devices as (
        select
            known.device_id,
            case
                when count(distinct households.household_id) = 1 and count(*) = count(households.household_id)
                then min(households.household_id)
            end as household_id,
            case
                when count(distinct accounts.account_key) = 1 and count(*) = count(accounts.account_key)
                then min(accounts.account_key)
            end as account_key
        from known_on_device as known
        left join households on known.person_id = households.person_id
        left join accounts on known.person_id = accounts.person_id
        group by known.device_id
    ),

    levelled as (
        select
            consented.event_id,
            coalesce(households.household_id, devices.household_id) as household_id,
            coalesce(named_accounts.account_key, accounts.account_key, devices.account_key) as account_key
        from consented
        left join households on consented.person_id = households.person_id
        left join accounts on consented.person_id = accounts.person_id
        left join named_accounts on consented.account_identifier = named_accounts.identifier
        left join
            devices
            on consented.person_id is null
            and consented.is_shared_device
            and consented.device_id = devices.device_id
        where consented.has_analytics_consent
    ),

    {# A chat knows the device, but its touches are the chat's: they neither open, join nor prolong a web visit. #}
    sources_apart as (
        select distinct seen.source
        from (select distinct source from affected) as seen
        inner join {{ ref("channel_rules") }} as rules on {{ matches("seen.source", "rules.source") }}
        where coalesce(rules.utm_source, rules.utm_medium, rules.click_id_type, rules.referrer_host) is null
    ),

    {# Sessions are the device's: a gap opens one, and none outlasts the cap counted from its first event. #}
    spaced as (
        select
            event_id,
            device_id,
            occurred_at,
            lag(occurred_at) over (partition by device_id order by occurred_at, event_id) as previous_at
        from consented
        where
            device_id is not null
            and has_analytics_consent
            and source not in (select source from sources_apart)
    ),

    opened as (
        select
            event_id,
            device_id,
            occurred_at,
            max(
                case
                    when
                        {{ seconds_between("previous_at", "occurred_at") }} < {{ var("session_gap_seconds") }}
                    then null
                    else occurred_at
                end
            ) over (partition by device_id order by occurred_at, event_id rows unbounded preceding)
            as opened_at
        from spaced
    ),

    sessions as (
        select
            event_id,
            {{
                digest(
                    [
                        "device_id",
                        "opened_at",
                        "floor("
                        ~ seconds_between("opened_at", "occurred_at")
                        ~ " / (3600.0 * "
                        ~ var("session_cap_hours")
                        ~ "))",
                    ]
                )
            }} as session_id
        from opened
    ),

    {# What was stitched to somebody who has been erased since is nobody's, whoever else is known on the device. #}
    erased as (select distinct event_id from {{ source("ops", "erased_events") }}),

    final as (
        select
            consented.component_id,
            consented.event_id,
            case
                when consented.has_analytics_consent and erased.event_id is null then consented.person_id
            end as person_id,
            case
                when erased.event_id is not null
                then null
                when consented.identity_tier in ('exact', 'strong', 'probable')
                then case when consented.has_analytics_consent then consented.identity_tier end
                when levelled.household_id is not null
                then 'household'
                when levelled.account_key is not null
                then 'account'
                when consented.has_analytics_consent
                then consented.identity_tier
            end as identity_tier,
            case when erased.event_id is null then levelled.household_id end as household_id,
            case when erased.event_id is null then levelled.account_key end as account_key,
            sessions.session_id,
            consented.device_id,
            consented.occurred_at,
            consented.source,
            consented.source_table,
            consented.event_key,
            consented._file_id,
            consented._row_number,
            consented.has_analytics_consent,
            consented.has_marketing_consent,
            consented.has_personalisation_consent
        from consented
        left join sessions on consented.event_id = sessions.event_id
        left join levelled on consented.event_id = levelled.event_id
        left join erased on consented.event_id = erased.event_id and consented.identifier_type = 'device_id'
    )

select *
from final
