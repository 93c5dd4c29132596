with
    identifiers as (
        select
            identifier,
            identifier_type,
            {{ token_class("identifier") }} as identifier_class,
            person_id,
            is_shared_device,
            link_tier
        from {{ source("identity", "identifiers") }}
        where person_id is not null
    ),

    rules as (select identifier_type, limit_per_person from {{ ref("identifier_rules") }}),

    {# A shared device is a person of its own in the tables, and nobody's here. #}
    persons as (
        select person_id, count(*) as identifier_count, bool_or(identifier_type <> 'device_id') as is_known
        from identifiers
        where not is_shared_device
        group by person_id
    ),

    summary as (
        select
            count(*) as person_count,
            count(case when is_known then 1 end) as known_count,
            avg(identifier_count) as mean_count,
            median(identifier_count) as median_count,
            max(identifier_count) as largest_count
        from persons
    ),

    kinds as (
        select 1 as bucket_order, 'known' as bucket, known_count as person_count
        from summary
        union all
        select 2, 'anonymous', person_count - known_count
        from summary
    ),

    buckets as (
        {% for name, most in person_sizes() %}
            select
                {{ loop.index }} as bucket_order,
                '{{ name }}' as bucket,
                {% if loop.first %} 1
                {% else %} {{ person_sizes()[loop.index0 - 1][1] + 1 }}
                {% endif %} as least,
                {{ most if most is not none else "cast(null as integer)" }} as most
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    sizes as (
        select
            buckets.bucket_order,
            buckets.bucket,
            count(persons.person_id) as person_count,
            count(persons.person_id) / cast(nullif(max(summary.person_count), 0) as double) as share
        from buckets
        cross join summary
        left join
            persons
            on persons.identifier_count >= buckets.least
            and (persons.identifier_count <= buckets.most or buckets.most is null)
        group by buckets.bucket_order, buckets.bucket
    ),

    ranked as (
        select
            person_id,
            identifier_count,
            row_number() over (order by identifier_count desc, person_id) as place
        from persons
        where identifier_count > 1
    ),

    composed as (
        select person_id, identifier_class, cast(count(*) as varchar) || ' ' || identifier_class as words
        from identifiers
        where person_id in (select person_id from ranked where place <= 10)
        group by person_id, identifier_class
    ),

    largest as (
        select
            ranked.person_id,
            ranked.identifier_count,
            ranked.place,
            {{ listed_values("composed.words") }} as detail
        from ranked
        inner join composed on ranked.person_id = composed.person_id
        where ranked.place <= 10
        group by ranked.person_id, ranked.identifier_count, ranked.place
    ),

    held as (
        select identifier_class, identifier_type, person_id, count(*) as held_count
        from identifiers
        group by identifier_class, identifier_type, person_id
    ),

    classes as (
        select
            held.identifier_class,
            sum(held.held_count) as identifier_count,
            avg(held.held_count) as mean_count,
            max(held.held_count) as largest_count,
            max(rules.limit_per_person) as limit_per_person,
            count(case when held.held_count >= rules.limit_per_person then 1 end) as full_count
        from held
        inner join rules on held.identifier_type = rules.identifier_type
        group by held.identifier_class
    ),

    tiers_of_links as (
        {% for tier in ["exact", "strong", "probable"] %}
            select {{ loop.index }} as bucket_order, '{{ tier }}' as tier
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    identifier_tiers as (
        select
            tiers_of_links.bucket_order,
            tiers_of_links.tier,
            count(identifiers.identifier) as identifier_count
        from tiers_of_links
        left join identifiers on tiers_of_links.tier = identifiers.link_tier
        group by tiers_of_links.bucket_order, tiers_of_links.tier
    ),

    homes as (
        select household_id, count(distinct person_id) as person_count
        from {{ source("identity", "households") }}
        group by household_id
    ),

    home_sizes as (
        {% for name, least, most in [("1", 1, 1), ("2", 2, 2), ("3", 3, 3), ("4 and more", 4, 1000000000)] %}
            select
                {{ loop.index }} as bucket_order,
                '{{ name }}' as bucket,
                count(case when person_count between {{ least }} and {{ most }} then 1 end) as home_count
            from homes
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    accounts as (
        select count(distinct account_key) as account_count, count(distinct person_id) as person_count
        from {{ source("identity", "accounts") }}
    ),

    {# A pair that several sources saw is one pair; the kind that says most counts. #}
    pairs as (
        select
            identifier_a,
            identifier_b,
            {{ value_at_first("link_kind", ["kind_order", "link_kind"]) }} as link_kind,
            {{ value_at_first("outcome", ["kind_order", "link_kind"]) }} as outcome,
            sum(seen_count) as seen_count
        from
            (
                select
                    *,
                    case
                        link_kind
                        when 'manual'
                        then 1
                        when 'deterministic'
                        then 2
                        when 'probabilistic'
                        then 3
                        else 4
                    end as kind_order
                from {{ ref("link_log") }}
            ) as log
        group by identifier_a, identifier_b
    ),

    link_kinds as (select link_kind, count(*) as pair_count from pairs group by link_kind),

    link_outcomes as (select outcome, count(*) as pair_count from pairs group by outcome),

    refused as (
        select distinct identifier_a, identifier_b, reason from {{ source("identity", "refused_links") }}
    ),

    refusals as (select reason, count(*) as pair_count from refused group by reason),

    refused_sum as (
        select count(*) as pair_count from (select distinct identifier_a, identifier_b from refused) as once
    ),

    bridges as (
        select
            bridges.*,
            least({{ token_class("bridges.identifier_a") }}, {{ token_class("bridges.identifier_b") }})
            || ' with '
            || greatest(
                {{ token_class("bridges.identifier_a") }}, {{ token_class("bridges.identifier_b") }}
            ) as classes,
            coalesce(pairs.seen_count, 1) as seen_count
        from {{ source("identity", "bridges") }} as bridges
        left join
            pairs on bridges.identifier_a = pairs.identifier_a and bridges.identifier_b = pairs.identifier_b
    ),

    bridge_sums as (
        select count(*) as bridge_count, count(case when seen_count = 1 then 1 end) as once_count from bridges
    ),

    bridge_classes as (select classes, count(*) as bridge_count from bridges group by classes),

    ranked_bridges as (
        select
            *,
            classes
            || ' holds '
            || cast(smaller_count as varchar)
            || ' and '
            || cast(larger_count as varchar)
            || ' identifiers of '
            || person_id
            || ' together, seen '
            || case
                when seen_count = 1 then 'once' else cast(seen_count as varchar) || ' times'
            end as detail,
            row_number() over (
                order by smaller_count desc, larger_count desc, identifier_a, identifier_b
            ) as place
        from bridges
    ),

    widest_bridges as (select * from ranked_bridges where place <= 10),

    devices as (
        select count(*) as device_count, count(case when is_shared_device then 1 end) as shared_count
        from identifiers
        where identifier_type = 'device_id'
    ),

    {# What happened on shared devices without saying who it was. #}
    borrowed as (
        select count(*) as event_count, count(events.person_id) as lent_count
        from {{ ref("customer_events") }} as events
        inner join identifiers on events.device_id = identifiers.identifier
        where
            identifiers.is_shared_device
            and {{ owner_identifier("events") }} = events.device_id
            and events.has_analytics_consent
    ),

    uses_of_shared as (
        select 1 as bucket_order, 'the last user before' as bucket, lent_count as event_count
        from borrowed
        union all
        select 2, 'nobody', event_count - lent_count
        from borrowed
    ),

    change_kinds as (
        {% for kind in ["merge", "split", "move", "new_shared_device", "shared_device_ended"] %}
            select {{ loop.index }} as bucket_order, '{{ kind }}' as bucket
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    {# By the day of the evidence, so that a night tells of the as-of day whenever it runs. #}
    changes as (
        select kind, changed_on, reason, {{ days_between("changed_on", local_day(as_of())) }} as age_days
        from {{ source("identity", "changes") }}
    ),

    change_reasons as (
        select kind, {{ listed_values("reason") }} as reasons from changes where age_days = 0 group by kind
    ),

    changed as (
        select
            change_kinds.bucket_order,
            change_kinds.bucket,
            count(case when changes.age_days = 0 then 1 end) as of_the_day,
            count(case when changes.age_days < 28 then 1 end) as of_four_weeks,
            count(changes.kind) as of_ever,
            max(change_reasons.reasons) as reasons
        from change_kinds
        left join changes on change_kinds.bucket = changes.kind
        left join change_reasons on change_kinds.bucket = change_reasons.kind
        group by change_kinds.bucket_order, change_kinds.bucket
    ),

    tier_order as (
        {% for tier in identity_tiers() %}
            select {{ loop.index }} as bucket_order, '{{ tier }}' as tier
            union all
        {% endfor %}
        select {{ identity_tiers() | length + 1 }}, 'nobody'
    ),

    tiers as (
        select
            tier_order.bucket_order,
            tier_order.tier,
            coalesce(counted.event_count, 0) as event_count,
            coalesce(counted.event_count, 0)
            / cast(nullif(sum(coalesce(counted.event_count, 0)) over (), 0) as double) as share
        from tier_order
        left join
            (
                select coalesce(identity_tier, 'nobody') as tier, count(*) as event_count
                from {{ ref("customer_events") }}
                group by 1
            ) as counted
            on tier_order.tier = counted.tier
    ),

    entered as (
        select
            identity,
            journey,
            count(*) as entered_count,
            count(case when is_converted then 1 end) as converted_count
        from {{ ref("identity_entries") }}
        where is_watched
        group by identity, journey
    ),

    converted as (
        select
            *,
            converted_count / cast(nullif(entered_count, 0) as double) as conversion_rate,
            {{ wilson_low("converted_count", "entered_count") }} as conversion_low,
            {{ wilson_high("converted_count", "entered_count") }} as conversion_high,
            cast(converted_count as varchar)
            || ' of '
            || cast(entered_count as varchar)
            || ' who could be watched for the whole window' as detail
        from entered
    ),

    paths as (
        select
            identity,
            journey,
            count(*) as conversion_count,
            count(case when events_before > 0 then 1 end) as led_count,
            median(events_before) as median_events,
            {{ exact_sum("events_before") }} / count(*) as mean_events,
            median(days_before) as median_days,
            {{ exact_sum("days_before") }} / count(*) as mean_days
        from {{ ref("identity_paths") }}
        group by identity, journey
    ),

    led as (
        select
            *,
            led_count / cast(conversion_count as double) as led_rate,
            {{ wilson_low("led_count", "conversion_count") }} as led_low,
            {{ wilson_high("led_count", "conversion_count") }} as led_high
        from paths
    ),

    final as (
        {{ identity_measured("summary", "persons", "persons", "persons", "person_count") }}
        union all
        {{
            identity_measured(
                "kinds cross join summary",
                "persons",
                "persons_by_kind",
                "persons",
                "kinds.person_count",
                bucket="bucket",
                bucket_order="bucket_order",
                share="kinds.person_count / cast(nullif(summary.person_count, 0) as double)",
            )
        }}
        union all
        {{
            identity_measured(
                "sizes",
                "persons",
                "persons_by_identifiers",
                "persons",
                "person_count",
                bucket="bucket",
                bucket_order="bucket_order",
                share="share",
            )
        }}
        union all
        {{
            identity_measured(
                "summary",
                "persons",
                "identifiers_per_person",
                "identifiers",
                "mean_count",
                bucket="'mean'",
                bucket_order="1",
            )
        }}
        union all
        {{
            identity_measured(
                "summary",
                "persons",
                "identifiers_per_person",
                "identifiers",
                "median_count",
                bucket="'median'",
                bucket_order="2",
            )
        }}
        union all
        {{
            identity_measured(
                "summary",
                "persons",
                "identifiers_per_person",
                "identifiers",
                "largest_count",
                bucket="'largest'",
                bucket_order="3",
            )
        }}
        union all
        {{
            identity_measured(
                "largest",
                "persons",
                "largest_persons",
                "identifiers",
                "identifier_count",
                bucket="person_id",
                bucket_order="place",
                detail="detail",
            )
        }}
        union all
        {{
            identity_measured(
                "classes",
                "identifiers",
                "identifiers",
                "identifiers",
                "identifier_count",
                subject="identifier_class",
            )
        }}
        union all
        {{
            identity_measured(
                "classes",
                "identifiers",
                "identifiers_per_person",
                "identifiers",
                "mean_count",
                subject="identifier_class",
                bucket="'mean'",
                bucket_order="1",
            )
        }}
        union all
        {{
            identity_measured(
                "classes",
                "identifiers",
                "identifiers_per_person",
                "identifiers",
                "largest_count",
                subject="identifier_class",
                bucket="'largest'",
                bucket_order="3",
                detail="'at most ' || cast(limit_per_person as varchar) || ' a person'",
            )
        }}
        union all
        {{
            identity_measured(
                "(select * from classes where limit_per_person is not null) as limited",
                "identifiers",
                "persons_at_limit",
                "persons",
                "full_count",
                subject="identifier_class",
                detail="'at most ' || cast(limit_per_person as varchar) || ' a person'",
            )
        }}
        union all
        {{
            identity_measured(
                "identifier_tiers",
                "identifiers",
                "identifiers_by_tier",
                "identifiers",
                "identifier_count",
                bucket="tier",
                bucket_order="bucket_order",
            )
        }}
        union all
        {{
            identity_measured(
                "home_sizes",
                "levels",
                "households_by_persons",
                "households",
                "home_count",
                bucket="bucket",
                bucket_order="bucket_order",
            )
        }}
        union all
        {{ identity_measured("accounts", "levels", "accounts", "accounts", "account_count") }}
        union all
        {{ identity_measured("accounts", "levels", "persons_in_accounts", "persons", "person_count") }}
        union all
        {{
            identity_measured(
                "link_kinds", "links", "links_by_kind", "links", "pair_count", bucket="link_kind"
            )
        }}
        union all
        {{
            identity_measured(
                "link_outcomes", "links", "links_by_outcome", "links", "pair_count", bucket="outcome"
            )
        }}
        union all
        {{ identity_measured("refused_sum", "links", "refused_links", "links", "pair_count") }}
        union all
        {{
            identity_measured(
                "refusals", "links", "refused_links_by_reason", "links", "pair_count", bucket="reason"
            )
        }}
        union all
        {{ identity_measured("bridge_sums", "links", "bridges", "links", "bridge_count") }}
        union all
        {{ identity_measured("bridge_sums", "links", "bridges_seen_once", "links", "once_count") }}
        union all
        {{
            identity_measured(
                "bridge_classes",
                "links",
                "bridges_by_identifiers",
                "links",
                "bridge_count",
                bucket="classes",
            )
        }}
        union all
        {{
            identity_measured(
                "widest_bridges",
                "links",
                "widest_bridges",
                "identifiers",
                "smaller_count",
                bucket="cast(place as varchar)",
                bucket_order="place",
                detail="detail",
            )
        }}
        union all
        {{ identity_measured("devices", "devices", "devices", "devices", "device_count") }}
        union all
        {{
            identity_measured(
                "devices",
                "devices",
                "shared_devices",
                "devices",
                "shared_count",
                share="shared_count / cast(nullif(device_count, 0) as double)",
                low=wilson_low("shared_count", "device_count"),
                high=wilson_high("shared_count", "device_count"),
            )
        }}
        union all
        {{
            identity_measured(
                "uses_of_shared",
                "devices",
                "events_on_shared_devices",
                "events",
                "event_count",
                bucket="bucket",
                bucket_order="bucket_order",
            )
        }}
        union all
        {{
            identity_measured(
                "changed",
                "changes",
                "changes_of_the_day",
                "changes",
                "of_the_day",
                bucket="bucket",
                bucket_order="bucket_order",
                detail="reasons",
            )
        }}
        union all
        {{
            identity_measured(
                "changed",
                "changes",
                "changes_of_four_weeks",
                "changes",
                "of_four_weeks",
                bucket="bucket",
                bucket_order="bucket_order",
            )
        }}
        union all
        {{
            identity_measured(
                "changed",
                "changes",
                "changes",
                "changes",
                "of_ever",
                bucket="bucket",
                bucket_order="bucket_order",
            )
        }}
        union all
        {{
            identity_measured(
                "tiers",
                "events",
                "events_by_tier",
                "events",
                "event_count",
                bucket="tier",
                bucket_order="bucket_order",
                share="share",
            )
        }}
        {% set seen_as = {
            "subject": "journey",
            "bucket": "identity",
            "bucket_order": identity_order("identity"),
        } %}
        {% for relation, measure, unit, value, more in [
            ("converted", "entered", "entries", "entered_count", {}),
            ("converted", "converted", "entries", "converted_count", {}),
            (
                "converted",
                "conversion_rate",
                "share",
                "conversion_rate",
                {
                    "share": "conversion_rate",
                    "low": "conversion_low",
                    "high": "conversion_high",
                    "detail": "detail",
                },
            ),
            ("led", "conversions", "conversions", "conversion_count", {}),
            (
                "led",
                "conversions_with_a_past",
                "share",
                "led_rate",
                {"share": "led_rate", "low": "led_low", "high": "led_high"},
            ),
            ("led", "median_events_before", "events", "median_events", {}),
            ("led", "mean_events_before", "events", "mean_events", {}),
            ("led", "median_days_before", "days", "median_days", {}),
            ("led", "mean_days_before", "days", "mean_days", {}),
        ] %}
            union all
            {{ identity_measured(relation, "survivorship", measure, unit, value, **dict(seen_as, **more)) }}
        {% endfor %}
    )

select *
from final
order by topic, subject, measure, bucket_order, bucket
