{{
    union_canonical(
        "profiles",
        [ref("stg_segment__profiles"), ref("stg_stripe__profiles"), ref("stg_zendesk__profiles")],
    )
}}
