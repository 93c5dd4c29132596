with
    lifecycles as (select * from {{ ref("lifecycles") }}),

    {# What each person has answered last; where they have not, what every source that knows them grants by default. #}
    answers as (select distinct consent_subject, purpose, is_granted_now from {{ ref("consent_periods") }}),

    households as (select distinct person_id, household_id from {{ source("identity", "households") }}),

    accounts as ({{ account_of_each_person() }}),

    current_segments as (
        select person_id, segment from {{ source("predictions", "segment_history") }} where valid_to is null
    ),

    final as (
        select
            lifecycles.person_id,
            lifecycles.identity_tier,
            households.household_id,
            accounts.account_key,
            lifecycles.account_id,
            lifecycles.first_seen_at,
            lifecycles.last_seen_at,
            lifecycles.lifecycle_stage,
            coalesce(
                current_segments.segment, case when {{ has_segments() }} then 'unassigned' end
            ) as segment,
            lifecycles.first_bought_at,
            lifecycles.lost_at,
            {% for purpose in consent_purposes() %}
                coalesce(
                    {{ purpose }}.is_granted_now, lifecycles.grants_{{ purpose }}_by_default
                ) as has_{{ purpose }}_consent{{ "," if not loop.last }}
            {% endfor %}
        from lifecycles
        left join households on lifecycles.person_id = households.person_id
        left join accounts on lifecycles.person_id = accounts.person_id
        left join current_segments on lifecycles.person_id = current_segments.person_id
        {% for purpose in consent_purposes() %}
            left join
                answers as {{ purpose }}
                on lifecycles.person_id = {{ purpose }}.consent_subject
                and {{ purpose }}.purpose = '{{ purpose }}'
        {% endfor %}
    )

select *
from final
