{#
    Each component of a week against its reference, the weeks before it: the distance on the logit scale for
    shares, on the log scale for amounts; positive is better. A small group is drawn to what its parent's
    movement would make of its own reference: a channel of a segment to the segment, a segment or a channel to
    the journey, the journey to no movement.
#}
with
    conversions as (select * from {{ ref("weekly_conversion") }}),

    sums as (select * from {{ ref("weekly_measures") }}),

    all_weeks as (
        select conversions.*, journey_weeks.horizon_seconds
        from conversions
        inner join
            {{ ref("journey_weeks") }} as journey_weeks
            on conversions.journey = journey_weeks.journey
            and conversions.week_start_date = journey_weeks.week_start_date
    ),

    weeks as (select * from all_weeks where horizon_seconds is not null),

    {% set components = ["conversion", "sentiment", "engagement", "velocity"] %}
    {% set shares = ["conversion", "sentiment"] %}
    {% set prior = var("health_prior_attempts") %}

    referenced as (
        select
            weeks.journey,
            weeks.week_start_date,
            weeks.segment,
            weeks.channel,
            {% for component in components %}
                coalesce(sum(before.{{ component }}_n), 0) as {{ component }}_n,
                {{ exact_sum("before." ~ component ~ "_sum") }} as {{ component }}_sum,
                {% if component not in shares %}
                    {{ exact_sum("before." ~ component ~ "_square_sum") }} as {{ component }}_square_sum,
                {% endif %}
            {% endfor %}
            count(*) as row_count
        from weeks
        left join
            sums as before
            on weeks.journey = before.journey
            and weeks.segment = before.segment
            and weeks.channel = before.channel
            and weeks.horizon_seconds = before.horizon_seconds
            and before.week_start_date < weeks.week_start_date
            and before.week_start_date >= weeks.week_start_date - {{ var("health_reference_weeks") * 7 }}
        group by weeks.journey, weeks.week_start_date, weeks.segment, weeks.channel
    ),

    observed as (
        {% for component in components %}
            select
                weeks.journey,
                weeks.week_start_date,
                weeks.segment,
                weeks.channel,
                '{{ component }}' as component,
                {% if component == "conversion" %}
                    weeks.conversion_rate as value,
                    {# As many plain attempts as would give the same variance, but no more than were watched. #}
                    least(
                        cast(weeks.watched_count as double),
                        coalesce(
                            weeks.conversion_rate
                            * (1 - weeks.conversion_rate)
                            / case when weeks.conversion_variance > 1e-12 then weeks.conversion_variance end,
                            weeks.watched_count
                        )
                    ) as n,
                {% else %}
                    own.{{ component }}_sum / nullif(own.{{ component }}_n, 0) as value,
                    cast(own.{{ component }}_n as double) as n,
                {% endif %}
                cast(referenced.{{ component }}_n as double) as reference_n,
                referenced.{{ component }}_sum as reference_sum,
                {% if component in shares %} cast(null as double)
                {% else %} referenced.{{ component }}_square_sum
                {% endif %} as reference_square_sum,
                {{ "true" if component in shares else "false" }} as is_share
            from weeks
            inner join
                referenced
                on weeks.journey = referenced.journey
                and weeks.week_start_date = referenced.week_start_date
                and weeks.segment = referenced.segment
                and weeks.channel = referenced.channel
            inner join
                sums as own
                on weeks.journey = own.journey
                and weeks.week_start_date = own.week_start_date
                and weeks.segment = own.segment
                and weeks.channel = own.channel
                and weeks.horizon_seconds = own.horizon_seconds
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    journey_wide as (
        select
            *,
            case
                when is_share
                then (reference_sum + 0.5) / (reference_n + 1)
                else reference_sum / nullif(reference_n, 0)
            end as reference,
            (reference_square_sum - reference_sum * reference_sum / nullif(reference_n, 0))
            / nullif(reference_n - 1, 0) as reference_variance
        from observed
        where segment = 'all' and channel = 'all'
    ),

    {# Without a reference of the journey's there is none for its parts. #}
    journey_moved as (
        select *, {{ movement(drawn("reference"), "reference") }} as movement
        from journey_wide
        where
            reference_n >= case
                when component = 'conversion'
                then {{ var("health_min_reference_attempts") }}
                else {{ var("health_min_reference_measures") }}
            end
    ),

    {# The journey, its segments and its channels. #}
    placed as (
        select
            observed.*,
            journey_moved.reference_variance,
            case
                when observed.segment = 'all' and observed.channel = 'all' then 0 else journey_moved.movement
            end as parent_movement,
            cast(0 as double) as parent_variance,
            case
                when observed.segment = 'all' and observed.channel = 'all'
                then journey_moved.reference
                else {{ drawn_reference("journey_moved.reference") }}
            end as reference
        from observed
        inner join
            journey_moved
            on observed.journey = journey_moved.journey
            and observed.week_start_date = journey_moved.week_start_date
            and observed.component = journey_moved.component
        where observed.segment = 'all' or observed.channel = 'all'
    ),

    shrunk as (select *, {{ drawn(moved("reference", "parent_movement")) }} as shrunk_value from placed),

    segments_moved as (
        select
            *,
            {{ movement("shrunk_value", "reference") }} as movement,
            {{ movement_variance("shrunk_value", "reference") }} as movement_variance
        from shrunk
        where segment <> 'all' and channel = 'all'
    ),

    {# The channels of segments. Their parents are small themselves, so the parents' own uncertainty counts. #}
    placed_below as (
        select
            observed.*,
            segments_moved.reference_variance,
            segments_moved.movement as parent_movement,
            segments_moved.movement_variance as parent_variance,
            {{ drawn_reference("segments_moved.reference") }} as reference
        from observed
        inner join
            segments_moved
            on observed.journey = segments_moved.journey
            and observed.week_start_date = segments_moved.week_start_date
            and observed.segment = segments_moved.segment
            and observed.component = segments_moved.component
        where observed.channel <> 'all'
    ),

    shrunk_below as (
        select *, {{ drawn(moved("reference", "parent_movement")) }} as shrunk_value from placed_below
    ),

    combined as (
        select *
        from shrunk
        union all
        select *
        from shrunk_below
    ),

    weights as (select * from {{ ref("health_weights") }}),

    weighted as (
        select
            combined.*,
            coalesce(own.weight, common.weight) as weight,
            coalesce(own.direction, common.direction) as direction
        from combined
        left join weights as own on combined.journey = own.journey and combined.component = own.component
        left join weights as common on common.journey = '*' and combined.component = common.component
    ),

    distances as (
        select
            *,
            direction * {{ movement("shrunk_value", "reference") }} as distance,
            {{ movement_variance("shrunk_value", "reference") }}
            + power({{ prior }} / (n + {{ prior }}), 2) * parent_variance as distance_variance
        from weighted
        where weight > 0 and n > 0
    ),

    {# A week without a reference has one row, without a component: what reads this need not read the weeks again. #}
    final as (
        select
            all_weeks.journey,
            all_weeks.week_start_date,
            all_weeks.segment,
            all_weeks.channel,
            all_weeks.entered_count,
            all_weeks.open_count,
            all_weeks.horizon_seconds,
            distances.component,
            distances.weight,
            distances.n as effective_count,
            distances.value,
            distances.shrunk_value,
            distances.reference,
            distances.distance,
            distances.distance_variance,
            {{ score("distances.distance") }} as score,
            power({{ score_slope(score("distances.distance")) }}, 2)
            * distances.distance_variance as score_variance
        from all_weeks
        left join
            distances
            on all_weeks.journey = distances.journey
            and all_weeks.week_start_date = distances.week_start_date
            and all_weeks.segment = distances.segment
            and all_weeks.channel = distances.channel
    )

select *
from final
