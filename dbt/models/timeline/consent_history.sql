{{ config(materialized="incremental", incremental_strategy="delete+insert", unique_key="identifier") }}

with
    said as (select * from {{ ref("consents") }} where identifier is not null),

    {% if is_incremental() %}
        touched as (select distinct identifier from said where {{ is_new() }}),

        candidates as (select said.* from said inner join touched on said.identifier = touched.identifier),
    {% else %} candidates as (select * from said),
    {% endif %}

    {# Two answers at one instant: the refusal counts. #}
    answers as (
        select identifier, purpose, said_at, bool_and(is_granted) as is_granted
        from candidates
        group by identifier, purpose, said_at
    ),

    compared as (
        select *, lag(is_granted) over (partition by identifier, purpose order by said_at) as was_granted
        from answers
    ),

    final as (
        select identifier, purpose, said_at as valid_from, is_granted
        from compared
        where was_granted is null or was_granted <> is_granted
    )

select *
from final
