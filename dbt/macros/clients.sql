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


{# The browser's name from the user agent; those that call themselves several come before the one they imitate. #}
{% macro browser(user_agent) %}
    case
        when
            {{ user_agent }} like '%Edg/%'
            or {{ user_agent }} like '%EdgA/%'
            or {{ user_agent }} like '%EdgiOS/%'
        then 'Edge'
        when {{ user_agent }} like '%SamsungBrowser/%'
        then 'Samsung Internet'
        when {{ user_agent }} like '%OPR/%'
        then 'Opera'
        when {{ user_agent }} like '%Firefox/%' or {{ user_agent }} like '%FxiOS/%'
        then 'Firefox'
        when {{ user_agent }} like '%Chrome/%' or {{ user_agent }} like '%CriOS/%'
        then 'Chrome'
        when {{ user_agent }} like '%Safari/%'
        then 'Safari'
    end
{% endmacro %}
