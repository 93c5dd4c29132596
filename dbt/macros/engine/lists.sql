{# Tokens, lists of them and keys of their rows: how they are made and taken apart differs between engines. #}
{# The tokens of a row that may identify something: those present and not junk. #}
{% macro token_list(columns) %}
    list_filter(
        [{{ columns | join(", ") }}], lambda token:token is not null and not starts_with(token, 'junk_')
    )
{% endmacro %}


{# One row per element of a list: use in the select list. #}
{% macro list_to_rows(column) %} unnest({{ column }}) {% endmacro %}


{# Type and namespace of a token: all of it before the last colon. #}
{% macro token_class(token) %} regexp_replace({{ token }}, ':[^:]*$', '') {% endmacro %}


{# A 64-bit digest of the given columns, for keys that may collide once in a while without harm. #}
{% macro small_digest(columns) %} md5_number_lower(concat_ws('|', {{ columns | join(", ") }})) {% endmacro %}
