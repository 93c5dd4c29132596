{{
    union_canonical(
        "consents",
        [ref("stg_hubspot__consents"), ref("stg_segment__consents"), ref("stg_sendgrid__consents")],
    )
}}
