{#
    What people do in the first 24 hours of an attempt, and how many of those who did it converted, against those who
    did not. Four rules keep the comparison fair, though it stays one of associations:
    - only attempts that had not ended within the 24 hours count: who converts at once has no time to do things, and
      time that one must survive to act would be credited to the action (immortal time);
    - only attempts whose window has closed count: of younger ones only the quick have converted;
    - each person counts once, by the first of such attempts at the journey;
    - neither the start counts as an action, nor what ends the journey or tells of an outcome.
    Beside it stands what everybody does in these hours, by each person's first attempt, however soon it ended.
#}
{# An action after which everybody converted is one that converting brings about. #}
{% set may_be_aha = "q_value < 0.05 and lift > 1 and converted_with < people_with" %}

with
    attempts as (
        select
            attempt_id,
            journey,
            person_id,
            started_at,
            status,
            coalesce(ended_at <= {{ plus_days("started_at", 1) }}, false) as is_over,
            status <> 'open'
            and deadline_at <= watched_until_at
            and ended_at > {{ plus_days("started_at", 1) }} as may_be_compared
        from {{ ref("attempts") }}
        where {{ plus_days("started_at", 1) }} <= watched_until_at
    ),

    placed_attempts as (
        select
            *,
            row_number() over in_order = 1 as is_first,
            may_be_compared
            and count(case when may_be_compared then 1 end) over (in_order rows unbounded preceding)
            = 1 as is_compared
        from attempts
        window in_order as (partition by person_id, journey order by started_at, attempt_id)
    ),

    cohort as (select * from placed_attempts where is_first or is_compared),

    spans as (select attempt_id, start_event_id from {{ ref("attempt_spans") }}),

    outcomes as (
        select distinct journey, event from {{ ref("journey_roles") }} where is_success or is_failure
    ),

    touches as (
        select
            cohort.attempt_id,
            cohort.journey,
            cohort.status,
            cohort.is_first,
            cohort.is_compared,
            touches.event_id
        from {{ ref("attempt_events") }} as touches
        inner join cohort on touches.attempt_id = cohort.attempt_id
        inner join spans on touches.attempt_id = spans.attempt_id
        where
            touches.occurred_at < {{ plus_days("cohort.started_at", 1) }}
            and touches.event_id <> spans.start_event_id
            and touches.kind in ('touch', 'milestone', 'friction')
    ),

    events as (
        select event_id, event, channel, url, properties
        from {{ ref("customer_events") }}
        where
            event_id in (select event_id from touches)
            and event not in ({{ quoted(events_after_outcomes()) }})
    ),

    details as (select * from {{ ref("action_details") }}),

    named as (
        select
            events.event_id,
            events.event,
            case
                when details.property = 'url'
                then coalesce({{ url_first_path_part("events.url") }}, 'home')
                when details.property = 'channel'
                then events.channel
                when details.property is not null
                then {{ json_value("events.properties", "details.property") }}
            end as detail
        from events
        left join details on events.event = details.event
    ),

    done as (
        select distinct
            touches.journey,
            touches.attempt_id,
            touches.status,
            touches.is_first,
            touches.is_compared,
            named.event,
            named.detail
        from touches
        inner join named on touches.event_id = named.event_id
        left join outcomes on touches.journey = outcomes.journey and named.event = outcomes.event
        where outcomes.event is null
    ),

    done_by as (
        select
            journey,
            event,
            detail,
            count(case when is_compared then 1 end) as people_with,
            count(case when is_compared and status = 'converted' then 1 end) as converted_with,
            count(case when is_first then 1 end) as done_count
        from done
        group by journey, event, detail
    ),

    {# The page that thanks a customer tells of the outcome. #}
    actions as (
        select
            done_by.journey,
            done_by.event || coalesce(': ' || done_by.detail, '') as action,
            done_by.people_with,
            done_by.converted_with,
            done_by.done_count
        from done_by
        left join details on done_by.event = details.event
        where not coalesce({{ matches("done_by.detail", "details.left_out") }}, false)
    ),

    everybody as (
        select
            journey,
            count(case when is_compared then 1 end) as people,
            count(case when is_compared and status = 'converted' then 1 end) as converted,
            count(case when is_first then 1 end) as started_count,
            count(case when is_first and status = 'converted' then 1 end) as converted_count,
            count(case when is_first and status = 'converted' and is_over then 1 end) as early_converted_count
        from cohort
        group by journey
    ),

    counted as (
        select
            actions.*,
            everybody.people,
            everybody.converted,
            everybody.started_count,
            everybody.converted_count,
            everybody.early_converted_count,
            everybody.people - actions.people_with as people_without,
            everybody.converted - actions.converted_with as converted_without
        from actions
        inner join everybody on actions.journey = everybody.journey
    ),

    rated as (
        select
            *,
            converted_with / cast(nullif(people_with, 0) as double) as rate_with,
            converted_without / cast(nullif(people_without, 0) as double) as rate_without,
            people_with >= {{ var("lens_min_people") }}
            and people_without >= {{ var("lens_min_people") }} as is_comparable,
            {# Katz and others (1978): the logarithm of a ratio of shares is nearly normal. #}
            sqrt(
                1.0 / nullif(converted_with, 0)
                - 1.0 / nullif(people_with, 0)
                + 1.0 / nullif(converted_without, 0)
                - 1.0 / nullif(people_without, 0)
            ) as log_error
        from counted
    ),

    measured as (
        select
            *,
            rate_with / nullif(rate_without, 0) as lift,
            {{ yates_z("converted_with", "people_with", "converted_without", "people_without") }} as z
        from rated
    ),

    tested as (
        select *, case when is_comparable then {{ two_sided_p_value("z") }} end as p_value from measured
    ),

    {{ false_discovery_ctes("tested", ["journey"], ["action"]) }},

    placed as (
        select
            *,
            row_number() over (
                partition by journey
                order by case when {{ may_be_aha }} then 0 else 1 end, lift desc nulls last, action
            ) as place
        from discovered
    ),

    final as (
        select
            journey,
            action,
            people_with as customer_count,
            round(people_with / cast(nullif(people, 0) as double), 6) as rate,
            round(rate_with, 6) as conversion_rate,
            round(rate_without, 6) as conversion_rate_without,
            round(lift, 6) as lift,
            round(exp(ln(nullif(lift, 0)) - {{ z95() }} * log_error), 6) as lift_low,
            round(exp(ln(nullif(lift, 0)) + {{ z95() }} * log_error), 6) as lift_high,
            round(q_value, 6) as q_value,
            coalesce({{ may_be_aha }} and place = 1, false) as is_aha,
            done_count,
            round(done_count / cast(started_count as double), 6) as done_rate,
            started_count,
            converted_count,
            early_converted_count,
            case
                when converted = 0 and early_converted_count > 0
                then
                    'It cannot be judged: '
                    || cast(early_converted_count as varchar)
                    || ' of '
                    || cast(converted_count as varchar)
                    || ' conversions come within the first 24 hours, and '
                    || case
                        when people = 0
                        then 'nobody is left to compare.'
                        else 'of the ' || cast(people as varchar) || ' people compared nobody converted.'
                    end
                when not is_comparable
                then
                    'Too few to compare: '
                    || cast(people_with as varchar)
                    || ' did it and '
                    || cast(people_without as varchar)
                    || ' did not.'
                else
                    'An association, not an effect: who does this may differ from who does not in much else.'
                    || case
                        when converted_with = people_with
                        then ' All who did it converted: it may be seen only of people who do.'
                        else ''
                    end
            end as warning
        from placed
    )

select *
from final
