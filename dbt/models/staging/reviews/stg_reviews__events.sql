{#
    A review may be exported again with other stars: each number of stars it had is one event, the first of them its
    posting. When stars changed is known by the export alone, unless the platform dates the review anew.
#}
with
    reviews as (
        select
            *,
            lower(platform) as site,
            {{ digest(["lower(platform)", "review_id"]) }} as review,
            case when rating is null then 'mention' else cast(rating as varchar) end as stars
        from {{ source("reviews", "reviews") }}
        where {{ is_known("available_at") }} and (rating is null or rating between 1 and 5)
    ),

    {# An earlier version that arrives late may make a posting of what was a change: then all of them are news again. #}
    versions as (
        select
            *,
            row_number() over (partition by review order by available_at, _row_key) as version,
            row_number() over (partition by review, stars order by available_at, _row_key) as repeat,
            min(posted_at) over (partition by review) as first_posted_at,
            max(_loaded_at) over (partition by review) as last_loaded_at
        from reviews
    ),

    {# Stars from 1 to 5 lie between 0 and 1, as satisfaction with support does. #}
    final as (
        select
            site || '|' || review_id || '|' || stars as event_key,
            'reviews' as source,
            'reviews' as source_table,
            case
                when version > 1
                then 'Review Changed'
                when rating is null
                then 'Mention Posted'
                else 'Review Posted'
            end as event_name,
            case
                when version = 1 or posted_at > first_posted_at then posted_at else available_at
            end as occurred_at,
            available_at,
            email,
            (rating - 1) / 4.0 as rating,
            coalesce(body_text_id, title_text_id) as text_id,
            {{
                json_object_of(
                    {
                        "platform": "site",
                        "stars": "rating",
                        "language": "language",
                        "in_reply_to": "in_reply_to",
                        "order": "order_reference",
                    }
                )
            }} as properties,
            _file_id,
            _row_number,
            _row_key,
            last_loaded_at as _loaded_at
        from versions
        where repeat = 1
    )

select *
from final
