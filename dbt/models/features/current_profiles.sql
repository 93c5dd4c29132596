{# The same for tonight, of everybody who did anything. #}
with
    tonight as (select {{ tonight() }} as snapshot_date),

    {{ held_ctes("tonight") }},

    wanted as (select distinct snapshot_date, person_id from held),

    {{ profile_ctes("wanted") }},

    final as (
        select
            profiles.snapshot_date,
            profiles.person_id,
            anchors.identifier,
            profiles.component_id,
            profiles.block,
            profiles.action,
            profiles.action_count
        from profiles
        inner join anchors on profiles.person_id = anchors.person_id
    )

select *
from final
