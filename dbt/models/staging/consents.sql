{{ union_canonical("consents", [ref("stg_segment__consents")]) }}
