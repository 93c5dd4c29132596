{#
    The way to each person's first conversion of a journey, in three views of who is who: how many events came
    before it and since when. The conversions are the same in each; what mail servers and the like do is no part.
#}
with
    conversions as (
        select journey, subject as person_id, end_event_id as event_id
        from {{ ref("identity_entries") }}
        where identity = 'fully stitched' and is_converted
    ),

    path_events as (
        select
            event_id,
            occurred_at,
            person_id,
            {{ device_or_identifier() }} as device,
            {{ owner_identifier() }} as identifier
        from {{ ref("customer_events") }}
        where person_id is not null and traffic_class in ('human', 'unknown') and kind <> 'system'
    ),

    {# Before is at an earlier instant; events of one instant are no way to each other. #}
    numbered as (
        select
            event_id,
            occurred_at,
            identifier,
            rank() over of_person - 1 as events_of_person,
            min(occurred_at) over of_person as person_since,
            rank() over of_device - 1 as events_of_device,
            min(occurred_at) over of_device as device_since
        from path_events
        window
            of_person as (partition by person_id order by occurred_at),
            of_device as (partition by device order by occurred_at)
    ),

    reached as (
        select conversions.journey, numbered.*, {{ asked_day("numbered.occurred_at") }} as asked_day
        from conversions
        inner join numbered on conversions.event_id = numbered.event_id
    ),

    {{ known_holder_ctes() }},

    {# As of: the identifiers that were known to be one person's when the event converted. #}
    members as (
        select reached.journey, reached.event_id, reached.occurred_at, others.identifier
        from reached {{ join_known_then("reached", "identifier") }}
    ),

    counted as (
        select
            identifier,
            occurred_at,
            sum(count(*)) over of_identifier as event_count,
            min(occurred_at) over of_identifier as since
        from path_events
        group by identifier, occurred_at
        window of_identifier as (partition by identifier order by occurred_at rows unbounded preceding)
    ),

    known as (
        select
            members.journey,
            members.event_id,
            sum(counted.event_count) as event_count,
            min(counted.since) as since
        from
            members
            {{
                asof_earlier_join(
                    "counted", "counted", ["identifier"], "members", "occurred_at", "occurred_at"
                )
            }}
        group by members.journey, members.event_id
    ),

    final as (
        select
            'raw device' as identity,
            journey,
            event_id,
            events_of_device as events_before,
            {{ seconds_between("device_since", "occurred_at") }} / 86400.0 as days_before
        from reached
        union all
        select
            'as of',
            reached.journey,
            reached.event_id,
            coalesce(known.event_count, 0),
            coalesce({{ seconds_between("known.since", "reached.occurred_at") }} / 86400.0, 0)
        from reached
        left join known on reached.journey = known.journey and reached.event_id = known.event_id
        union all
        select
            'fully stitched',
            journey,
            event_id,
            events_of_person,
            {{ seconds_between("person_since", "occurred_at") }} / 86400.0
        from reached
    )

select *
from final
