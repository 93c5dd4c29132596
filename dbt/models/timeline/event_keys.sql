{{ config(materialized="incremental", incremental_strategy="delete+insert", unique_key="event_id") }}

{#
    Narrow on purpose: which staged row stands for each real event. The same key delivered again is the
    same event; the delivery that was available earliest wins, then its content decides, never the load order.
#}
with
    staged as (select * from {{ ref("events") }}),

    {% if is_incremental() %}
        touched_keys as (select distinct source, source_table, event_key from staged where {{ is_new() }}),

        candidates as (
            select staged.*
            from staged
            inner join
                touched_keys
                on staged.event_key = touched_keys.event_key
                and staged.source_table = touched_keys.source_table
                and staged.source = touched_keys.source
        ),
    {% else %} candidates as (select * from staged),
    {% endif %}

    keyed as (
        select
            md5(source || '|' || source_table || '|' || event_key) as event_id,
            source,
            source_table,
            event_key,
            event_name,
            {{ owner_identifier() }} as owner_identifier,
            {{ account_identifier() }} as account_identifier,
            device_id,
            order_id,
            occurred_at,
            available_at,
            _file_id,
            _row_number,
            _row_key,
            _loaded_at
        from candidates
    ),

    {# Few keys come twice: only those are ranked. #}
    copies as (
        select
            event_id,
            count(*) as copy_count,
            max(_loaded_at) as last_loaded_at,
            max(available_at) as last_available_at
        from keyed
        group by event_id
    ),

    ranked as (
        select
            keyed.*,
            row_number() over (
                partition by keyed.event_id
                order by keyed.available_at, keyed._row_key, keyed._file_id, keyed._row_number
            ) as delivery
        from keyed
        inner join copies on keyed.event_id = copies.event_id and copies.copy_count > 1
    ),

    winners as (
        select keyed.*, 1 as delivery
        from keyed
        inner join copies on keyed.event_id = copies.event_id and copies.copy_count = 1
        union all
        select *
        from ranked
        where delivery = 1
    ),

    final as (
        select
            winners.event_id,
            winners.source,
            winners.source_table,
            winners.event_key,
            winners.event_name,
            winners.owner_identifier,
            winners.account_identifier,
            winners.device_id,
            winners.order_id,
            winners.occurred_at,
            winners.available_at,
            winners._file_id,
            winners._row_number,
            copies.copy_count,
            copies.last_available_at,
            copies.last_loaded_at as _loaded_at
        from winners
        inner join copies on winners.event_id = copies.event_id
    )

select *
from final
