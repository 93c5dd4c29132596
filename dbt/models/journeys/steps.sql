{{ config(materialized="incremental", incremental_strategy="replace_affected") }}

{#
    Touches of one touchpoint in a row, at one stage, are one step. What was hard about a step stands in
    `friction_signals`, by rules; what the journey itself names (its stages, start and end) is none of it:
    - error: an event of kind friction;
    - rage: the third error of one name within a minute;
    - backtrack: an event of an earlier stage, or an earlier step of a form or flow than one before;
    - repeat: the touchpoint was met before at this stage, with another since; an outcome and what follows from one,
      such as the next month's payment, is no coming back, and nobody waits for it;
    - negative message: words in a bad mood (compound -0.05 or less, the usual bound; Hutto and Gilbert 2014) or a
      rating of a quarter or less;
    - support contact: the next thing done was to ask for help, within a day.
#}
with
    touches as (select * from {{ ref("attempt_events") }} where {{ in_affected_component() }}),

    named_events as (
        select journey, event
        from {{ ref("stage_events") }}
        union
        select journey, event
        from {{ ref("journey_roles") }}
    ),

    judged as (
        select
            touches.*,
            touches.kind = 'friction' and named_events.event is null and not touches.is_end as is_error,
            coalesce(touches.kind, 'touch') not in ('outcome', 'system')
            and not touches.is_end
            and touches.event not in ({{ quoted(events_after_outcomes()) }}) as is_deed,
            touches.event in ({{ quoted(help_events()) }}) and named_events.event is null as is_contact,
            coalesce(signals.compound <= -0.05, touches.rating <= 0.25, false) as is_negative
        from touches
        left join
            named_events on touches.journey = named_events.journey and touches.event = named_events.event
        left join {{ source("timeline", "message_signals") }} as signals on touches.text_id = signals.text_id
    ),

    {# Only what can be the like of another is compared with others of its name. #}
    flagged as (
        select
            attempt_id,
            event_id,
            is_error
            and {{ seconds_between("lag(occurred_at, 2) over same_event", "occurred_at") }} <= 60 as is_rage,
            form_step < max(form_step) over (
                partition by attempt_id, event
                order by occurred_at, event_id
                rows between unbounded preceding and 1 preceding
            ) as is_step_back
        from judged
        where is_error or form_step is not null
        window same_event as (partition by attempt_id, event order by occurred_at, event_id)
    ),

    compared as (
        select
            judged.*,
            flagged.is_rage,
            judged.event_stage < judged.stage_order or flagged.is_step_back as is_backtrack,
            lag(judged.touchpoint) over in_order as previous_touchpoint,
            lag(judged.stage_order) over in_order as previous_stage_order
        from judged
        left join flagged on judged.attempt_id = flagged.attempt_id and judged.event_id = flagged.event_id
        window in_order as (partition by judged.attempt_id order by judged.occurred_at, judged.event_id)
    ),

    numbered as (
        select
            *,
            cast(
                sum(
                    case
                        when previous_touchpoint = touchpoint and previous_stage_order = stage_order
                        then 0
                        else 1
                    end
                ) over (partition by attempt_id order by occurred_at, event_id rows unbounded preceding)
                as integer
            ) as step_number
        from compared
    ),

    steps as (
        select
            component_id,
            attempt_id,
            journey,
            step_number,
            stage_order,
            touchpoint,
            min(occurred_at) as entered_at,
            max(occurred_at) as last_touched_at,
            count(*) as touch_count,
            bool_or(kind = 'friction') as is_friction,
            bool_or(previous_touchpoint is distinct from touchpoint) as is_visit,
            case
                when bool_and(coalesce(kind, 'touch') = 'system')
                then 'company'
                when bool_and(is_end or coalesce(kind, 'touch') = 'system')
                then 'end'
                else 'touch'
            end as step_kind,
            bool_or(is_deed) as is_deed,
            bool_or(is_error) as has_error,
            coalesce(bool_or(is_rage), false) as has_rage,
            coalesce(bool_or(is_backtrack and not is_end), false) as has_backtrack,
            bool_or(is_negative and not is_end) as has_negative_message,
            bool_or(is_contact) as has_contact
        from numbered
        group by component_id, attempt_id, journey, step_number, stage_order, touchpoint
    ),

    followed as (
        select
            *,
            coalesce(lead(entered_at) over in_order, last_touched_at) as left_at,
            lag(stage_order) over in_order as previous_stage_order,
            lag(touchpoint) over in_order as previous_touchpoint,
            lag(entered_at) over in_order as previous_entered_at,
            max(case when is_visit then entered_at end) over (
                in_order rows between unbounded preceding and 1 preceding
            ) as previous_visited_at,
            lead(step_number) over in_order is null as is_last,
            {# What the company did alone is nobody's step before or after. #}
            {{ seconds_between("lag(last_touched_at) over own", "entered_at") }} / 3600 as waited_hours,
            row_number() over (
                partition by attempt_id, step_kind = 'company', stage_order, touchpoint order by step_number
            )
            > 1
            and (
                lag(touchpoint) over own <> touchpoint or lag(stage_order) over own <> stage_order
            ) as is_return,
            lead(has_contact) over own
            and not has_contact
            and {{ seconds_between("last_touched_at", "lead(entered_at) over own") }}
            <= 86400 as is_followed_by_contact
        from steps
        window
            in_order as (partition by attempt_id order by step_number),
            own as (partition by attempt_id, step_kind = 'company' order by step_number)
    ),

    final as (
        select
            component_id,
            attempt_id,
            journey,
            step_number,
            stage_order,
            touchpoint,
            entered_at,
            left_at,
            last_touched_at,
            touch_count,
            is_friction,
            is_visit,
            is_last,
            previous_stage_order,
            previous_touchpoint,
            previous_entered_at,
            previous_visited_at,
            step_kind,
            case when is_deed then waited_hours end as waited_hours,
            nullif(
                concat_ws(
                    '|',
                    case when has_error then 'error' end,
                    case when has_rage then 'rage' end,
                    case when has_backtrack then 'backtrack' end,
                    case when is_return and is_deed then 'repeat' end,
                    case when has_negative_message then 'negative message' end,
                    case when is_followed_by_contact and step_kind = 'touch' then 'support contact' end
                ),
                ''
            ) as friction_signals
        from followed
    )

select *
from final
