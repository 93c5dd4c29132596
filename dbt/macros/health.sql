{# How the components of health are drawn to their parents; a share moves on the logit scale, an amount on its own. #}
{# A group's value with the weight of its own attempts, and `towards` with that of the prior's. #}
{% macro drawn(towards) %}
    (coalesce(n * value, 0) + {{ var("health_prior_attempts") }} * {{ towards }})
    / (n + {{ var("health_prior_attempts") }})
{% endmacro %}


{# A group's own reference, drawn to its parent's. #}
{% macro drawn_reference(towards) %}
    (coalesce(observed.reference_sum, 0) + {{ var("health_prior_attempts") }} * {{ towards }})
    / (observed.reference_n + {{ var("health_prior_attempts") }})
{% endmacro %}


{# What the movement makes of a reference. #}
{% macro moved(reference, movement) %}
    case
        when is_share
        then 1 / (1 + exp(- ({{ logit(reference) }} + {{ movement }})))
        else {{ reference }} + {{ movement }}
    end
{% endmacro %}


{# How far a value has moved from its reference. #}
{% macro movement(value, reference) %}
    case when is_share then {{ logit(value) }} - {{ logit(reference) }} else {{ value }} - {{ reference }} end
{% endmacro %}


{# The variance of a movement, after value and reference were drawn. #}
{% macro movement_variance(value, reference) %}
    {% set prior = var("health_prior_attempts") %}
    case
        when is_share
        then
            1 / ((n + {{ prior }}) * {{ value }} * (1 - {{ value }}))
            + 1 / ((reference_n + {{ prior }}) * {{ reference }} * (1 - {{ reference }}))
        else
            coalesce(reference_variance, 0) / (n + {{ prior }})
            + coalesce(reference_variance, 0) / (reference_n + {{ prior }})
    end
{% endmacro %}
