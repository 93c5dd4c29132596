{# What the address of a page says. #}
{# The ad platform whose click id stands in a URL's query; null without one. #}
{% macro click_id_type(url) %}
    case
        when {{ url }} like '%?%'
        then
            case
                regexp_extract(
                    {{ url }},
                    '[?&](gclid|gbraid|wbraid|dclid|fbclid|msclkid|ttclid|li_fat_id|twclid|epik|rdt_cid|irclickid|yclid)=',
                    1
                )
                when 'gclid'
                then 'google'
                when 'gbraid'
                then 'google'
                when 'wbraid'
                then 'google'
                when 'dclid'
                then 'google'
                when 'fbclid'
                then 'facebook'
                when 'msclkid'
                then 'bing'
                when 'ttclid'
                then 'tiktok'
                when 'li_fat_id'
                then 'linkedin'
                when 'twclid'
                then 'twitter'
                when 'epik'
                then 'pinterest'
                when 'rdt_cid'
                then 'reddit'
                when 'irclickid'
                then 'impact'
                when 'yclid'
                then 'yandex'
            end
    end
{% endmacro %}


{# The first part of a URL's path, such as `pricing`; null on the home page. #}
{% macro url_first_path_part(url) %}
    nullif(regexp_extract({{ url }}, '^[a-zA-Z]+://[^/?#]+/([^/?#]+)', 1), '')
{% endmacro %}


{# The value of a parameter of a URL's query, decoded; null without one. #}
{% macro url_parameter(url, name) %}
    case
        when {{ url }} like '%{{ name }}=%'
        then
            nullif(url_decode(replace(regexp_extract({{ url }}, '[?&]{{ name }}=([^&#]*)', 1), '+', ' ')), '')
    end
{% endmacro %}
