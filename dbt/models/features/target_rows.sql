{#
    Who is asked about at which snapshot, and what became of them. In question is whose latest entry, as known then,
    is recent enough and was followed by no exit. The label asks for an outcome of whoever the identifiers they then
    held belong to today: somebody then anonymous is labelled by what they became.
#}
with
    targets as (select * from {{ ref("prediction_targets") }}),

    known_range as (select min(known_day) as first_day from {{ ref("daily_activity") }}),

    days as (
        select {{ mondays_to_rows("first_day", open_day(as_of())) }} as snapshot_date, false as is_tonight
        from known_range
        union all
        select {{ tonight() }}, true
    ),

    {{ holder_ctes() }},

    events as (
        select
            events.target,
            events.role,
            events.occurred_at,
            events.local_day,
            holders.person_number,
            greatest({{ next_day("events.known_day") }}, holders.from_day) as from_day,
            holders.until_day
        from {{ ref("target_events") }} as events
        inner join holders on events.identifier = holders.identifier
    ),

    entered as (
        select
            entries.target,
            days.snapshot_date,
            days.is_tonight,
            entries.person_number,
            max(entries.occurred_at) as entered_at
        from events as entries
        inner join targets on entries.target = targets.target
        inner join
            days
            on entries.from_day <= days.snapshot_date
            and entries.until_day > days.snapshot_date
            and entries.local_day >= {{ days_before("days.snapshot_date", "targets.entry_window_days") }}
        where entries.role = 'entry'
        group by 1, 2, 3, 4
    ),

    out_again as (
        select distinct entered.target, entered.snapshot_date, entered.is_tonight, entered.person_number
        from entered
        inner join
            events as exits
            on entered.target = exits.target
            and entered.person_number = exits.person_number
            and entered.entered_at <= exits.occurred_at
            and entered.snapshot_date >= exits.from_day
            and entered.snapshot_date < exits.until_day
        where exits.role = 'exit'
    ),

    asked as (
        select
            entered.*,
            {# A day more than the horizon, for exports that are a day late. #}
            {{ days_after("entered.snapshot_date", "targets.horizon_days + 1") }}
            <= {{ open_day(as_of()) }} as is_label_complete
        from entered
        inner join targets on entered.target = targets.target
        left join
            out_again
            on entered.target = out_again.target
            and entered.snapshot_date = out_again.snapshot_date
            and entered.is_tonight = out_again.is_tonight
            and entered.person_number = out_again.person_number
        where out_again.person_number is null
    ),

    owners as (
        select identifier, person_id from {{ source("identity", "identifiers") }} where person_id is not null
    ),

    {# Everything that whoever reached the target holds today. #}
    reached as (
        select distinct events.target, events.local_day, today.identifier
        from {{ ref("target_events") }} as events
        inner join owners on events.identifier = owners.identifier
        inner join owners as today on owners.person_id = today.person_id
        where events.role = 'outcome'
    ),

    positives as (
        select distinct asked.target, asked.snapshot_date, asked.is_tonight, asked.person_number
        from reached
        inner join targets on reached.target = targets.target
        inner join holders on reached.identifier = holders.identifier
        inner join
            asked
            on reached.target = asked.target
            and holders.person_number = asked.person_number
            and holders.from_day <= asked.snapshot_date
            and holders.until_day > asked.snapshot_date
            and reached.local_day >= asked.snapshot_date
            and reached.local_day < {{ days_after("asked.snapshot_date", "targets.horizon_days") }}
        where asked.is_label_complete
    ),

    final as (
        select
            asked.target,
            asked.snapshot_date,
            persons.person_id,
            persons.identifier,
            asked.is_tonight,
            asked.entered_at,
            {{ days_between(local_day("asked.entered_at"), "asked.snapshot_date") }} as days_since_entry,
            asked.is_label_complete,
            case when asked.is_label_complete then positives.person_number is not null end as label
        from asked
        inner join persons on asked.person_number = persons.person_number
        left join
            positives
            on asked.target = positives.target
            and asked.snapshot_date = positives.snapshot_date
            and asked.is_tonight = positives.is_tonight
            and asked.person_number = positives.person_number
    )

select *
from final
