{#
    An object is exported again whenever it changes, so an event's key is the object's id and the state it reached:
    each real event is one event however often its object comes. The versions of one object may be many rows here
    under one key; the one that was available first is the event.
#}
with
    customers as (select * from {{ source("stripe", "customers") }} where {{ is_known("available_at") }}),

    subscriptions as (
        select
            *,
            coalesce(
                plan_nickname,
                {{ json_text("items", "$[0].price.nickname") }},
                {{ json_text("items", "$[0].price.lookup_key") }},
                plan_id,
                {{ json_text("items", "$[0].price.id") }}
            ) as plan
        from {{ source("stripe", "subscriptions") }}
        where {{ is_known("available_at") }}
    ),

    invoices as (
        select
            *,
            coalesce(subscription_id, parent_subscription_id) as billed_subscription_id,
            coalesce(paid_at, created) as settled_at
        from {{ source("stripe", "invoices") }}
        where {{ is_known("available_at") }}
    ),

    charges as (select * from {{ source("stripe", "charges") }} where {{ is_known("available_at") }}),

    customer_events as (
        select
            id || '|created' as event_key,
            'customers' as source_table,
            'customer.created' as event_name,
            created as occurred_at,
            available_at,
            customer_id as crm_id,
            user_id,
            email,
            phone,
            cast(null as varchar) as card_id,
            address_country as country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as varchar) as currency,
            cast(null as varchar) as text_id,
            cast(null as json) as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from customers
    ),

    subscription_starts as (
        select
            id || '|created' as event_key,
            'subscriptions' as source_table,
            'subscription.created' as event_name,
            created as occurred_at,
            available_at,
            customer_id as crm_id,
            user_id,
            cast(null as varchar) as email,
            cast(null as varchar) as phone,
            cast(null as varchar) as card_id,
            cast(null as varchar) as country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as varchar) as currency,
            cast(null as varchar) as text_id,
            {{ json_object_of({"plan": "plan"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from subscriptions
    ),

    {# A cancellation may be taken back and asked for again: the moment belongs to the key. #}
    subscription_ends as (
        select
            id || '|cancelled|' || cast(canceled_at as varchar) as event_key,
            'subscriptions' as source_table,
            case
                when canceled_at < trial_end then 'subscription.trial_cancelled' else 'subscription.cancelled'
            end as event_name,
            canceled_at as occurred_at,
            available_at,
            customer_id as crm_id,
            user_id,
            cast(null as varchar) as email,
            cast(null as varchar) as phone,
            cast(null as varchar) as card_id,
            cast(null as varchar) as country,
            {{ order_key("stripe", "subscriptions", "id") }} as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as varchar) as currency,
            cancellation_comment_text_id as text_id,
            {{
                json_object_of(
                    {"plan": "plan", "reason": "cancellation_reason", "feedback": "cancellation_feedback"}
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from subscriptions
        where canceled_at is not null and status <> 'incomplete_expired'
    ),

    paid_invoices as (select * from invoices where status = 'paid'),

    {# After a trial that Stripe runs, the first invoice is over nothing and the first money comes with a later one. #}
    trial_subscriptions as (
        select
            billed_subscription_id,
            min(case when amount_paid > 0 then settled_at end) as first_paid_at,
            max(_loaded_at) as last_loaded_at
        from paid_invoices
        where billed_subscription_id is not null
        group by billed_subscription_id
        having max(case when billing_reason = 'subscription_create' and amount_paid = 0 then 1 end) = 1
    ),

    invoice_payments as (
        select
            paid_invoices.id || '|paid' as event_key,
            'invoices' as source_table,
            case
                when coalesce(paid_invoices.amount_paid, 0) = 0
                then 'invoice.paid.zero'
                when paid_invoices.billing_reason = 'subscription_create'
                then 'invoice.paid.first'
                when
                    paid_invoices.billing_reason = 'subscription_cycle'
                    and paid_invoices.settled_at = trial_subscriptions.first_paid_at
                then 'invoice.paid.first'
                {# Of no subscription: nothing is renewed by it. #}
                when
                    paid_invoices.billed_subscription_id is null
                    and paid_invoices.billing_reason not like 'subscription%'
                then 'invoice.paid.once'
                else 'invoice.paid'
            end as event_name,
            paid_invoices.settled_at as occurred_at,
            paid_invoices.available_at,
            paid_invoices.customer_id as crm_id,
            paid_invoices.user_id,
            paid_invoices.email,
            paid_invoices.phone,
            cast(null as varchar) as card_id,
            cast(null as varchar) as country,
            {{ order_key("stripe", "invoices", "paid_invoices.id") }} as order_id,
            {{ from_minor_units("paid_invoices.amount_paid", "paid_invoices.currency") }} as revenue,
            upper(paid_invoices.currency) as currency,
            cast(null as varchar) as text_id,
            {{
                json_object_of(
                    {
                        "billing_reason": "paid_invoices.billing_reason",
                        "subscription": "paid_invoices.billed_subscription_id",
                        "attempts": "paid_invoices.attempt_count",
                    }
                )
            }} as properties,
            paid_invoices._file_id,
            paid_invoices._row_number,
            paid_invoices._row_key,
            {# A late invoice may change which one was first: then the event is news again. #}
            greatest(
                paid_invoices._loaded_at,
                coalesce(trial_subscriptions.last_loaded_at, paid_invoices._loaded_at)
            ) as _loaded_at
        from paid_invoices
        left join
            trial_subscriptions
            on paid_invoices.billed_subscription_id = trial_subscriptions.billed_subscription_id
    ),

    {# An invoice does not say when an attempt failed: known when it is exported. #}
    invoice_failures as (
        select
            id || '|payment_failed|' || cast(attempt_count as varchar) as event_key,
            'invoices' as source_table,
            'invoice.payment_failed' as event_name,
            available_at as occurred_at,
            available_at,
            customer_id as crm_id,
            user_id,
            email,
            phone,
            cast(null as varchar) as card_id,
            cast(null as varchar) as country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as varchar) as currency,
            cast(null as varchar) as text_id,
            {{
                json_object_of(
                    {
                        "invoice": "id",
                        "attempts": "attempt_count",
                        "amount_due": from_minor_units("amount_due", "currency"),
                    }
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from invoices
        where status in ('open', 'uncollectible') and is_attempted and attempt_count > 0
    ),

    charge_failures as (
        select
            id || '|failed' as event_key,
            'charges' as source_table,
            'charge.failed' as event_name,
            created as occurred_at,
            available_at,
            customer_id as crm_id,
            user_id,
            cast(null as varchar) as email,
            cast(null as varchar) as phone,
            card_id,
            cast(null as varchar) as country,
            cast(null as varchar) as order_id,
            cast(null as decimal(18, 2)) as revenue,
            cast(null as varchar) as currency,
            cast(null as varchar) as text_id,
            {{
                json_object_of(
                    {
                        "invoice": "invoice_id",
                        "failure_code": "failure_code",
                        "reason": "outcome_reason",
                        "amount": from_minor_units("amount", "currency"),
                        "currency": "upper(currency)",
                    }
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from charges
        where status = 'failed'
    ),

    {# Only a charge that names an order is one: others may be an invoice's, and the invoice tells of its payment. #}
    charge_orders as (
        select
            id || '|succeeded' as event_key,
            'charges' as source_table,
            'charge.succeeded' as event_name,
            created as occurred_at,
            available_at,
            customer_id as crm_id,
            user_id,
            cast(null as varchar) as email,
            cast(null as varchar) as phone,
            card_id,
            cast(null as varchar) as country,
            {{ order_key("stripe", "charges", "order_id") }} as order_id,
            {{ from_minor_units("amount", "currency") }} as revenue,
            upper(currency) as currency,
            cast(null as varchar) as text_id,
            cast(null as json) as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from charges
        where status = 'succeeded' and order_id is not null and invoice_id is null
    ),

    {# A charge may be paid back in parts: each amount it reached is one event, worth what it added. #}
    refund_states as (
        select
            *,
            row_number() over (partition by id, amount_refunded order by available_at, _row_key) as version,
            max(_loaded_at) over (partition by id) as last_loaded_at
        from charges
        where amount_refunded > 0
    ),

    refunds as (
        select
            *,
            lag(amount_refunded, 1, 0) over (partition by id order by amount_refunded) as refunded_before,
            {{ json_text("refunds", "$[0].created") }} as last_refund_seconds
        from refund_states
        where version = 1
    ),

    charge_refunds as (
        select
            id || '|refunded|' || cast(amount_refunded as varchar) as event_key,
            'charges' as source_table,
            'charge.refunded' as event_name,
            coalesce({{ from_unix_seconds("last_refund_seconds") }}, available_at) as occurred_at,
            available_at,
            customer_id as crm_id,
            user_id,
            cast(null as varchar) as email,
            cast(null as varchar) as phone,
            card_id,
            cast(null as varchar) as country,
            cast(null as varchar) as order_id,
            -{{ from_minor_units("(amount_refunded - refunded_before)", "currency") }} as revenue,
            upper(currency) as currency,
            cast(null as varchar) as text_id,
            {{ json_object_of({"invoice": "invoice_id", "is_whole": "is_refunded"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            last_loaded_at as _loaded_at
        from refunds
    ),

    final as (
        select *, 'stripe' as source
        from customer_events
        union all
        select *, 'stripe' as source
        from subscription_starts
        union all
        select *, 'stripe' as source
        from subscription_ends
        union all
        select *, 'stripe' as source
        from invoice_payments
        union all
        select *, 'stripe' as source
        from invoice_failures
        union all
        select *, 'stripe' as source
        from charge_failures
        union all
        select *, 'stripe' as source
        from charge_orders
        union all
        select *, 'stripe' as source
        from charge_refunds
    )

select *
from final
