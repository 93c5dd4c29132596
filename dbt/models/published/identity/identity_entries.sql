{#
    Who entered a journey, and did they convert, in three views of who is who. The rules are those of attempts: a
    person enters a journey once, by its first start, where no success came before if the journey is not
    repeatable; the first success or failure after it and within the window says how it ended. The same
    events stand behind each view: those of people, with an owner today.

    As of: each identifier's first start is followed with what was known when it ended, or when its window passed.
    If another identifier of the person it was then known to be had ended before, it is no entry of its own.
#}
with
    journeys as (select * from {{ ref("journeys") }}),

    owned as (
        select
            event_id,
            event,
            rating,
            occurred_at,
            person_id,
            {{ device_or_identifier() }} as device,
            {{ owner_identifier() }} as identifier
        from {{ ref("customer_events") }}
        where person_id is not null and traffic_class in ('human', 'unknown')
    ),

    told as (
        select
            roles.journey,
            owned.event_id,
            owned.occurred_at,
            roles.is_start,
            roles.is_success,
            roles.is_failure,
            owned.person_id,
            owned.device,
            owned.identifier,
            {{ asked_day("owned.occurred_at") }} as asked_day
        from owned
        inner join {{ ref("journey_roles") }} as roles on {{ is_named_event("owned", "roles") }}
    ),

    {{ known_holder_ctes() }},

    {# Per view: `unit` is what is followed, `subject` whose it is; as of, that is asked later. #}
    viewed as (
        select
            'raw device' as identity,
            device as unit,
            device as subject,
            {{ all_but(["person_id", "device"]) }}
        from told
        union all
        select 'fully stitched', person_id, person_id, {{ all_but(["person_id", "device"]) }}
        from told
        union all
        select 'as of', told.identifier, known_holders.subject, {{ all_but(["person_id", "device"], "told") }}
        from told
        inner join
            known_holders
            on told.identifier = known_holders.identifier
            and told.asked_day >= known_holders.from_day
            and told.asked_day < known_holders.until_day
    ),

    starts as (
        select
            identity,
            unit,
            journey,
            min(occurred_at) as started_at,
            {{ first_by("event_id", ["occurred_at", "event_id"]) }} as start_event_id
        from viewed
        where is_start
        group by identity, unit, journey
    ),

    begun as (
        select starts.*, {{ plus_days("starts.started_at", "journeys.window_days") }} as deadline_at
        from starts
        inner join journeys on starts.journey = journeys.journey
    ),

    {# Whose a unit may be while it is followed: itself, or those whom it was known to be. #}
    spans as (
        select
            *,
            unit as subject,
            cast('1900-01-01' as date) as from_day,
            cast('9999-12-31' as date) as until_day
        from begun
        where identity <> 'as of'
        union all
        select begun.*, known_holders.subject, known_holders.from_day, known_holders.until_day
        from begun
        inner join
            known_holders
            on begun.unit = known_holders.identifier
            and known_holders.until_day > {{ local_day("begun.started_at") }}
        where begun.identity = 'as of'
    ),

    ended as (
        select
            spans.identity,
            spans.unit,
            spans.journey,
            {{ first_by("viewed.event_id", ["viewed.occurred_at", "viewed.event_id"]) }} as end_event_id,
            {{ first_by("viewed.is_success", ["viewed.occurred_at", "viewed.event_id"]) }} as is_success,
            min(viewed.occurred_at) as ended_at
        from spans
        inner join
            viewed
            on spans.identity = viewed.identity
            and spans.subject = viewed.subject
            and spans.journey = viewed.journey
            and viewed.occurred_at >= spans.started_at
            and viewed.occurred_at < spans.deadline_at
            and viewed.asked_day >= spans.from_day
            and viewed.asked_day < spans.until_day
        where
            (viewed.is_success or viewed.is_failure)
            and (viewed.occurred_at > spans.started_at or viewed.event_id > spans.start_event_id)
        group by spans.identity, spans.unit, spans.journey
    ),

    followed as (
        select
            begun.*,
            ended.end_event_id,
            coalesce(ended.is_success, false) as is_converted,
            coalesce(ended.ended_at, begun.deadline_at) as ended_at,
            {{ asked_day("coalesce(ended.ended_at, begun.deadline_at)") }} as asked_day
        from begun
        left join
            ended
            on begun.identity = ended.identity
            and begun.unit = ended.unit
            and begun.journey = ended.journey
    ),

    {# All that is the unit's, as far as was known when it ended. #}
    members as (
        select identity, unit, journey, unit as subject, unit as member
        from followed
        where identity <> 'as of'
        union all
        select followed.identity, followed.unit, followed.journey, known_holders.subject, others.identifier
        from followed {{ join_known_then("followed", "unit") }}
        where followed.identity = 'as of'
    ),

    first_successes as (
        select
            identity,
            unit,
            journey,
            min(occurred_at) as succeeded_at,
            {{ first_by("event_id", ["occurred_at", "event_id"]) }} as success_event_id
        from viewed
        where is_success
        group by identity, unit, journey
    ),

    compared as (
        select
            followed.identity,
            followed.unit,
            followed.journey,
            max(members.subject) as subject,
            count(
                case
                    when others.ended_at < followed.ended_at
                    then 1
                    when
                        others.ended_at = followed.ended_at
                        and (
                            others.started_at < followed.started_at
                            or (
                                others.started_at = followed.started_at
                                and (others.start_event_id || others.unit)
                                < (followed.start_event_id || followed.unit)
                            )
                        )
                    then 1
                end
            ) as ended_before,
            count(
                case
                    when
                        first_successes.succeeded_at < followed.started_at
                        or (
                            first_successes.succeeded_at = followed.started_at
                            and first_successes.success_event_id < followed.start_event_id
                        )
                    then 1
                end
            ) as succeeded_before
        from followed
        inner join
            members
            on followed.identity = members.identity
            and followed.unit = members.unit
            and followed.journey = members.journey
        left join
            followed as others
            on members.identity = others.identity
            and members.member = others.unit
            and members.journey = others.journey
        left join
            first_successes
            on members.identity = first_successes.identity
            and members.member = first_successes.unit
            and members.journey = first_successes.journey
        group by followed.identity, followed.unit, followed.journey
    ),

    final as (
        select
            followed.identity,
            followed.journey,
            followed.unit,
            compared.subject,
            followed.started_at,
            followed.start_event_id,
            followed.deadline_at,
            case when followed.is_converted then followed.ended_at end as converted_at,
            case when followed.is_converted then followed.end_event_id end as end_event_id,
            followed.is_converted,
            followed.deadline_at <= coalesce(watched.watched_until_at, followed.started_at) as is_watched
        from followed
        inner join
            compared
            on followed.identity = compared.identity
            and followed.unit = compared.unit
            and followed.journey = compared.journey
        inner join journeys on followed.journey = journeys.journey
        inner join {{ ref("watched_journeys") }} as watched on followed.journey = watched.journey
        where compared.ended_before = 0 and (journeys.is_repeatable or compared.succeeded_before = 0)
    )

select *
from final
