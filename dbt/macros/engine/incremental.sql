{#
    Incremental strategy of every table that is rebuilt by component: drop the rows of the components
    this night touches (`timeline.affected_components` holds their old and new labels) and write them anew,
    in one transaction. Rows that moved or vanished go with their component, so nothing is left behind.
#}
{% macro get_incremental_replace_affected_sql(arg_dict) %}
    {{ _replace_rows(arg_dict, "component_id in (select component_id from timeline.affected_components)") }}
{% endmacro %}


{#
    The same for tables of weekly snapshots: what is later than the last completed night goes too, and is written for
    everybody.
#}
{% macro get_incremental_replace_affected_weeks_sql(arg_dict) %}
    {{
        _replace_rows(
            arg_dict,
            "component_id in (select component_id from timeline.affected_components)"
            ~ " or snapshot_date > "
            ~ open_day("cast('" ~ var("previous_as_of") ~ "' as timestamp)"),
        )
    }}
{% endmacro %}


{#
    The same for the tables about identifiers: the rows of the identifiers this night touches (`unique_key` names the
    columns that hold one). What no row says any more goes with them.
#}
{% macro get_incremental_replace_touched_sql(arg_dict) %}
    {% set keys = [arg_dict["unique_key"]] if arg_dict["unique_key"] is string else arg_dict["unique_key"] %}
    {% set touched = " in (select identifier from identity.touched_identifiers)" %}
    {{ _replace_rows(arg_dict, keys | join(touched ~ " or ") ~ touched) }}
{% endmacro %}


{# Statements as text, which the formatter leaves alone. #}
{% macro _replace_rows(arg_dict, condition) %}
    {% set target = arg_dict["target_relation"] %}
    {% set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") %}
    {{ "delete from " ~ target ~ " where " ~ condition ~ ";" }}
    {{
        (
            "insert into "
            ~ target
            ~ " ("
            ~ columns
            ~ ") select "
            ~ columns
            ~ " from "
            ~ arg_dict["temp_relation"]
        )
    }}
{% endmacro %}


{# Keeps a model to the components this night touches; a full build takes them all. #}
{% macro in_affected_component(column="component_id") %}
    {% set affected = ref("affected_components") %}
    {% if is_incremental() %} {{ column }} in (select component_id from {{ affected }})
    {% else %} true
    {% endif %}
{% endmacro %}


{# Last night's version of a table, without a lineage edge to it; none on a first build. #}
{% macro last_night(schema, table) %}
    {{ return(adapter.get_relation(database=target.database, schema=schema, identifier=table)) }}
{% endmacro %}
