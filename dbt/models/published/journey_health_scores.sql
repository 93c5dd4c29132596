with
    components as (select * from {{ ref("health_components") }}),

    weeks as (
        select distinct journey, week_start_date, segment, channel, entered_count, open_count, horizon_seconds
        from components
    ),

    scored as (
        select
            journey,
            week_start_date,
            segment,
            channel,
            {{ exact_sum("weight * score") }} / {{ exact_sum("weight") }} as health_score,
            {# An error of ten thousand points is the end of the scale; where nobody ever converts it is beyond. #}
            sqrt({{ exact_sum("least(weight * weight * score_variance, 1e8)") }})
            / {{ exact_sum("weight") }} as health_error,
            max(case when component = 'conversion' then score end) as conversion_score,
            max(case when component = 'sentiment' then score end) as sentiment_score,
            max(case when component = 'engagement' then score end) as engagement_score,
            max(case when component = 'velocity' then score end) as velocity_score
        from components
        group by journey, week_start_date, segment, channel
        having max(case when component = 'conversion' then 1 else 0 end) = 1
    ),

    {# What moved the score most, in words. #}
    told as (
        select
            journey,
            week_start_date,
            segment,
            channel,
            case
                component
                when 'conversion'
                then
                    'converts '
                    || {{ percent_text("value") }}
                    || ' against '
                    || {{ percent_text("reference") }}
                when 'sentiment'
                then
                    'satisfaction '
                    || {{ percent_text("value") }}
                    || ' against '
                    || {{ percent_text("reference") }}
                when 'engagement'
                then
                    {{ number_text("exp(value) - 1") }}
                    || ' touches on the first day against '
                    || {{ number_text("exp(reference) - 1") }}
                when 'velocity'
                then
                    'takes '
                    || {{ number_text("exp(value)") }}
                    || ' h against '
                    || {{ number_text("exp(reference)") }}
                    || ' h'
            end as words,
            row_number() over (
                partition by journey, week_start_date, segment, channel
                order by
                    case when distance < 0 then 0 else 1 end,
                    case when distance < 0 then weight * (score - 75) else 0 end,
                    case component when 'conversion' then 0 else 1 end,
                    component
            ) as place
        from components
        where component is not null
    ),

    joined as (
        select
            weeks.journey,
            weeks.week_start_date,
            weeks.segment,
            weeks.channel,
            weeks.entered_count,
            weeks.open_count,
            weeks.horizon_seconds,
            scored.health_score,
            scored.health_error,
            case
                when scored.health_score is not null
                then greatest(0.0, scored.health_score - {{ z95() }} * scored.health_error)
            end as health_low,
            case
                when scored.health_score is not null
                then least(100.0, scored.health_score + {{ z95() }} * scored.health_error)
            end as health_high,
            scored.conversion_score,
            scored.sentiment_score,
            scored.engagement_score,
            scored.velocity_score,
            told.words
        from weeks
        left join
            scored
            on weeks.journey = scored.journey
            and weeks.week_start_date = scored.week_start_date
            and weeks.segment = scored.segment
            and weeks.channel = scored.channel
        left join
            told
            on weeks.journey = told.journey
            and weeks.week_start_date = told.week_start_date
            and weeks.segment = told.segment
            and weeks.channel = told.channel
            and told.place = 1
    ),

    {# The baseline: the scores of the weeks just before, by their attempts; par until there are any. #}
    baselines as (
        select
            joined.journey,
            joined.week_start_date,
            joined.segment,
            joined.channel,
            {{ exact_sum("before.health_score * before.entered_count") }}
            / sum(before.entered_count) as baseline_score
        from joined
        inner join
            joined as before
            on joined.journey = before.journey
            and joined.segment = before.segment
            and joined.channel = before.channel
            and before.week_start_date < joined.week_start_date
            and before.week_start_date >= joined.week_start_date - {{ var("health_baseline_weeks") * 7 }}
            and before.health_score is not null
        group by joined.journey, joined.week_start_date, joined.segment, joined.channel
    ),

    compared as (
        select
            joined.*,
            case
                when joined.health_score is not null then coalesce(baselines.baseline_score, 75.0)
            end as baseline_score,
            {# What a few attempts of a segment show is mostly what its parents show. #}
            {{ z95() }} * joined.health_error <= {{ var("health_most_uncertainty") }}
            and (
                joined.segment = 'all' or joined.entered_count >= {{ var("health_min_segment_attempts") }}
            ) as is_certain
        from joined
        left join
            baselines
            on joined.journey = baselines.journey
            and joined.week_start_date = baselines.week_start_date
            and joined.segment = baselines.segment
            and joined.channel = baselines.channel
    ),

    final as (
        select
            journey,
            week_start_date,
            segment,
            channel,
            round(health_score, 4) as health_score,
            round(health_low, 4) as health_low,
            round(health_high, 4) as health_high,
            round(conversion_score, 4) as conversion_score,
            round(sentiment_score, 4) as sentiment_score,
            round(engagement_score, 4) as engagement_score,
            round(velocity_score, 4) as velocity_score,
            entered_count,
            round(baseline_score, 4) as baseline_score,
            round(health_score - baseline_score, 4) as change_from_baseline,
            case
                when health_score is null or not is_certain
                then null
                when health_score - baseline_score <= -10 and health_high < baseline_score
                then 'degraded'
                when
                    health_score - baseline_score <= -5
                    and health_score + {{ z80_one_sided() }} * health_error < baseline_score
                then 'watch'
                else 'healthy'
            end as status,
            case
                when horizon_seconds is null
                then 'too early: the week''s attempts have not been watched for a day'
                when health_score is null
                then
                    'no reference yet: fewer than {{ var("health_min_reference_attempts") }} attempts in the weeks before'
                else
                    case when not is_certain then 'too uncertain to say: ' else '' end
                    || words
                    || ' ('
                    || cast(entered_count as varchar)
                    || case entered_count when 1 then ' attempt' else ' attempts' end
                    || case
                        when open_count > 0 then ', ' || cast(open_count as varchar) || ' still open' else ''
                    end
                    || ')'
            end as reason
        from compared
    )

select *
from final
