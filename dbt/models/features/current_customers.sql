{# The same for tonight, the local day after the as-of's: who is scored, and on what. #}
with tonight as (select {{ tonight() }} as snapshot_date), {{ held_ctes("tonight") }}, {{ feature_ctes() }}

select *
from features
