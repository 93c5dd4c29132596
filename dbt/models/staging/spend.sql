{{ union_canonical("spend", [ref("stg_google_ads__spend")]) }}
