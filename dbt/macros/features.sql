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
    CTEs that end in `held`: who was known to hold each identifier at the start of each of `days`, a relation with
    `snapshot_date`. A device known to be shared by then is nobody's. `scope` keeps rows of `held`.
#}
{% macro held_ctes(days, scope="true") %}
    identifiers as (
        select identifier, component_id, first_available_at
        from {{ source("identity", "identifiers") }}
        where person_id is not null
    ),

    history as (
        select
            history.identifier,
            history.person_id,
            history.known_from,
            coalesce(history.known_to, cast('9999-12-31' as timestamp)) as known_to,
            identifiers.component_id,
            identifiers.first_available_at
        from {{ source("identity", "identifier_history") }} as history
        inner join identifiers on history.identifier = identifiers.identifier
    ),

    {# Whoever holds the anchor keeps the id, so of all that ever held an id the earliest known is its anchor. #}
    ranked_holders as (
        select
            person_id,
            identifier,
            row_number() over (partition by person_id order by first_available_at, identifier) as place
        from history
    ),

    anchors as (select person_id, identifier from ranked_holders where place = 1),

    device_changes as (
        select {{ list_to_rows("identifiers") }} as identifier, changed_on, kind
        from {{ source("identity", "changes") }}
        where kind in ('new_shared_device', 'shared_device_ended')
    ),

    followed_devices as (
        select
            identifier,
            kind,
            changed_on as shared_from,
            lead(changed_on, 1, cast('9999-12-31' as date)) over (
                partition by identifier order by changed_on
            ) as shared_to
        from device_changes
    ),

    shared_devices as (
        select identifier, shared_from, shared_to from followed_devices where kind = 'new_shared_device'
    ),

    known_days as (select snapshot_date, {{ day_start_utc("snapshot_date") }} as known_at from {{ days }}),

    held as (
        select known_days.snapshot_date, history.identifier, history.person_id, history.component_id
        from history
        inner join
            known_days on history.known_from <= known_days.known_at and history.known_to > known_days.known_at
        left join
            shared_devices
            on history.identifier = shared_devices.identifier
            and shared_devices.shared_from < known_days.snapshot_date
            and shared_devices.shared_to >= known_days.snapshot_date
        where shared_devices.identifier is null and {{ scope }}
    )
{% endmacro %}


{# CTEs that follow `held_ctes` and end in `features`: one row per snapshot and person seen in the days before. #}
{% macro feature_ctes() %}
    {% set events = feature_events() %}
    {% set never = feature_days() + 1 %}
    {% set sums = ["visit_count", "use_visit_count", "evening_visit_count"] %}
    {% for kind in device_kinds() %} {% do sums.append(kind ~ "_visit_count") %} {% endfor %}
    {% set sums = sums + [
        "own_event_count",
        "touch_count",
        "milestone_count",
        "friction_count",
        "help_contact_count",
    ] %}
    {% for name in events %} {% do sums.append(name ~ "_count") %} {% endfor %}
    days_of_persons as (
        select
            held.snapshot_date,
            held.person_id,
            {{ days_between("activity.local_day", "held.snapshot_date") }} as age,
            {% for name in sums %}
                sum(activity.{{ name }}) as {{ name }}{{ "," if not loop.last }}
            {% endfor %}
        from held
        inner join
            {{ ref("daily_activity") }} as activity
            on held.identifier = activity.identifier
            and activity.known_day < held.snapshot_date
            and activity.local_day >= {{ days_before("held.snapshot_date", feature_days()) }}
        group by 1, 2, 3
    ),

    recent as (
        select
            snapshot_date,
            person_id,
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
            count(case when age <= 28 then 1 end) as active_day_count_28d,
            count(*) as active_day_count_91d,
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
        from days_of_persons
        group by snapshot_date, person_id
    ),

    {# What has no place in a sum of days: the first and the latest that any identifier tells. #}
    known_facts as (
        select
            held.snapshot_date,
            held.person_id,
            min(facts.first_seen_day) as first_seen_day,
            {{ value_at_first("facts.first_channel", ["facts.first_visit_at", "held.identifier"]) }}
            as first_channel,
            {{ value_at_last("facts.country", ["facts.country_told_day", "held.identifier"]) }} as country,
            max(case when {{ has_prefix("held.identifier", "device_id:") }} then 0 else 1 end) as has_login,
            max(facts.has_account) as has_account
        from held
        inner join
            {{ ref("identifier_facts") }} as facts
            on held.identifier = facts.identifier
            and facts.known_from_day <= held.snapshot_date
            and facts.known_to_day > held.snapshot_date
        group by 1, 2
    ),

    features as (
        select
            recent.snapshot_date,
            recent.person_id,
            anchors.identifier,
            identifiers.component_id,
            {{ days_between("known_facts.first_seen_day", "recent.snapshot_date") }} as days_since_first_seen,
            recent.days_since_last_seen,
            cast(recent.visit_count_7d as bigint) as visit_count_7d,
            cast(recent.visit_count_8_14d as bigint) as visit_count_8_14d,
            cast(recent.visit_count_28d as bigint) as visit_count_28d,
            cast(recent.use_visit_count_7d as bigint) as use_visit_count_7d,
            cast(recent.use_visit_count_8_14d as bigint) as use_visit_count_8_14d,
            cast(recent.use_visit_count_28d as bigint) as use_visit_count_28d,
            cast(least(recent.use_visit_count_7d, 2) as bigint) as use_level_7d,
            cast(least(recent.use_visit_count_8_14d, 2) as bigint) as use_level_8_14d,
            recent.active_day_count_28d,
            recent.active_day_count_91d,
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
        inner join anchors on recent.person_id = anchors.person_id
        inner join identifiers on anchors.identifier = identifiers.identifier
        inner join
            known_facts
            on recent.snapshot_date = known_facts.snapshot_date
            and recent.person_id = known_facts.person_id
    )
{% endmacro %}


{# CTEs that follow `held_ctes`: how often the persons of `wanted` had done each thing by each snapshot. #}
{% macro profile_ctes(wanted) %}
    profiles as (
        select
            held.snapshot_date,
            held.person_id,
            held.component_id,
            actions.block,
            actions.action,
            cast(sum(actions.action_count) as bigint) as action_count
        from held
        inner join
            {{ wanted }} as wanted
            on held.snapshot_date = wanted.snapshot_date
            and held.person_id = wanted.person_id
        inner join
            {{ ref("action_counts") }} as actions
            on held.identifier = actions.identifier
            and actions.known_from_day <= held.snapshot_date
        group by 1, 2, 3, 4, 5
    )
{% endmacro %}
