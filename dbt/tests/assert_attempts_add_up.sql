-- G4: entered = converted + lost + open, per journey, week and segment, and reached = advanced + lost +
-- open, per
-- stage; weeks and segments add up to `all`.
with
    segments as (select attempt_id, assigned_segment from {{ ref("attempt_segments") }}),

    started as (
        select attempts.*, segments.assigned_segment
        from {{ ref("journey_attempts") }} as attempts
        left join segments on attempts.attempt_id = segments.attempt_id
    ),

    sliced as (
        select *, 'all' as segment
        from started
        union all
        select *, assigned_segment as segment
        from started
        where assigned_segment is not null
    ),

    attempts as (
        select
            journey,
            cast(week_start_date as varchar) as week,
            segment,
            count(*) as entered_count,
            count(case when status = 'converted' then 1 end) as converted_count,
            count(case when status = 'lost' then 1 end) as lost_count,
            count(case when status = 'open' then 1 end) as open_count
        from sliced
        group by journey, week, segment
    ),

    stages as (select * from {{ ref("published_journey_stages") }}),

    per_week as (
        select
            journey,
            week,
            segment,
            max(entered_count) as entered_count,
            sum(lost_count) as lost_count,
            sum(open_count) as open_count,
            max(case when stage_order = last_stage_order then advanced_count end) as converted_count
        from
            (
                select *, max(stage_order) over (partition by journey, week, segment) as last_stage_order
                from stages
            ) as ordered
        group by journey, week, segment
    ),

    broken_weeks as (
        select attempts.journey, attempts.week, attempts.segment, 'the week does not add up' as fault
        from attempts
        full join
            per_week
            on attempts.journey = per_week.journey
            and attempts.week = per_week.week
            and attempts.segment = per_week.segment
        where
            coalesce(per_week.week, '') <> 'all'
            and (
                attempts.entered_count is distinct from per_week.entered_count
                or attempts.converted_count is distinct from per_week.converted_count
                or attempts.lost_count is distinct from per_week.lost_count
                or attempts.open_count is distinct from per_week.open_count
                or attempts.entered_count
                <> attempts.converted_count + attempts.lost_count + attempts.open_count
            )
    ),

    broken_stages as (
        select journey, week, segment, 'stage ' || stage || ' does not add up' as fault
        from stages
        where reached_count <> advanced_count + lost_count + open_count
    ),

    {% set counts = ["entered_count", "reached_count", "advanced_count", "lost_count", "open_count"] %}
    {% set margins = {"week": ["segment"], "segment": ["week"]} %}

    broken_margins as (
        {% for margin, others in margins.items() %}
            select whole.journey, whole.week, whole.segment, '{{ margin }}s do not add up to all' as fault
            from stages as whole
            left join
                (
                    select
                        journey,
                        {{ others[0] }},
                        stage_order,
                        {% for count in counts %}
                            sum({{ count }}) as {{ count }}{{ "," if not loop.last }}
                        {% endfor %}
                    from stages
                    where {{ margin }} <> 'all'
                    group by journey, {{ others[0] }}, stage_order
                ) as parts
                on whole.journey = parts.journey
                and whole.{{ others[0] }} = parts.{{ others[0] }}
                and whole.stage_order = parts.stage_order
            where
                whole.{{ margin }} = 'all'
                {# Without segments there is nothing that could add up to `all`. #}
                {% if margin == "segment" %} and {{ has_segments() }} {% endif %}
                and (
                    {% for count in counts %}
                        whole.{{ count }} is distinct from parts.{{ count }}
                        {% if not loop.last %} or {% endif %}
                    {% endfor %}
                )
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    final as (
        select *
        from broken_weeks
        union all
        select *
        from broken_stages
        union all
        select *
        from broken_margins
    )

select *
from final
