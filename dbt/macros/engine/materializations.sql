{#
    How views, tables and incremental tables come into being: `create or replace`, in one transaction. dbt's own way
    builds beside, renames twice and drops, which on a small night costs more than the queries.
#}
{% materialization view, adapter = "duckdb" %} {{ return(_made_whole("view", sql)) }} {% endmaterialization %}


{% materialization table, adapter = "duckdb" %}
    {{ return(_made_whole("table", sql)) }}
{% endmaterialization %}


{#
    The columns are last night's: other models are a full build, which takes the first branch.
#}
{% materialization incremental, adapter = "duckdb" %}
    {% set existing = load_cached_relation(this) %}
    {% set made = _made_of(this, "table") %}
    {{ run_hooks(pre_hooks) }}
    {% if existing is none or not existing.is_table or should_full_refresh() %}
        {% call statement("main") %} {{ _replaced(made, sql) }}{% endcall %}
    {% else %}
        {% set fresh = api.Relation.create(identifier=this.identifier ~ "__fresh", type="table") %}
        {% call statement("fresh") %} {{ "create or replace temp table " ~ fresh ~ " as (" ~ sql ~ "\n)" }}
        {% endcall %}
        {% set write = adapter.get_incremental_strategy_macro(context, config.get("incremental_strategy")) %}
        {% call statement("main") %}
            {{
                write(
                    {
                        "target_relation": made,
                        "temp_relation": fresh,
                        "unique_key": config.get("unique_key"),
                        "dest_columns": adapter.get_columns_in_relation(existing),
                        "incremental_predicates": none,
                    }
                )
            }}
        {% endcall %}
        {% call statement("after") %} {{ "drop table " ~ fresh }}
        {% endcall %}
    {% endif %}
    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return({"relations": [made]}) }}
{% endmaterialization %}


{% macro _made_whole(kind, sql) %}
    {% set made = _made_of(this, kind) %}
    {{ run_hooks(pre_hooks) }}
    {% call statement("main") %} {{ _replaced(made, sql) }}{% endcall %}
    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return({"relations": [made]}) }}
{% endmacro %}


{# The relation to make. What stands there under its name is dropped if it is of the other kind. #}
{% macro _made_of(relation, kind) %}
    {% set existing = load_cached_relation(relation) %}
    {% if existing is not none and existing.type != kind %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {{ return(relation.incorporate(type=kind)) }}
{% endmacro %}


{# Statements as text, which the formatter leaves alone. #}
{% macro _replaced(relation, sql) %}
    {{- "create or replace " ~ relation.type ~ " " ~ relation ~ " as (" ~ sql ~ "\n)" -}}
{% endmacro %}
