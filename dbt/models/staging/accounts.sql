{{ union_canonical("accounts", [ref("stg_hubspot__accounts"), ref("stg_ravenstack__accounts")]) }}
