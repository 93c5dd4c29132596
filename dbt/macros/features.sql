{# What features and journey types are made of. #}
{# Days before a snapshot that count; what happened earlier does not, save when somebody was first seen. #}
{% macro feature_days() %} {{ return(91) }} {% endmacro %}


{#
    The features that count one kind of event, and the canonical events each counts. None may be an outcome, or
    happen only because of one.
#}
{% macro feature_events() %}
    {{
        return(
            {
                "profile_completed": ["profile_completed"],
                "project_created": ["project_created"],
                "plan_imported": ["plan_imported", "tutorial_completed"],
                "feature_used": ["feature_used", "screen_viewed"],
                "teammate_invited": ["teammate_invited"],
                "onboarding_call": ["onboarding_call"],
                "webinar_attended": ["webinar_attended"],
                "sales_contact": ["sales_call", "deal_created", "deal_stage_changed", "lead_generated"],
                "pricing_viewed": ["pricing_viewed"],
                "checkout_started": ["checkout_started"],
                "checkout_trouble": ["form_error", "payment_failed"],
                "email_opened": ["email_opened"],
                "email_clicked": ["email_clicked"],
            }
        )
    }}
{% endmacro %}


{# Asking for help. #}
{% macro help_events() %}
    {{
        return(
            [
                "ticket_opened",
                "chat_started",
                "support_call",
                "billing_call",
                "cancellation_call",
                "other_call",
            ]
        )
    }}
{% endmacro %}


{# What says that a request for help is answered for good. #}
{% macro solving_events() %} {{ return(["ticket_solved", "call_resolved", "chat_ended"]) }} {% endmacro %}


{# Events that are no outcome themselves and happen only because of one: they tell of it as it would. #}
{% macro events_after_outcomes() %}
    {{
        return(
            [
                "invoice_paid",
                "invoice_paid_once",
                "plan_changed",
                "deal_won",
                "charge_refunded",
                "order_refunded",
                "return_requested",
                "return_approved",
                "return_rejected",
                "coupon_redeemed",
            ]
        )
    }}
{% endmacro %}


{% macro device_kinds() %} {{ return(["app", "desktop", "mobile", "tablet"]) }} {% endmacro %}


{# Texts as a list for `in`. #}
{% macro quoted(values) %} '{{ values | join("', '") }}' {% endmacro %}


{# The first local day that is not over, or not known to the end, at an instant. #}
{% macro open_day(instant) %} cast({{ local_time(plus_microsecond(instant)) }} as date) {% endmacro %}


{# The day for which people are scored: the local day after the as-of's own. #}
{% macro tonight() %} {{ next_day(local_day(as_of())) }} {% endmacro %}


{% macro local_day(instant) %} cast({{ local_time(instant) }} as date) {% endmacro %}


{#
    CTEs that end in `holders`: who was known to hold an identifier at the snapshots from one day until another. What
    became known on a day counts from its end, so from the snapshot of the next day on. A device known to be shared is
    nobody's. Persons have a number of their own here, by which rows are joined and counted quickest.
#}
{% macro holder_ctes() %}
    identifiers as (
        select identifier, component_id, first_available_at
        from {{ source("identity", "identifiers") }}
        where person_id is not null
    ),

    history as (
        select
            history.identifier,
            history.person_id,
            identifiers.component_id,
            identifiers.first_available_at,
            {{ next_day(local_day("history.known_from")) }} as from_day,
            case
                when history.known_to is null
                then cast('9999-12-31' as date)
                else {{ next_day(local_day("history.known_to")) }}
            end as until_day
        from {{ source("identity", "identifier_history") }} as history
        inner join identifiers on history.identifier = identifiers.identifier
    ),

    {# Whoever holds the anchor keeps the id, so of all that ever held an id the earliest known is its anchor. #}
    ranked_holders as (
        select
            person_id,
            identifier,
            component_id,
            row_number() over (partition by person_id order by first_available_at, identifier) as place
        from history
    ),

    persons as (
        select person_id, identifier, component_id, row_number() over (order by person_id) as person_number
        from ranked_holders
        where place = 1
    ),

    device_changes as (
        select {{ list_to_rows("identifiers") }} as identifier, kind, {{ next_day("changed_on") }} as from_day
        from {{ source("identity", "changes") }}
        where kind in ('new_shared_device', 'shared_device_ended')
    ),

    {# Of devices that were ever shared, the times in which they were not. #}
    unshared as (
        select identifier, cast('1900-01-01' as date) as from_day, min(from_day) as until_day
        from device_changes
        group by identifier
        union all
        select identifier, from_day, until_day
        from
            (
                select
                    identifier,
                    kind,
                    from_day,
                    lead(from_day, 1, cast('9999-12-31' as date)) over (
                        partition by identifier order by from_day
                    ) as until_day
                from device_changes
            ) as followed
        where kind = 'shared_device_ended'
    ),

    holders as (
        select
            history.identifier,
            history.component_id,
            persons.person_number,
            greatest(history.from_day, coalesce(unshared.from_day, history.from_day)) as from_day,
            least(history.until_day, coalesce(unshared.until_day, history.until_day)) as until_day
        from history
        inner join persons on history.person_id = persons.person_id
        left join
            unshared
            on history.identifier = unshared.identifier
            and unshared.from_day < history.until_day
            and unshared.until_day > history.from_day
        where
            unshared.identifier is not null
            or history.identifier not in (select identifier from device_changes)
    )
{% endmacro %}


{# Keeps weekly snapshots to what this night writes: components it touches, and the weeks since the last night. #}
{% macro in_affected_week(component, snapshot_date) %}
    {% set affected = ref("affected_components") %}
    {% if is_incremental() %}
        (
            {{ component }} in (select component_id from {{ affected }})
            or {{ snapshot_date }} > {{ open_day("cast('" ~ var("previous_as_of") ~ "' as timestamp)") }}
        )
    {% else %} true
    {% endif %}
{% endmacro %}


{#
    CTEs that follow `holder_ctes` and end in `features`: one row for each of `days`, a relation with `snapshot_date`,
    and each person seen in the days before. `scope` keeps rows of `days` and `holders`.
#}
{% macro feature_ctes(days, scope="true") %}
    {% set events = feature_events() %}
    {% set never = feature_days() + 1 %}
    cells as (
        select
            holders.person_number,
            holders.component_id,
            greatest({{ next_day("activity.known_day") }}, holders.from_day) as from_day,
            least({{ days_after("activity.local_day", feature_days() + 1) }}, holders.until_day) as until_day,
            {{ all_but(["component_id", "identifier", "known_day"], "activity") }}
        from {{ ref("daily_activity") }} as activity
        inner join holders on activity.identifier = holders.identifier
    ),

    aged as (
        select
            days.snapshot_date,
            {{ days_between("cells.local_day", "days.snapshot_date") }} as age,
            {{ all_but(["local_day", "from_day", "until_day", "component_id"], "cells") }}
        from cells as cells
        inner join
            {{ days }} as days
            on cells.from_day <= days.snapshot_date
            and cells.until_day > days.snapshot_date
            and {{ scope.replace("holders.", "cells.") }}
    ),

    recent as (
        select
            snapshot_date,
            person_number,
            min(age) as days_since_last_seen,
            sum(case when age <= 7 then visit_count else 0 end) as visit_count_7d,
            sum(case when age between 8 and 14 then visit_count else 0 end) as visit_count_8_14d,
            sum(case when age <= 28 then visit_count else 0 end) as visit_count_28d,
            sum(visit_count) as visit_count,
            sum(case when age <= 7 then use_visit_count else 0 end) as use_visit_count_7d,
            sum(case when age between 8 and 14 then use_visit_count else 0 end) as use_visit_count_8_14d,
            sum(case when age <= 28 then use_visit_count else 0 end) as use_visit_count_28d,
            sum(evening_visit_count) as evening_visit_count,
            {% for kind in device_kinds() %}
                sum({{ kind }}_visit_count) as {{ kind }}_visit_count,
            {% endfor %}
            {{ distinct_days("age", 1, 28) }} as active_day_count_28d,
            {{ distinct_days("age", 29, feature_days()) }} as active_day_count_before,
            sum(case when age <= 28 then touch_count else 0 end) as touch_count_28d,
            sum(case when age <= 28 then milestone_count else 0 end) as milestone_count_28d,
            sum(case when age <= 28 then friction_count else 0 end) as friction_count_28d,
            sum(case when age <= 7 then help_contact_count else 0 end) as help_contact_count_7d,
            sum(case when age <= 28 then help_contact_count else 0 end) as help_contact_count_28d,
            {% for name in events %}
                sum({{ name }}_count) as {{ name }}_count,
                coalesce(
                    min(case when {{ name }}_count > 0 then age end), {{ never }}
                ) as days_since_{{ name }}
                {{- "," if not loop.last }}
            {% endfor %}
        from aged
        group by snapshot_date, person_number
    ),

    {# What has no place in a sum of days: the first and the latest that any identifier tells. #}
    facts as (
        select
            holders.person_number,
            holders.component_id,
            greatest(facts.from_day, holders.from_day) as from_day,
            least(facts.until_day, holders.until_day) as until_day,
            case when {{ has_prefix("holders.identifier", "device_id:") }} then 0 else 1 end as has_login,
            {{ all_but(["component_id", "from_day", "until_day"], "facts") }}
        from {{ ref("identifier_facts") }} as facts
        inner join holders on facts.identifier = holders.identifier
    ),

    known_facts as (
        select
            days.snapshot_date,
            facts.person_number,
            min(facts.first_seen_day) as first_seen_day,
            {{ value_at_first("facts.first_channel", ["facts.first_visit_at", "facts.identifier"]) }}
            as first_channel,
            {{ value_at_last("facts.country", ["facts.country_told_day", "facts.identifier"]) }} as country,
            max(facts.has_login) as has_login,
            max(facts.has_account) as has_account
        from facts
        inner join
            {{ days }} as days
            on facts.from_day <= days.snapshot_date
            and facts.until_day > days.snapshot_date
            and {{ scope.replace("holders.", "facts.") }}
        group by 1, 2
    ),

    features as (
        select
            recent.snapshot_date,
            persons.person_id,
            persons.identifier,
            persons.component_id,
            {{ days_between("known_facts.first_seen_day", "recent.snapshot_date") }} as days_since_first_seen,
            recent.days_since_last_seen,
            {% for name in [
                "visit_count_7d",
                "visit_count_8_14d",
                "visit_count_28d",
                "use_visit_count_7d",
                "use_visit_count_8_14d",
                "use_visit_count_28d",
            ] %}
                cast(recent.{{ name }} as bigint) as {{ name }},
            {% endfor %}
            cast(least(recent.use_visit_count_7d, 2) as bigint) as use_level_7d,
            cast(least(recent.use_visit_count_8_14d, 2) as bigint) as use_level_8_14d,
            cast(recent.active_day_count_28d as bigint) as active_day_count_28d,
            cast(
                recent.active_day_count_28d + recent.active_day_count_before as bigint
            ) as active_day_count_91d,
            {% for name in [
                "touch_count_28d",
                "milestone_count_28d",
                "friction_count_28d",
                "help_contact_count_7d",
                "help_contact_count_28d",
            ] %}
                cast(recent.{{ name }} as bigint) as {{ name }},
            {% endfor %}
            case
                when recent.visit_count > 0
                then cast(recent.evening_visit_count as double) / recent.visit_count
                else 0.0
            end as evening_share,
            cast(known_facts.has_login as bigint) as has_login,
            cast(known_facts.has_account as bigint) as has_account,
            {% for name in events %}
                cast(recent.{{ name }}_count as bigint) as {{ name }}_count,
                cast(recent.days_since_{{ name }} as bigint) as days_since_{{ name }},
            {% endfor %}
            coalesce(known_facts.first_channel, 'unknown') as first_channel,
            case
                {% for kind in device_kinds() %}
                    when
                        recent.{{ kind }}_visit_count > 0
                        {% for other in device_kinds() if other != kind %}
                            and recent.{{ kind }}_visit_count >= recent.{{ other }}_visit_count
                        {% endfor %}
                    then '{{ kind }}'
                {% endfor %}
                else 'unknown'
            end as device_kind,
            coalesce(known_facts.country, 'unknown') as country
        from recent
        inner join persons on recent.person_number = persons.person_number
        inner join
            known_facts
            on recent.snapshot_date = known_facts.snapshot_date
            and recent.person_number = known_facts.person_number
    )
{% endmacro %}


{#
    CTEs that follow `holder_ctes` and end in `profiles`: how often the persons of `wanted`, a relation with
    `snapshot_date` and `person_number`, had done each thing by then.
#}
{% macro profile_ctes(wanted) %}
    actions as (
        select block, action, row_number() over (order by block, action) as action_number
        from (select distinct block, action from {{ ref("action_counts") }}) as named
    ),

    done as (
        select
            holders.person_number,
            actions.action_number,
            counts.action_count,
            greatest(counts.from_day, holders.from_day) as from_day,
            holders.until_day
        from {{ ref("action_counts") }} as counts
        inner join actions on counts.block = actions.block and counts.action = actions.action
        inner join holders on counts.identifier = holders.identifier
    ),

    summed as (
        select
            wanted.snapshot_date,
            wanted.person_number,
            done.action_number,
            sum(done.action_count) as action_count
        from {{ wanted }} as wanted
        inner join
            done
            on wanted.person_number = done.person_number
            and done.from_day <= wanted.snapshot_date
            and done.until_day > wanted.snapshot_date
        group by 1, 2, 3
    ),

    profiles as (
        select
            summed.snapshot_date,
            persons.person_id,
            persons.identifier,
            persons.component_id,
            actions.block,
            actions.action,
            cast(summed.action_count as bigint) as action_count
        from summed
        inner join persons on summed.person_number = persons.person_number
        inner join actions on summed.action_number = actions.action_number
    )
{% endmacro %}
