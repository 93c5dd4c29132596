{# Orders and their money. #}
{#
    An order's id within the order namespace of its table's landing contract, so that two reports of one order
    agree and orders of two shops never do.
#}
{% macro order_key(source_name, table_name, order_id) %}
    {% set found = namespace(order_namespace="") %}
    {% if execute %}
        {% for node in graph.sources.values() if node.source_name == source_name and node.name == table_name %}
            {% set found.order_namespace = node.config.meta.landing.order_namespace %}
        {% endfor %}
        {% if not found.order_namespace %}
            {{
                exceptions.raise_compiler_error(
                    "The contract of " ~ source_name ~ "." ~ table_name ~ " names no order_namespace."
                )
            }}
        {% endif %}
    {% endif %}
    '{{ found.order_namespace }}:' || {{ order_id }}
{% endmacro %}


{#
    Money in major units from the minor units payment providers count in; a few currencies have none or three decimals
    (ISO 4217, as Stripe charges them: https://docs.stripe.com/currencies).
#}
{% macro from_minor_units(amount, currency) %}
    cast(
        {{ amount }} / case
            when
                lower({{ currency }}) in (
                    'bif',
                    'clp',
                    'djf',
                    'gnf',
                    'jpy',
                    'kmf',
                    'krw',
                    'mga',
                    'pyg',
                    'rwf',
                    'vnd',
                    'vuv',
                    'xaf',
                    'xof',
                    'xpf'
                )
            then 1
            when lower({{ currency }}) in ('bhd', 'jod', 'kwd', 'omr', 'tnd')
            then 1000
            else 100
        end as decimal(18, 2)
    )
{% endmacro %}
