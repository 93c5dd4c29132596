{#
    Each component of a week against its reference, the weeks before it: the distance on the logit scale for
    shares, on the log scale for amounts; positive is better. A small group is drawn to what its parent's
    movement would make of its own reference: a channel to the journey, the journey to no movement.
#}
with
    conversions as (select * from {{ ref("weekly_conversion") }}),

    sums as (select * from {{ ref("weekly_measures") }}),

    weeks as (
        select conversions.*, journey_weeks.horizon_seconds
        from conversions
        inner join
            {{ ref("journey_weeks") }} as journey_weeks
            on conversions.journey = journey_weeks.journey
            and conversions.week_start_date = journey_weeks.week_start_date
        where journey_weeks.horizon_seconds is not null
    ),

    {% set components = ["conversion", "sentiment", "engagement", "velocity"] %}
    {% set shares = ["conversion", "sentiment"] %}
    {% set prior = var("health_prior_attempts") %}

    referenced as (
        select
            weeks.journey,
            weeks.week_start_date,
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
            and weeks.channel = before.channel
            and weeks.horizon_seconds = before.horizon_seconds
            and before.week_start_date < weeks.week_start_date
            and before.week_start_date >= weeks.week_start_date - {{ var("health_reference_weeks") * 7 }}
        group by weeks.journey, weeks.week_start_date, weeks.channel
    ),

    observed as (
        {% for component in components %}
            select
                weeks.journey,
                weeks.week_start_date,
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
                and weeks.channel = referenced.channel
            inner join
                sums as own
                on weeks.journey = own.journey
                and weeks.week_start_date = own.week_start_date
                and weeks.channel = own.channel
                and weeks.horizon_seconds = own.horizon_seconds
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    journey_wide as (
        select
            journey,
            week_start_date,
            component,
            case
                when is_share
                then (reference_sum + 0.5) / (reference_n + 1)
                else reference_sum / nullif(reference_n, 0)
            end as reference,
            (reference_square_sum - reference_sum * reference_sum / nullif(reference_n, 0))
            / nullif(reference_n - 1, 0) as reference_variance,
            value,
            n,
            reference_n
        from observed
        where channel = 'all'
    ),

    journey_moved as (
        select
            *,
            case
                when component in ('{{ shares | join("', '") }}')
                then
                    {{ logit("(coalesce(n * value, 0) + " ~ prior ~ " * reference) / (n + " ~ prior ~ ")") }}
                    - {{ logit("reference") }}
                else coalesce(n * (value - reference), 0) / (n + {{ prior }})
            end as movement
        from journey_wide
        where
            reference_n >= case
                when component = 'conversion'
                then {{ var("health_min_reference_attempts") }}
                else {{ var("health_min_reference_measures") }}
            end
    ),

    placed as (
        select
            observed.journey,
            observed.week_start_date,
            observed.channel,
            observed.component,
            observed.is_share,
            observed.value,
            observed.n,
            observed.reference_n,
            case when observed.channel = 'all' then 0 else journey_moved.movement end as parent_movement,
            journey_moved.reference_variance,
            case
                when observed.channel = 'all'
                then journey_moved.reference
                else
                    (coalesce(observed.reference_sum, 0) + {{ prior }} * journey_moved.reference)
                    / (observed.reference_n + {{ prior }})
            end as reference
        from observed
        inner join
            journey_moved
            on observed.journey = journey_moved.journey
            and observed.week_start_date = journey_moved.week_start_date
            and observed.component = journey_moved.component
    ),

    expected as (
        select
            *,
            case
                when is_share
                then 1 / (1 + exp(- ({{ logit("reference") }} + parent_movement)))
                else reference + parent_movement
            end as expected_value
        from placed
    ),

    shrunk as (
        select *, (coalesce(n * value, 0) + {{ prior }} * expected_value) / (n + {{ prior }}) as shrunk_value
        from expected
    ),

    weights as (select * from {{ ref("health_weights") }}),

    weighted as (
        select
            shrunk.*,
            coalesce(own.weight, common.weight) as weight,
            coalesce(own.direction, common.direction) as direction
        from shrunk
        left join weights as own on shrunk.journey = own.journey and shrunk.component = own.component
        left join weights as common on common.journey = '*' and shrunk.component = common.component
    ),

    distances as (
        select
            *,
            direction * case
                when is_share
                then {{ logit("shrunk_value") }} - {{ logit("reference") }}
                else shrunk_value - reference
            end as distance,
            case
                when is_share
                then
                    1 / ((n + {{ prior }}) * shrunk_value * (1 - shrunk_value))
                    + 1 / ((reference_n + {{ prior }}) * reference * (1 - reference))
                else
                    coalesce(reference_variance, 0) / (n + {{ prior }})
                    + coalesce(reference_variance, 0) / (reference_n + {{ prior }})
            end as distance_variance
        from weighted
        where weight > 0 and n > 0
    ),

    final as (
        select
            journey,
            week_start_date,
            channel,
            component,
            weight,
            n as effective_count,
            value,
            shrunk_value,
            reference,
            distance,
            distance_variance,
            {{ score("distance") }} as score,
            power({{ score_slope(score("distance")) }}, 2) * distance_variance as score_variance
        from distances
    )

select *
from final
