{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{#
    How far each person has come by their own events, the first of these that holds:
    - lost: left, by a rule of `lifecycle_rules`, and bought nothing since;
    - advocacy: has bought, has recommended, and has not said less since;
    - retention: has bought again, or has gone on with the product after buying;
    - purchase: has bought, or has been about to;
    - consideration: has looked closer; using the product before buying it is no more than that;
    - awareness: has been there;
    - unknown: only the company's own records speak of them.
    Machines' traffic tells nothing of a person, and friction brings nobody further. The as-of day has no part in it.
#}
with
    rules as (
        select {{ named_event("event") }} as event, {{ least_rating("event") }} as least_rating, effect
        from {{ ref("lifecycle_rules") }}
    ),

    events as (
        select
            events.component_id,
            events.person_id,
            events.event_id,
            events.identity_tier,
            events.source,
            events.account_id,
            events.occurred_at,
            events.kind <> 'system' as is_own,
            case
                when events.kind in ('touch', 'milestone', 'outcome') then events.lifecycle_stage
            end as stage,
            rules.effect,
            rules.least_rating is null or events.rating >= rules.least_rating as is_rated_enough
        from {{ ref("customer_events") }} as events
        left join rules on events.event = rules.event
        where
            events.person_id is not null
            and events.traffic_class in ('human', 'unknown')
            and {{ in_affected_component("events.component_id") }}
    ),

    {# The account that the latest event names. #}
    accounts as (
        select
            person_id,
            account_id,
            row_number() over (partition by person_id order by occurred_at desc, event_id desc) as place
        from events
        where account_id is not null and not {{ has_prefix("account_id", "junk_") }}
    ),

    persons as (
        select
            component_id,
            person_id,
            min(
                case
                    identity_tier
                    when 'exact'
                    then 1
                    when 'strong'
                    then 2
                    when 'probable'
                    then 3
                    when 'household'
                    then 4
                    when 'account'
                    then 5
                    else 6
                end
            ) as tier,
            coalesce(min(case when is_own then occurred_at end), min(occurred_at)) as first_seen_at,
            coalesce(max(case when is_own then occurred_at end), max(occurred_at)) as last_seen_at,
            bool_or(coalesce(stage = 'awareness', false)) as has_been_there,
            bool_or(
                coalesce(stage in ('consideration', 'retention', 'advocacy'), false)
            ) as has_looked_closer,
            bool_or(coalesce(stage = 'purchase', false)) as has_been_at_purchase,
            max(case when stage = 'retention' then occurred_at end) as last_went_on_at,
            min(case when effect = 'buys' then occurred_at end) as first_bought_at,
            max(case when effect = 'buys' then occurred_at end) as last_bought_at,
            max(case when effect = 'leaves' then occurred_at end) as last_left_at,
            max(
                case when effect = 'recommends' and is_rated_enough then occurred_at end
            ) as last_recommended_at,
            max(
                case when effect = 'recommends' and not is_rated_enough then occurred_at end
            ) as last_said_less_at,
            {% for purpose in consent_purposes() %}
                bool_and({{ consent_default(purpose) }}) as grants_{{ purpose }}_by_default,
            {% endfor %}
        from events
        group by component_id, person_id
    ),

    placed as (
        select
            *,
            case
                when last_left_at is not null and (last_bought_at is null or last_left_at > last_bought_at)
                then 'lost'
                when
                    first_bought_at is not null
                    and last_recommended_at is not null
                    and (last_said_less_at is null or last_recommended_at > last_said_less_at)
                then 'advocacy'
                when last_bought_at > first_bought_at or last_went_on_at >= first_bought_at
                then 'retention'
                when first_bought_at is not null or has_been_at_purchase
                then 'purchase'
                when has_looked_closer
                then 'consideration'
                when has_been_there
                then 'awareness'
                else 'unknown'
            end as lifecycle_stage
        from persons
    ),

    final as (
        select
            placed.component_id,
            placed.person_id,
            case
                placed.tier
                when 1
                then 'exact'
                when 2
                then 'strong'
                when 3
                then 'probable'
                when 4
                then 'household'
                when 5
                then 'account'
                else 'anonymous'
            end as identity_tier,
            accounts.account_id,
            placed.first_seen_at,
            placed.last_seen_at,
            placed.lifecycle_stage,
            placed.first_bought_at,
            case when placed.lifecycle_stage = 'lost' then placed.last_left_at end as lost_at,
            {% for purpose in consent_purposes() %}
                placed.grants_{{ purpose }}_by_default{{ "," if not loop.last }}
            {% endfor %}
        from placed
        left join accounts on placed.person_id = accounts.person_id and accounts.place = 1
    )

select *
from final
