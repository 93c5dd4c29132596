with
    events as (select * from {{ ref("customer_events") }}),

    signals as (select * from {{ source("timeline", "message_signals") }}),

    final as (
        select
            events.event_id,
            events.person_id,
            events.identity_tier,
            events.occurred_at,
            events.source,
            coalesce(events.event, events.event_name) as event,
            events.touchpoint,
            events.kind,
            events.lifecycle_stage,
            events.channel,
            events.traffic_class,
            events.session_id,
            signals.compound as sentiment,
            events.kind = 'friction' as is_friction,
            events.revenue as revenue_amount,
            events.currency as revenue_currency,
            events.has_analytics_consent,
            events.has_marketing_consent,
            events.has_personalisation_consent
        from events
        left join signals on events.text_id = signals.text_id
    )

select *
from final
