{#
    A survey is exported when it is sent and again when it is answered. An answer's comment often comes in a later export
    than its score: the answer then counts as known when its comment is. Another score is another answer.
#}
with
    responses as (
        select
            *,
            {# Whoever exports an old survey today still says nothing before it happened. #}
            greatest(available_at, responded_at) as answer_available_at,
            row_number() over (partition by response_id order by available_at, _row_key) as version
        from {{ source("nps", "responses") }}
        where {{ is_known("available_at") }}
    ),

    sendings as (
        select
            response_id || '|sent' as event_key,
            'Survey Sent' as event_name,
            survey_sent_at as occurred_at,
            available_at,
            user_id,
            email,
            phone,
            cast(null as double) as rating,
            cast(null as varchar) as text_id,
            {{ json_object_of({"locale": "locale"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from responses
        where version = 1
    ),

    answers as (
        select
            *,
            row_number() over (
                partition by response_id, score
                order by case when comment_text_id is null then 1 else 0 end, answer_available_at, _row_key
            ) as choice
        from responses
        where
            (score between 0 and 10 or (score is null and comment_text_id is not null))
            and {{ is_known("answer_available_at") }}
    ),

    {# The groups and their limits are those of the net promoter score; the rating puts 0 to 10 between 0 and 1. #}
    answerings as (
        select
            response_id || '|answered|' || coalesce(cast(score as varchar), 'comment') as event_key,
            case
                when score is null
                then 'Comment Left'
                when score >= 9
                then 'Promoter Answered'
                when score >= 7
                then 'Passive Answered'
                else 'Detractor Answered'
            end as event_name,
            coalesce(responded_at, answer_available_at) as occurred_at,
            answer_available_at as available_at,
            user_id,
            email,
            phone,
            score / 10.0 as rating,
            comment_text_id as text_id,
            {{ json_object_of({"score": "score", "locale": "locale"}) }} as properties,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from answers
        where choice = 1
    ),

    final as (
        select *, 'nps' as source, 'responses' as source_table
        from sendings
        union all
        select *, 'nps' as source, 'responses' as source_table
        from answerings
    )

select *
from final
