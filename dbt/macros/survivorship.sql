{#
    The three ways in which the survivorship report says whose an event is. A device knows nothing but itself; as of
    its conversion or its end an attempt knows what had become available by the end of that local day; fully
    stitched is what is known now, which for those who converted is more.
#}
{% macro identities() %} {{ return(["raw device", "as of", "fully stitched"]) }} {% endmacro %}


{% macro identity_order(identity) %}
    case
        {{ identity }} {% for name in identities() %} when '{{ name }}' then {{ loop.index }} {% endfor %}
    end
{% endmacro %}


{#
    `holder_ctes` and from them `known_holders`: whose each identifier was known to be for whoever asks after the end
    of a day (`asked_day`). Before anything was known of it, it was its own; a device known to be shared is nobody's.
#}
{% macro known_holder_ctes() %}
    {{ holder_ctes() }},

    known_holders as (
        select holders.identifier, persons.person_id as subject, holders.from_day, holders.until_day
        from holders
        inner join persons on holders.person_number = persons.person_number
        union all
        select
            identifier,
            identifier as subject,
            cast('1900-01-01' as date) as from_day,
            min(from_day) as until_day
        from history
        group by identifier
    )
{% endmacro %}


{# Joins to a relation with an identifier and an `asked_day` all that was then known to be the same person's: `others`. #}
{% macro join_known_then(relation, identifier) %}
    inner join
        known_holders
        on {{ relation }}.{{ identifier }} = known_holders.identifier
        and {{ relation }}.asked_day >= known_holders.from_day
        and {{ relation }}.asked_day < known_holders.until_day
    inner join
        known_holders as others
        on known_holders.subject = others.subject
        and {{ relation }}.asked_day >= others.from_day
        and {{ relation }}.asked_day < others.until_day
{% endmacro %}


{# The day on which somebody asks who knows what became available on the local day of an instant, and no more. #}
{% macro asked_day(instant) %} {{ next_day(local_day(instant)) }} {% endmacro %}


{# What an event says by itself of whose it is: its device, or without one its strongest identifier. #}
{% macro device_or_identifier() %}
    coalesce(
        case when not {{ has_prefix("device_id", "junk_") }} then device_id end, {{ owner_identifier() }}
    )
{% endmacro %}
