with
    diagnostics as (select * from {{ source("predictions", "model_diagnostics") }}),

    final as (
        select
            model,
            model_version,
            measure,
            bucket,
            bucket_order,
            round(expected, 6) as expected,
            round(observed, 6) as observed,
            round(low, 6) as low,
            round(high, 6) as high,
            row_count
        from diagnostics
    )

select *
from final
