{#
    What happened in a conversation, from the version that was known last. A conversation in which the visitor wrote
    nothing was no contact, and what greets a visitor who has not written yet is no answer. Nothing happened in it after it
    ended.
#}
with
    conversations as (select * from {{ source("chat", "conversations") }}),

    versions as (
        select
            {{ all_but(["available_at", "rating", "_loaded_at"]) }},
            greatest(available_at, ended_at) as available_at,
            case
                when lower(rating) in ('good', '5')
                then 1.0
                when rating = '4'
                then 0.75
                when rating = '3'
                then 0.5
                when rating = '2'
                then 0.25
                when lower(rating) in ('bad', '1')
                then 0.0
            end as rating,
            max(_loaded_at) over (partition by id) as _loaded_at
        from conversations
        where {{ is_known("greatest(available_at, ended_at)") }}
    ),

    contacts as (select * from versions where visitor_wrote_at is not null),

    moments as (
        select
            *,
            'started' as moment,
            case when visitor_wrote_at is null then 'Chat Unused' else 'Chat Started' end as event_name,
            started_at as occurred_at
        from versions
        union all
        select *, 'bot', 'Bot Answered', least(greatest(bot_wrote_at, visitor_wrote_at), ended_at)
        from contacts
        where bot_wrote_at is not null
        union all
        select *, 'handed over', 'Handed Over', least(handed_over_at, ended_at)
        from contacts
        where handed_over_at is not null
        union all
        select *, 'agent', 'Agent Answered', least(greatest(agent_wrote_at, visitor_wrote_at), ended_at)
        from contacts
        where agent_wrote_at is not null
        union all
        select
            *,
            'ended',
            case
                when agent_wrote_at is null and (bot_wrote_at is null or handed_over_at is not null)
                then 'Chat Missed'
                else 'Chat Ended'
            end,
            ended_at
        from contacts
        union all
        select *, 'rated', 'Chat Rated', ended_at
        from versions
        where rating is not null
    ),

    ranked as (
        select *, row_number() over (partition by id, moment order by available_at desc, _row_key) as version
        from moments
    ),

    final as (
        select
            id || '|' || moment as event_key,
            'chat' as source,
            'conversations' as source_table,
            event_name,
            occurred_at,
            available_at,
            anonymous_id as device_id,
            user_id,
            email,
            page_url as url,
            case when moment = 'rated' then rating end as rating,
            case when moment = 'started' then visitor_text_id end as text_id,
            {{ json_object_of({"chat": "id", "topic": "topic", "bot": "bot_name"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from ranked
        where version = 1
    )

select *
from final
