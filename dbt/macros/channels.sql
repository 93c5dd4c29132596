{#
    The CTEs that name the channel of each kind of entry, to stand behind a CTE `kinds_of_entry` with the columns
    source, utm_source, utm_medium, click_id_type and referrer_host. They end in `channels`, one row per kind.
    The rules are regular expressions: tried once per distinct kind, not per event.
#}
{% macro channel_ctes() %}
    rules as (select * from {{ ref("channel_rules") }}),

    {# A payment page or a login that sends somebody back is not where they came from. #}
    excluded_hosts as (
        select distinct kinds_of_entry.referrer_host
        from kinds_of_entry
        inner join rules on {{ matches("kinds_of_entry.referrer_host", "rules.referrer_host") }}
        where rules.channel = '(excluded)'
    ),

    cleaned as (
        select
            {{ all_but(["referrer_host"], "kinds_of_entry") }},
            kinds_of_entry.referrer_host as said_referrer_host,
            case
                when excluded_hosts.referrer_host is null then kinds_of_entry.referrer_host
            end as referrer_host
        from kinds_of_entry
        left join excluded_hosts on kinds_of_entry.referrer_host = excluded_hosts.referrer_host
    ),

    matched as (
        select
            cleaned.*,
            rules.channel,
            row_number() over (
                partition by
                    cleaned.source,
                    cleaned.utm_source,
                    cleaned.utm_medium,
                    cleaned.click_id_type,
                    cleaned.said_referrer_host
                order by rules.rule_order
            ) as choice
        from cleaned
        left join
            rules on rules.channel <> '(excluded)'
            {% for field in ["source", "utm_source", "utm_medium", "click_id_type", "referrer_host"] %}
                and (rules.{{ field }} is null or {{ matches("cleaned." ~ field, "rules." ~ field) }})
            {% endfor %}
    ),

    channels as (select * from matched where choice = 1)
{% endmacro %}


{# The condition that joins `entry`, a row with the columns of an entry, to its row of `channels`. #}
{% macro is_entry_of_channel(entry, referrer_host) %}
    {{ entry }}.source = channels.source
    and {{ entry }}.utm_source is not distinct from channels.utm_source
    and {{ entry }}.utm_medium is not distinct from channels.utm_medium
    and {{ entry }}.click_id_type is not distinct from channels.click_id_type
    and {{ referrer_host }} is not distinct from channels.said_referrer_host
{% endmacro %}
