{#
    One contact with support: a ticket opened, a call of somebody who needs help, a chat in which somebody wrote. A call
    that the company makes answers a contact and is none; nor is a call that nobody took. It is solved by the first
    event of the same ticket, call or chat that says so: a ticket set to solved, a call resolved, a chat that ended after
    an answer (that a bot hands over to an agent is no second contact; that nobody answers solves nothing). Only tickets
    can be opened again. Contacts of nobody known count, though nobody can tell whether they are repeats.
#}
with
    events as (
        select
            event_id,
            person_id,
            source,
            event,
            occurred_at,
            available_at,
            text_id,
            coalesce(
                {{ json_text("properties", "$.ticket") }},
                {{ json_text("properties", "$.call") }},
                {{ json_text("properties", "$.chat") }},
                event_id
            ) as thing,
            coalesce({{ json_text("properties", "$.direction") }}, 'inbound') as direction
        from {{ ref("customer_events") }}
        where
            event in ({{ quoted(help_events() + solving_events() + ["ticket_reopened"]) }})
            and traffic_class in ('human', 'unknown')
            and has_analytics_consent
    ),

    {# Later than the last day on which its source delivered anything nobody can say what became of a contact. #}
    sources as (
        select
            source,
            least(
                {{ as_of() }},
                {{ day_start_utc("cast(" ~ local_time("max(available_at)") ~ " as date) + 1") }}
            ) as watched_until_at
        from {{ ref("customer_events") }}
        where source in (select distinct source from events)
        group by source
    ),

    contacts as (
        select
            *,
            case
                event when 'ticket_opened' then 'ticket' when 'chat_started' then 'chat' else 'call'
            end as channel
        from events
        where event in ({{ quoted(help_events()) }}) and direction <> 'outbound'
    ),

    solved as (
        select contacts.event_id, min(events.occurred_at) as solved_at
        from contacts
        inner join
            events
            on contacts.source = events.source
            and contacts.thing = events.thing
            and contacts.occurred_at <= events.occurred_at
        where events.event in ({{ quoted(solving_events()) }})
        group by contacts.event_id
    ),

    reopened as (
        select solved.event_id, min(events.occurred_at) as reopened_at
        from solved
        inner join contacts on solved.event_id = contacts.event_id
        inner join
            events
            on contacts.source = events.source
            and contacts.thing = events.thing
            and solved.solved_at <= events.occurred_at
        where events.event = 'ticket_reopened'
        group by solved.event_id
    ),

    followed as (
        select
            event_id,
            lead(occurred_at) over (partition by person_id order by occurred_at, event_id) as next_contact_at
        from contacts
        where person_id is not null
    ),

    final as (
        select
            contacts.event_id as contact_id,
            contacts.person_id,
            contacts.source,
            contacts.channel,
            contacts.occurred_at as contacted_at,
            {{ week_start("contacts.occurred_at") }} as week_start_date,
            contacts.text_id,
            solved.solved_at,
            reopened.reopened_at,
            followed.next_contact_at,
            sources.watched_until_at
        from contacts
        inner join sources on contacts.source = sources.source
        left join solved on contacts.event_id = solved.event_id
        left join reopened on contacts.event_id = reopened.event_id
        left join followed on contacts.event_id = followed.event_id
    )

select *
from final
order by contacted_at, contact_id
