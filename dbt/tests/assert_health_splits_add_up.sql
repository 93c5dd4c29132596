-- Every split of health has all its margins: the attempts of segments add up to `all` in every channel, and
-- those of
-- channels in every segment.
with
    health as (select * from {{ ref("journey_health_scores") }}),

    {% set margins = {"segment": "channel", "channel": "segment"} %}

    final as (
        {% for margin, other in margins.items() %}
            select whole.journey, whole.week_start_date, whole.segment, whole.channel
            from (select * from health where {{ margin }} = 'all') as whole
            full join
                (
                    select journey, week_start_date, {{ other }}, sum(entered_count) as entered_count
                    from health
                    where {{ margin }} <> 'all'
                    group by journey, week_start_date, {{ other }}
                ) as parts
                on whole.journey = parts.journey
                and whole.week_start_date = parts.week_start_date
                and whole.{{ other }} = parts.{{ other }}
            where
                whole.entered_count is distinct from parts.entered_count
                {% if margin == "segment" %} and {{ has_segments() }} {% endif %}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

select *
from final
