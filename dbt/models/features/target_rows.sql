{#
    Who is asked about at which snapshot, and what became of them. In question is whose latest entry, as known then,
    is recent enough and was followed by no exit. The label asks for an outcome of whoever the identifiers they then
    held belong to today: somebody then anonymous is labelled by what they became.
#}
with
    targets as (select * from {{ ref("prediction_targets") }}),

    events as (select * from {{ ref("target_events") }}),

    known_range as (select min(known_day) as first_day from {{ ref("daily_activity") }}),

    snapshots as (
        select {{ mondays_to_rows("first_day", open_day(as_of())) }} as snapshot_date, false as is_tonight
        from known_range
        union all
        select {{ tonight() }}, true
    ),

    days as (select distinct snapshot_date from snapshots),

    {{ held_ctes("days") }},

    asked as (
        select
            held.snapshot_date,
            held.person_id,
            events.target,
            max(case when events.role = 'entry' then events.occurred_at end) as entered_at,
            max(case when events.role = 'exit' then events.occurred_at end) as left_at
        from held
        inner join
            events
            on held.identifier = events.identifier
            and events.known_day < held.snapshot_date
            and events.role in ('entry', 'exit')
        group by held.snapshot_date, held.person_id, events.target
    ),

    in_question as (
        select asked.*, {{ local_day("asked.entered_at") }} as entered_day, targets.horizon_days
        from asked
        inner join targets on asked.target = targets.target
        where
            asked.entered_at is not null
            and (asked.left_at is null or asked.entered_at > asked.left_at)
            and {{ local_day("asked.entered_at") }}
            >= {{ days_before("asked.snapshot_date", "targets.entry_window_days") }}
    ),

    {# Everything that whoever reached the target holds today, and whose it was at the snapshot. #}
    reached as (
        select distinct events.target, owners.person_id, events.local_day
        from events
        inner join {{ source("identity", "identifiers") }} as owners on events.identifier = owners.identifier
        where events.role = 'outcome' and owners.person_id is not null
    ),

    positives as (
        select distinct reached.target, held.snapshot_date, held.person_id
        from reached
        inner join targets on reached.target = targets.target
        inner join {{ source("identity", "identifiers") }} as today on reached.person_id = today.person_id
        inner join
            held
            on today.identifier = held.identifier
            and reached.local_day >= held.snapshot_date
            and reached.local_day < {{ days_after("held.snapshot_date", "targets.horizon_days") }}
    ),

    final as (
        select
            in_question.target,
            in_question.snapshot_date,
            in_question.person_id,
            anchors.identifier,
            snapshots.is_tonight,
            in_question.entered_at,
            {{ days_between("in_question.entered_day", "in_question.snapshot_date") }} as days_since_entry,
            {# A day more than the horizon, for exports that are a day late. #}
            {{ days_after("in_question.snapshot_date", "in_question.horizon_days + 1") }}
            <= {{ open_day(as_of()) }} as is_label_complete,
            case
                when
                    {{ days_after("in_question.snapshot_date", "in_question.horizon_days + 1") }}
                    <= {{ open_day(as_of()) }}
                then positives.person_id is not null
            end as label
        from in_question
        inner join snapshots on in_question.snapshot_date = snapshots.snapshot_date
        inner join anchors on in_question.person_id = anchors.person_id
        left join
            positives
            on in_question.target = positives.target
            and in_question.snapshot_date = positives.snapshot_date
            and in_question.person_id = positives.person_id
    )

select *
from final
