{#
    What became of contacts within seven days: asked again (a repeat), opened again, or solved at the first contact.
    Contacts too young to say are in no denominator, and those of nobody known in none of repeats.
#}
{% set days = var("support_repeat_days") %}

with
    contacts as (select * from {{ ref("support_contacts") }}),

    costs as (select * from {{ ref("contact_costs") }}),

    watched as (
        select
            *,
            person_id is not null
            and {{ plus_days("contacted_at", days) }} <= watched_until_at as is_old_enough,
            solved_at is not null
            and channel = 'ticket'
            and {{ plus_days("solved_at", days) }} <= watched_until_at as may_be_reopened,
            coalesce(next_contact_at < {{ plus_days("contacted_at", days) }}, false) as is_repeated,
            coalesce(solved_at < {{ plus_days("contacted_at", days) }}, false) as is_solved,
            coalesce(reopened_at < {{ plus_days("contacted_at", days) }}, false) as is_reopened_early,
            coalesce(reopened_at < {{ plus_days("solved_at", days) }}, false) as is_reopened
        from contacts
    ),

    {% set counts = [
        "contact_count",
        "judged_count",
        "repeat_count",
        "first_contact_count",
        "solved_count",
        "reopen_count",
    ] %}

    weekly as (
        select
            channel,
            week_start_date,
            count(*) as contact_count,
            count(case when is_old_enough then 1 end) as judged_count,
            count(case when is_old_enough and is_repeated then 1 end) as repeat_count,
            count(
                case when is_old_enough and is_solved and not is_repeated and not is_reopened_early then 1 end
            ) as first_contact_count,
            count(case when may_be_reopened then 1 end) as solved_count,
            count(case when may_be_reopened and is_reopened then 1 end) as reopen_count
        from watched
        group by channel, week_start_date
    ),

    summed as (
        select
            channel,
            {{ slice_columns(by_segment=false) }},
            {% for count in counts %}
                cast(sum({{ count }}) as bigint) as {{ count }}{{ "," if not loop.last }}
            {% endfor %}
        from weekly
        group by {{ slice_sets(["channel"], by_segment=false) }}
    ),

    final as (
        select
            'all' as theme,
            summed.channel,
            summed.week,
            summed.week_start_date,
            summed.contact_count,
            summed.judged_count,
            summed.repeat_count,
            round(summed.repeat_count / nullif(summed.judged_count, 0), 6) as repeat_rate,
            round({{ wilson_low("summed.repeat_count", "summed.judged_count") }}, 6) as repeat_low,
            round({{ wilson_high("summed.repeat_count", "summed.judged_count") }}, 6) as repeat_high,
            summed.first_contact_count,
            round(
                summed.first_contact_count / nullif(summed.judged_count, 0), 6
            ) as first_contact_resolution_rate,
            round(
                {{ wilson_low("summed.first_contact_count", "summed.judged_count") }}, 6
            ) as first_contact_resolution_low,
            round(
                {{ wilson_high("summed.first_contact_count", "summed.judged_count") }}, 6
            ) as first_contact_resolution_high,
            summed.solved_count,
            summed.reopen_count,
            round(summed.reopen_count / nullif(summed.solved_count, 0), 6) as reopen_rate,
            round({{ wilson_low("summed.reopen_count", "summed.solved_count") }}, 6) as reopen_low,
            round({{ wilson_high("summed.reopen_count", "summed.solved_count") }}, 6) as reopen_high,
            cast(summed.contact_count * costs.cost_amount as decimal(18, 2)) as cost_amount,
            cast(summed.repeat_count * costs.cost_amount as decimal(18, 2)) as repeat_cost_amount,
            cast(summed.reopen_count * costs.cost_amount as decimal(18, 2)) as reopen_cost_amount,
            costs.currency as cost_currency
        from summed
        left join costs on summed.channel = costs.channel
    )

select *
from final
