{#
    A person's identifiers on an event, strongest first: the order of `priority` in `identifier_rules`
    (a test holds the two together). Account ids own nothing; they are a level of their own.
#}
{% macro person_identifier_columns() %}
    {{ return(["user_id", "crm_id", "support_id", "card_id", "email", "phone", "device_id"]) }}
{% endmacro %}


{# How surely an event is its person's, surest first. #}
{% macro identity_tiers() %}
    {{ return(["exact", "strong", "probable", "household", "account", "anonymous"]) }}
{% endmacro %}


{# The strongest identifier on a row that is not junk: it says who owns the event. #}
{% macro owner_identifier(relation="") %}
    {% set prefix = relation ~ "." if relation else "" %}
    coalesce(
        {% for column in person_identifier_columns() %}
            case when not {{ has_prefix(prefix ~ column, "junk_") }} then {{ prefix ~ column }} end
            {% if not loop.last %},{% endif %}
        {% endfor %}
    )
{% endmacro %}


{# What on a row may say whose account it is: the account it names, else a role's mailbox. #}
{% macro account_identifier() %}
    coalesce(
        case when not {{ has_prefix("account_id", "junk_") }} then account_id end,
        case when {{ has_prefix("email", "junk_") }} then email end
    )
{% endmacro %}


{# One account per person: a company they are known at, else their mailbox's domain; the one heard of last. #}
{% macro account_of_each_person() %}
    select person_id, account_key
    from
        (
            select
                person_id,
                account_key,
                row_number() over (
                    partition by person_id order by kind, known_from desc, account_key
                ) as place
            from {{ source("identity", "accounts") }}
            where person_id is not null
        ) as ranked
    where place = 1
{% endmacro %}


{#
    Whose anonymous events on a shared device are (var `shared_devices`). device_split: whoever was known on it last
    before them, or nobody. last_auth: the whole of them are whoever was known on it last, as other tools have it.
#}
{% macro lent_events() %}
    {% set lends = var("shared_devices") %}
    {% if lends == "device_split" %} rows between unbounded preceding and current row
    {% elif lends == "last_auth" %} rows between unbounded preceding and unbounded following
    {% else %}
        {{
            exceptions.raise_compiler_error(
                "shared_devices is '" ~ lends ~ "' but must be device_split or last_auth"
            )
        }}
    {% endif %}
{% endmacro %}


{#
    The component an event belongs to: that of its owner identifier, else of its order, else the event alone.
    The arguments are the aliases of the event keys and of two joins to `identity.identifiers`.
#}
{% macro component_of_event(keys, owners, orders) %}
    coalesce({{ owners }}.component_id, {{ orders }}.component_id, {{ keys }}.event_id)
{% endmacro %}


{% macro consent_purposes() %} {{ return(["analytics", "marketing", "personalisation"]) }} {% endmacro %}


{# What a contract grants when nobody said anything: true where `purpose` is granted by default. #}
{% macro consent_default(purpose, source_column="source") %}
    {% set granted = [] %}
    {% if execute %}
        {% for node in graph.sources.values() if node.source_name not in granted %}
            {% set defaults = (node.source_meta or {}).get("landing", {}).get("consent_default", {}) %}
            {% if defaults.get(purpose) == "granted" %} {% do granted.append(node.source_name) %} {% endif %}
        {% endfor %}
    {% endif %}
    {{ source_column }} in ('{{ granted | join("', '") }}')
{% endmacro %}
