{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{#
    Where each attempt starts and by which event it ends, whatever the as-of day: `attempts` reads off the
    status. Rules:
    - events of one person are taken in the order of time, then of event id;
    - an attempt starts at a start event while none is open; start events inside it belong to it;
    - it ends at the first success or failure after its start and before its deadline, which is the start plus
      the window; a failure and a success never tie, as every event has its place in the order;
    - after the end the next start event opens the next attempt, and the event that ended one may open it;
    - a journey that is not repeatable has one attempt: the first start, if no success came before it.
#}
with recursive
    journeys as (select * from {{ ref("journeys") }}),

    marked as (
        select
            events.component_id,
            events.person_id,
            roles.journey,
            events.event_id,
            events.occurred_at,
            roles.is_start,
            roles.is_success,
            roles.is_failure,
            row_number() over in_order as position,
            lag(roles.is_start or not roles.is_success) over in_order as is_news
        from {{ ref("customer_events") }} as events
        inner join {{ ref("journey_roles") }} as roles on {{ is_named_event("events", "roles") }}
        where
            events.person_id is not null
            and events.traffic_class in ('human', 'unknown')
            and {{ in_affected_component("events.component_id") }}
        window
            in_order as (
                partition by events.person_id, roles.journey order by events.occurred_at, events.event_id
            )
    ),

    {# Most rows are successes after another success; they end no attempt and say nothing new. #}
    telling as (select * from marked where is_start or is_news is null or is_news),

    looking_ahead as (
        select
            {{ all_but(["is_news"]) }},
            min(case when is_success or is_failure then position end) over (
                partition by person_id, journey
                order by position
                rows between 1 following and unbounded following
            ) as end_position,
            min(case when is_start then position end) over (
                partition by person_id, journey
                order by position
                rows between current row and unbounded following
            ) as start_position_from_here,
            count(case when is_success then 1 end) over (
                partition by person_id, journey
                order by position
                rows between unbounded preceding and 1 preceding
            ) as successes_before
        from telling
    ),

    starts as (
        select
            looking_ahead.*,
            journeys.is_repeatable,
            {{ plus_days("looking_ahead.occurred_at", "journeys.window_days") }} as deadline_at,
            row_number() over (
                partition by looking_ahead.person_id, looking_ahead.journey order by looking_ahead.position
            ) as start_number
        from looking_ahead
        inner join journeys on looking_ahead.journey = journeys.journey
        where looking_ahead.is_start and (journeys.is_repeatable or looking_ahead.successes_before = 0)
    ),

    {# Of a journey taken once only the first start matters. #}
    candidates as (select * from starts where is_repeatable or start_number = 1),

    ended as (
        select
            {{ all_but(["is_start", "is_success", "is_failure"], "candidates") }},
            ends.event_id as end_event_id,
            ends.occurred_at as outcome_at,
            case when ends.is_success then 'converted' when ends.is_failure then 'lost' end as outcome,
            case when ends.event_id is null then candidates.deadline_at end as passed_at,
            ends.start_position_from_here as next_after_outcome
        from candidates
        left join
            looking_ahead as ends
            on candidates.person_id = ends.person_id
            and candidates.journey = ends.journey
            and candidates.end_position = ends.position
            and ends.occurred_at < candidates.deadline_at
    ),

    {# After a window that passed, the first start at its deadline or later. #}
    later_starts as (select person_id, journey, position, occurred_at from candidates where is_repeatable),

    followed as (
        select ended.*, coalesce(ended.next_after_outcome, later.position) as next_position
        from
            ended
            {{
                asof_next_join(
                    "later_starts", "later", ["person_id", "journey"], "ended", "passed_at", "occurred_at"
                )
            }}
    ),

    {# From the first start of each person and journey, step from attempt to attempt. #}
    walked as (
        select person_id, journey, position, next_position
        from followed
        where start_number = 1
        union all
        select followed.person_id, followed.journey, followed.position, followed.next_position
        from walked
        inner join
            followed
            on walked.person_id = followed.person_id
            and walked.journey = followed.journey
            and walked.next_position = followed.position
    ),

    final as (
        select
            md5(followed.journey || '|' || followed.event_id) as attempt_id,
            followed.component_id,
            followed.person_id,
            followed.journey,
            followed.event_id as start_event_id,
            followed.occurred_at as started_at,
            followed.deadline_at,
            followed.outcome,
            followed.outcome_at,
            followed.end_event_id
        from followed
        inner join
            walked
            on followed.person_id = walked.person_id
            and followed.journey = walked.journey
            and followed.position = walked.position
    )

select *
from final
