{#
    Until when a journey was watched: the last day on which a source that tells of its successes delivered
    anything. After that nobody can say that an attempt failed, however long ago it was; so it stays open. While no
    source has told of a success, those that could by the taxonomy count; where none could, nobody watches.
#}
with
    told as (
        select source, event, max(available_at) as last_available_at
        from {{ ref("customer_events") }}
        group by source, event
    ),

    successes as (select distinct journey, event from {{ ref("journey_roles") }} where is_success),

    sources as (
        select
            source,
            {{ day_start_utc("cast(" ~ local_time("max(last_available_at)") ~ " as date) + 1") }}
            as watched_until_at
        from told
        group by source
    ),

    tellers as (
        select successes.journey, told.source, true as has_told
        from successes
        inner join told on successes.event = told.event
        union
        select successes.journey, taxonomy.source, false
        from successes
        inner join {{ ref("event_taxonomy") }} as taxonomy on successes.event = taxonomy.event
    ),

    last_told as (
        select
            tellers.journey,
            coalesce(
                max(case when tellers.has_told then sources.watched_until_at end),
                max(sources.watched_until_at)
            ) as watched_until_at
        from tellers
        inner join sources on tellers.source = sources.source
        group by tellers.journey
    ),

    final as (
        select
            journeys.journey,
            case
                when last_told.watched_until_at is not null
                then least({{ as_of() }}, last_told.watched_until_at)
            end as watched_until_at
        from {{ ref("journeys") }} as journeys
        left join last_told on journeys.journey = last_told.journey
    )

select *
from final
