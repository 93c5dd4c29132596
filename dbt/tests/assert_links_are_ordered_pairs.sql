-- One row per pair and source: the smaller token comes first, and junk never links.
with
    links as (select * from {{ ref("links") }}),

    final as (
        select identifier_a, identifier_b, source
        from links
        group by identifier_a, identifier_b, source
        having
            count(*) > 1
            or identifier_a >= identifier_b
            or {{ has_prefix("identifier_a", "junk_") }}
            or {{ has_prefix("identifier_b", "junk_") }}
    )

select *
from final
