{#
    Incremental strategy of the tables about identifiers: drop the rows of the identifiers this night touches
    (`unique_key` names the columns that hold one) and write them anew, in one transaction. What no row says
    any more goes with them.
#}
{% macro get_incremental_replace_touched_sql(arg_dict) %}
    {% set target = arg_dict["target_relation"] %}
    {% set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") %}
    {% set keys = [arg_dict["unique_key"]] if arg_dict["unique_key"] is string else arg_dict["unique_key"] %}
    {% set touched = " in (select identifier from identity.touched_identifiers)" %}
    {{ "delete from " ~ target ~ " where " ~ keys | join(touched ~ " or ") ~ touched ~ ";" }}
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
