{#
    The set is one export of two years. What a row says about later days (a subscription's end, a ticket's closing and
    rating) becomes available a day after it happened, like everything else, not with the row.
#}
{% set delay_hours = 24 %}

with
    accounts as (select * from {{ source("ravenstack", "accounts") }}),

    subscriptions as (
        select
            *,
            lag(plan_tier) over (partition by account_id order by start_date, subscription_id) as plan_before,
            max(_loaded_at) over (partition by account_id) as last_loaded_at
        from {{ source("ravenstack", "subscriptions") }}
        where {{ is_known("available_at") }}
    ),

    feature_usage as (select * from {{ source("ravenstack", "feature_usage") }}),

    support_tickets as (select * from {{ source("ravenstack", "support_tickets") }}),

    churn_events as (select * from {{ source("ravenstack", "churn_events") }}),

    sign_ups as (
        select
            account_id || '|signed_up' as event_key,
            'accounts' as source_table,
            'Account Signed Up' as event_name,
            _occurred_at as occurred_at,
            available_at,
            customer_id as user_id,
            account_id,
            country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as double) as rating,
            cast(null as varchar) as text_id,
            {{ json_object_of({"referral_source": "referral_source"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from accounts
    ),

    {# Revenue is the first bill: a month's or a year's. #}
    subscription_starts as (
        select
            subscription_id || '|started' as event_key,
            'subscriptions' as source_table,
            case when is_trial then 'Trial Started' else 'Subscription Started' end as event_name,
            _occurred_at as occurred_at,
            available_at,
            customer_id as user_id,
            account_id,
            cast(null as varchar) as country,
            {{ order_key("ravenstack", "subscriptions", "subscription_id") }} as order_id,
            case
                when not is_trial
                then case billing_frequency when 'annual' then arr_amount else mrr_amount end
            end as revenue,
            cast(null as double) as rating,
            cast(null as varchar) as text_id,
            {{ json_object_of({"plan": "plan_tier", "seats": "seats", "billing": "billing_frequency"}) }}
            as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from subscriptions
    ),

    {# The set dates no upgrade: a plan counts as changed when an account's next subscription is to another plan. #}
    plan_changes as (
        select
            account_id
            || '|plan_changed|'
            || cast(
                row_number() over (partition by account_id order by start_date, subscription_id) as varchar
            ) as event_key,
            'subscriptions' as source_table,
            'Plan Changed' as event_name,
            _occurred_at as occurred_at,
            available_at,
            customer_id as user_id,
            account_id,
            cast(null as varchar) as country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as double) as rating,
            cast(null as varchar) as text_id,
            {{ json_object_of({"plan": "plan_tier", "plan_before": "plan_before"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            last_loaded_at as _loaded_at
        from subscriptions
        where plan_before <> plan_tier
    ),

    subscription_ends as (
        select
            subscription_id || '|ended' as event_key,
            'subscriptions' as source_table,
            case when is_trial then 'Trial Cancelled' else 'Subscription Cancelled' end as event_name,
            cast(end_date as timestamp) as occurred_at,
            greatest(
                available_at, {{ plus_hours("cast(end_date as timestamp)", delay_hours) }}
            ) as available_at,
            customer_id as user_id,
            account_id,
            cast(null as varchar) as country,
            {{ order_key("ravenstack", "subscriptions", "subscription_id") }} as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as double) as rating,
            cast(null as varchar) as text_id,
            {{ json_object_of({"plan": "plan_tier"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from subscriptions
        where end_date is not null
    ),

    {# Use names only its subscription: whose it is, is known once the subscription is. #}
    uses as (
        select
            feature_usage.usage_id || '|' || cast(feature_usage._row_key as varchar) as event_key,
            'feature_usage' as source_table,
            'Feature Used' as event_name,
            feature_usage._occurred_at as occurred_at,
            greatest(feature_usage.available_at, subscriptions.available_at) as available_at,
            subscriptions.customer_id as user_id,
            subscriptions.account_id,
            cast(null as varchar) as country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as double) as rating,
            cast(null as varchar) as text_id,
            {{
                json_object_of(
                    {
                        "feature": "feature_usage.feature_name",
                        "uses": "feature_usage.usage_count",
                        "seconds": "feature_usage.usage_duration_secs",
                        "errors": "feature_usage.error_count",
                        "is_beta": "feature_usage.is_beta_feature",
                    }
                )
            }} as properties,
            feature_usage._file_id,
            feature_usage._row_number,
            feature_usage._row_key,
            greatest(feature_usage._loaded_at, subscriptions._loaded_at) as _loaded_at
        from feature_usage
        inner join subscriptions on feature_usage.subscription_id = subscriptions.subscription_id
    ),

    ticket_openings as (
        select
            ticket_id || '|opened' as event_key,
            'support_tickets' as source_table,
            'Ticket Opened' as event_name,
            _occurred_at as occurred_at,
            available_at,
            customer_id as user_id,
            account_id,
            cast(null as varchar) as country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as double) as rating,
            cast(null as varchar) as text_id,
            {{ json_object_of({"ticket": "ticket_id", "priority": "priority"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from support_tickets
    ),

    closed_tickets as (
        select *, greatest(available_at, {{ plus_hours("closed_at", delay_hours) }}) as outcome_available_at
        from support_tickets
        where closed_at is not null
    ),

    {# When a ticket was escalated is not said; after its first answer is the likeliest, and it is known at the end. #}
    ticket_escalations as (
        select
            ticket_id || '|escalated' as event_key,
            'support_tickets' as source_table,
            'Ticket Escalated' as event_name,
            least(
                closed_at, {{ plus_minutes("_occurred_at", "coalesce(first_response_time_minutes, 0)") }}
            ) as occurred_at,
            outcome_available_at as available_at,
            customer_id as user_id,
            account_id,
            cast(null as varchar) as country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as double) as rating,
            cast(null as varchar) as text_id,
            {{ json_object_of({"ticket": "ticket_id", "priority": "priority"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from closed_tickets
        where escalation_flag
    ),

    ticket_solvings as (
        select
            ticket_id || '|solved' as event_key,
            'support_tickets' as source_table,
            'Ticket Solved' as event_name,
            closed_at as occurred_at,
            outcome_available_at as available_at,
            customer_id as user_id,
            account_id,
            cast(null as varchar) as country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as double) as rating,
            cast(null as varchar) as text_id,
            {{ json_object_of({"ticket": "ticket_id", "hours": "resolution_time_hours"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from closed_tickets
    ),

    ticket_ratings as (
        select
            ticket_id || '|rated' as event_key,
            'support_tickets' as source_table,
            'Satisfaction Rated' as event_name,
            closed_at as occurred_at,
            outcome_available_at as available_at,
            customer_id as user_id,
            account_id,
            cast(null as varchar) as country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            (satisfaction_score - 1) / 4.0 as rating,
            cast(null as varchar) as text_id,
            {{ json_object_of({"ticket": "ticket_id", "score": "satisfaction_score"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from closed_tickets
        where satisfaction_score is not null
    ),

    churns as (
        select
            churn_event_id as event_key,
            'churn_events' as source_table,
            'Account Churned' as event_name,
            _occurred_at as occurred_at,
            available_at,
            customer_id as user_id,
            account_id,
            cast(null as varchar) as country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as double) as rating,
            feedback_text_id as text_id,
            {{
                json_object_of(
                    {
                        "reason": "reason_code",
                        "refund": "refund_amount_usd",
                        "is_reactivation": "is_reactivation",
                    }
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from churn_events
    ),

    events as (
        select *
        from sign_ups
        union all
        select *
        from subscription_starts
        union all
        select *
        from plan_changes
        union all
        select *
        from subscription_ends
        union all
        select *
        from uses
        union all
        select *
        from ticket_openings
        union all
        select *
        from ticket_escalations
        union all
        select *
        from ticket_solvings
        union all
        select *
        from ticket_ratings
        union all
        select *
        from churns
    ),

    final as (
        select *, 'ravenstack' as source, case when revenue is not null then 'USD' end as currency
        from events
        where {{ is_known("available_at") }}
    )

select *
from final
