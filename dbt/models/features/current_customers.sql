{# The same for tonight, the local day after the as-of's: who is scored, and on what. #}
with tonight as (select {{ tonight() }} as snapshot_date), {{ holder_ctes() }}, {{ feature_ctes("tonight") }}

select *
from features
