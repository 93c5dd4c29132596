{#
    Until when a journey was watched: the last day on which a source that tells of its successes delivered
    anything. After that nobody can say that an attempt failed, however long ago it was; so it stays open.
#}
with
    events as (select source, event, available_at from {{ ref("customer_events") }}),

    successes as (select journey, event from {{ ref("journey_roles") }} where is_success),

    sources as (
        select
            source,
            {{ day_start_utc("cast(" ~ local_time("max(available_at)") ~ " as date) + 1") }}
            as watched_until_at
        from events
        group by source
    ),

    tellers as (
        select distinct successes.journey, events.source
        from successes
        inner join (select distinct source, event from events) as events on successes.event = events.event
    ),

    last_told as (
        select tellers.journey, max(sources.watched_until_at) as watched_until_at
        from tellers
        inner join sources on tellers.source = sources.source
        group by tellers.journey
    ),

    final as (
        select
            journeys.journey,
            least({{ as_of() }}, coalesce(last_told.watched_until_at, {{ as_of() }})) as watched_until_at
        from {{ ref("journeys") }} as journeys
        left join last_told on journeys.journey = last_told.journey
    )

select *
from final
