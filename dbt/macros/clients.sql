{# What a client says about itself. Plain `like`, because these run over every web event. #}
{# desktop, mobile or tablet: from the device a library reports, else from the user agent. #}
{% macro device_type(reported, user_agent) %}
    case
        when {{ user_agent }} like '%iPad%' or {{ user_agent }} like '%Tablet%'
        then 'tablet'
        when lower({{ reported }}) in ('ios', 'android') or {{ user_agent }} like '%Mobi%'
        then 'mobile'
        when {{ user_agent }} like '%Android%'
        then 'tablet'
        when
            {{ user_agent }} like '%Windows NT%'
            or {{ user_agent }} like '%Macintosh%'
            or {{ user_agent }} like '%X11%'
        then 'desktop'
    end
{% endmacro %}


{# The operating system's name: as a library reports it, else from the user agent. #}
{% macro operating_system(reported, user_agent) %}
    case
        when {{ reported }} = 'iPhone OS'
        then 'iOS'
        when {{ reported }} is not null
        then {{ reported }}
        when {{ user_agent }} like '%iPhone%' or {{ user_agent }} like '%iPad%'
        then 'iOS'
        when {{ user_agent }} like '%Android%'
        then 'Android'
        when {{ user_agent }} like '%Windows%'
        then 'Windows'
        when {{ user_agent }} like '%Mac OS X%'
        then 'macOS'
        when {{ user_agent }} like '%CrOS%'
        then 'ChromeOS'
        when {{ user_agent }} like '%Linux%'
        then 'Linux'
    end
{% endmacro %}
