{# The traffic rules are regular expressions: tried once per distinct user agent, not per event. #}
with
    user_agents as (select distinct user_agent from {{ ref("events") }} where user_agent is not null),

    rules as (select * from {{ ref("traffic_rules") }} where field = 'user_agent'),

    matched as (
        select
            user_agents.user_agent,
            rules.traffic_class,
            rules.reason,
            row_number() over (partition by user_agents.user_agent order by rules.rule_order) as choice
        from user_agents
        left join rules on {{ matches("user_agents.user_agent", "rules.pattern") }}
    ),

    final as (
        select user_agent, coalesce(traffic_class, 'human') as traffic_class, reason
        from matched
        where choice = 1
    )

select *
from final
