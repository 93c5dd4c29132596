{{ union_canonical("accounts", [ref("stg_ravenstack__accounts")]) }}
