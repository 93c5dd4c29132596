{#
    Tickets come again whenever they change, so what happened to a ticket is read from its consecutive versions. Keys
    count how often a thing happened to the ticket (its second solving is `solved|2`) and every change of a ticket makes
    its events news again, so that a version that arrives late moves events and never leaves one behind.
#}
with
    {# Deleting a ticket is housekeeping: what happened to it before still happened. #}
    tickets as (
        select *
        from {{ source("zendesk", "tickets") }}
        where status <> 'deleted' and {{ is_known("available_at") }}
    ),

    comments as (
        select * from {{ source("zendesk", "ticket_comments") }} where {{ is_known("available_at") }}
    ),

    ratings as (
        select * from {{ source("zendesk", "satisfaction_ratings") }} where {{ is_known("available_at") }}
    ),

    versions as (
        select
            *,
            row_number() over exported as version,
            lag(status) over changed as status_before,
            lag(priority) over changed as priority_before,
            last_value(requester_id) over (
                changed rows between unbounded preceding and unbounded following
            ) as current_requester_id,
            max(_loaded_at) over (partition by id) as last_loaded_at
        from tickets
        window
            changed as (partition by id order by updated_at, available_at, _row_key),
            exported as (partition by id order by available_at, updated_at, _row_key)
    ),

    {# Whose ticket it is, and since when that has been known. #}
    requesters as (
        select
            id as ticket_id,
            current_requester_id as requester_id,
            min(created_at) as opened_at,
            min(available_at) as available_at,
            max(last_loaded_at) as _loaded_at
        from versions
        where requester_id = current_requester_id
        group by id, current_requester_id
    ),

    openings as (select *, 'Ticket Opened' as event_name, 1 as occurrence from versions where version = 1),

    solvings as (
        select
            *,
            'Ticket Solved' as event_name,
            row_number() over (partition by id order by updated_at, available_at, _row_key) as occurrence
        from versions
        where status in ('solved', 'closed') and coalesce(status_before, 'new') not in ('solved', 'closed')
    ),

    reopenings as (
        select
            *,
            'Ticket Reopened' as event_name,
            row_number() over (partition by id order by updated_at, available_at, _row_key) as occurrence
        from versions
        where status not in ('solved', 'closed') and status_before in ('solved', 'closed')
    ),

    escalations as (
        select
            *,
            'Ticket Escalated' as event_name,
            row_number() over (partition by id order by updated_at, available_at, _row_key) as occurrence
        from versions
        where version > 1 and priority = 'urgent' and coalesce(priority_before, 'normal') <> 'urgent'
    ),

    changes as (
        select *
        from openings
        union all
        select *
        from solvings
        union all
        select *
        from reopenings
        union all
        select *
        from escalations
    ),

    ticket_events as (
        select
            cast(id as varchar) || '|' || event_name || '|' || cast(occurrence as varchar) as event_key,
            'tickets' as source_table,
            event_name,
            case when event_name = 'Ticket Opened' then created_at else updated_at end as occurred_at,
            available_at,
            current_requester_id as support_id,
            organization_id as account_id,
            cast(null as double) as rating,
            case when event_name = 'Ticket Opened' then description_text_id end as text_id,
            {{
                json_object_of(
                    {"ticket": "id", "channel": "channel", "priority": "priority", "type": "type"}
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            last_loaded_at as _loaded_at
        from changes
    ),

    {#
        A comment belongs to the ticket's requester whoever wrote it, and is staged once its ticket is known. The first
        comment is the ticket's description over again, so its text is not counted twice.
    #}
    comment_events as (
        select
            cast(comments.id as varchar) as event_key,
            'ticket_comments' as source_table,
            case
                when not comments.is_public
                then 'Note Added'
                when comments.author_id <> requesters.requester_id
                then 'Agent Replied'
                when comments.created_at <= requesters.opened_at
                then 'First Comment'
                else 'Customer Replied'
            end as event_name,
            comments.created_at as occurred_at,
            greatest(comments.available_at, requesters.available_at) as available_at,
            requesters.requester_id as support_id,
            cast(null as varchar) as account_id,
            cast(null as double) as rating,
            case
                when
                    comments.is_public
                    and (
                        comments.author_id <> requesters.requester_id
                        or comments.created_at > requesters.opened_at
                    )
                then comments.body_text_id
            end as text_id,
            {{ json_object_of({"ticket": "comments.ticket_id", "channel": "comments.channel"}) }}
            as properties,
            comments._file_id,
            comments._row_number,
            comments._row_key,
            greatest(comments._loaded_at, requesters._loaded_at) as _loaded_at
        from comments
        inner join requesters on comments.ticket_id = requesters.ticket_id
    ),

    {# A rating is first offered, then given, and may be changed: each answer is an event. #}
    rating_events as (
        select
            cast(id as varchar) || '|' || score as event_key,
            'satisfaction_ratings' as source_table,
            case when score = 'offered' then 'Rating Offered' else 'Satisfaction Rated' end as event_name,
            updated_at as occurred_at,
            available_at,
            requester_id as support_id,
            cast(null as varchar) as account_id,
            case score when 'good' then 1.0 when 'bad' then 0.0 end as rating,
            comment_text_id as text_id,
            {{ json_object_of({"ticket": "ticket_id", "reason": "reason"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from ratings
        where score in ('offered', 'good', 'bad')
    ),

    final as (
        select *, 'zendesk' as source
        from ticket_events
        union all
        select *, 'zendesk' as source
        from comment_events
        union all
        select *, 'zendesk' as source
        from rating_events
    )

select *
from final
