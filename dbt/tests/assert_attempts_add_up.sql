-- G4: entered = converted + lost + open, per journey and week, and reached = advanced + lost + open, per
-- stage.
with
    attempts as (
        select
            journey,
            cast(week_start_date as varchar) as week,
            count(*) as entered_count,
            count(case when status = 'converted' then 1 end) as converted_count,
            count(case when status = 'lost' then 1 end) as lost_count,
            count(case when status = 'open' then 1 end) as open_count
        from {{ ref("journey_attempts") }}
        group by journey, week
    ),

    stages as (select * from {{ ref("published_journey_stages") }}),

    per_week as (
        select
            journey,
            week,
            max(entered_count) as entered_count,
            sum(lost_count) as lost_count,
            sum(open_count) as open_count,
            max(case when stage_order = last_stage_order then advanced_count end) as converted_count
        from
            (
                select *, max(stage_order) over (partition by journey, week) as last_stage_order from stages
            ) as ordered
        group by journey, week
    ),

    broken_weeks as (
        select attempts.journey, attempts.week, 'the week does not add up' as fault
        from attempts
        full join per_week on attempts.journey = per_week.journey and attempts.week = per_week.week
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
        select journey, week, 'stage ' || stage || ' does not add up' as fault
        from stages
        where reached_count <> advanced_count + lost_count + open_count
    ),

    broken_margins as (
        select whole.journey, whole.week, 'weeks do not add up to all' as fault
        from stages as whole
        left join
            (
                select
                    journey, stage_order, sum(reached_count) as reached_count, sum(lost_count) as lost_count
                from stages
                where week <> 'all'
                group by journey, stage_order
            ) as parts
            on whole.journey = parts.journey
            and whole.stage_order = parts.stage_order
        where
            whole.week = 'all'
            and (
                whole.reached_count is distinct from parts.reached_count
                or whole.lost_count is distinct from parts.lost_count
            )
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
