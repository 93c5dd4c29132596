"""The words of the demo company: names, places, pages, plans and forms. What people say is in phrases.py."""

from __future__ import annotations

from typing import NamedTuple


def _words(lines: str) -> list[str]:
    return lines.split()


FIRST_NAMES = _words("""
    Ana Ben Chloe Daniel Elif Farid Grace Hugo Ines Jonas Kavya Liam Maya Noah Olivia Priya Quentin Rosa Samir Tara
    Umar Vera Wei Ximena Yara Zoe Aisha Bruno Carmen Diego Emma Felix Gita Hana Ivan Jade Karim Lena Marco Nadia
    Oscar Paula Rafael Sofia Theo Ursula Victor Willa Yusuf Zara Amara Boris Celine Dmitri Esther Fatima George
    Helena Idris Julia Kenji Laura Mateo Nora Owen Petra Ravi Sara Tomas Uma Violet Xavier
""")
LAST_NAMES = _words("""
    Silva Okafor Martin Novak Yilmaz Haddad Taylor Moreau Costa Weber Reddy Walsh Cohen Berg Hughes Sharma Dubois
    Rossi Khan Nguyen Farah Petrov Chen Lopez Sato Kowalski Mensah Ferreira Ortiz Schmidt Larsen Romano Patel Suzuki
    Ivanov Andersson Aziz Keller Bianchi Popescu Lindgren Santos Navarro Jansen Baker Kaya Mbeki Ibrahim Fischer
    Murphy Tanaka Horvat Morgan Adeyemi Vega Olsen Pereira Gruber Banerjee Doyle Laurent Castro Nowak Wright Ahmed
    Bauer
""")
STREETS = _words("""
    Maple Harbor Mill Station Orchard Bridge Meadow Chapel Linden Quarry Garden Weaver Potter Summit River Heron
    Juniper Foundry Market Tanner Willow Castle Lantern Saddler Cooper Granary
""")
STREET_KINDS = ("Street", "Road", "Lane", "Avenue", "Square")
# Made-up towns, a handful for each zone.
TOWNS = _words("""
    Northfield Eastbrook Harlow-Mills Cedarton Ashbourne Lakemont Fairhaven Millbridge Oakhurst Rivergate Stonewick
    Pinecrest Brambleford Westerly Kingsmere Thornbury Saltmarsh Greenholt
""")
COMPANY_FIRST = _words("""
    bright north blue stone river maple swift ember cedar harbor silver polar amber lunar quiet bold iron meadow
    pixel orbit summit copper willow delta echo fable granite hollow indigo juniper
""")
COMPANY_SECOND = _words("""
    forge works labs studio path field craft line press wave point mill yard tide grove bridge loop nest stack gate
""")


class Zone(NamedTuple):
    """Where people live: a fixed offset from UTC (no daylight saving: the demo needs evenings, not law)."""

    offset_hours: float
    name: str
    country: str
    locale: str
    share: float


# India has the half hour.
ZONES = (
    Zone(-5.0, "America/New_York", "US", "en-US", 0.30),
    Zone(-8.0, "America/Los_Angeles", "US", "en-US", 0.16),
    Zone(0.0, "Europe/London", "GB", "en-GB", 0.17),
    Zone(1.0, "Europe/Berlin", "DE", "de-DE", 0.14),
    Zone(5.5, "Asia/Kolkata", "IN", "en-IN", 0.12),
    Zone(-3.0, "America/Sao_Paulo", "BR", "pt-BR", 0.06),
    Zone(10.0, "Australia/Sydney", "AU", "en-AU", 0.05),
)


class DeviceModel(NamedTuple):
    """A kind of device; ``share`` is among its kind. Only apps report what they run on, {version} in their agent."""

    kind: str
    user_agent: str
    share: float
    os: str = ""
    os_version: str = ""
    type: str = ""
    manufacturer: str = ""


DEVICE_KINDS = ("desktop", "phone", "tablet", "app")
_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)"
_IPAD = "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X)"
_PIXEL = "Mozilla/5.0 (Linux; Android 14; Pixel 8)"
_GALAXY = "Mozilla/5.0 (Linux; Android 13; SM-S911B)"
_GALAXY_TABLET = "Mozilla/5.0 (Linux; Android 13; SM-X200)"
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_CHROME = "Chrome/125.0.0.0"
DEVICE_MODELS = (
    DeviceModel("desktop", f"{_WINDOWS}) {_BLINK} {_CHROME} Safari/537.36", 0.40),
    DeviceModel("desktop", f"{_WINDOWS}; rv:126.0) Gecko/20100101 Firefox/126.0", 0.12),
    DeviceModel("desktop", f"{_WINDOWS}) {_BLINK} {_CHROME} Safari/537.36 Edg/125.0.0.0", 0.13),
    DeviceModel("desktop", f"{_MAC} {_BLINK} {_CHROME} Safari/537.36", 0.20),
    DeviceModel("desktop", f"{_MAC} {_WEBKIT} Version/17.5 Safari/605.1.15", 0.15),
    DeviceModel("phone", f"{_IPHONE} {_WEBKIT} Version/17.5 Mobile/15E148 Safari/604.1", 0.50),
    DeviceModel("phone", f"{_PIXEL} {_BLINK} {_CHROME} Mobile Safari/537.36", 0.30),
    DeviceModel("phone", f"{_GALAXY} {_BLINK} SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36", 0.20),
    DeviceModel("tablet", f"{_IPAD} {_WEBKIT} Version/17.5 Mobile/15E148 Safari/604.1", 0.70),
    DeviceModel("tablet", f"{_GALAXY_TABLET} {_BLINK} {_CHROME} Safari/537.36", 0.30),
    DeviceModel("app", "Lumen/{version} (iPhone; iOS 17.5)", 0.22, "iOS", "17.5", "ios", "Apple"),
    DeviceModel("app", "Lumen/{version} (iPhone; iOS 16.7)", 0.12, "iOS", "16.7", "ios", "Apple"),
    DeviceModel("app", "Lumen/{version} (Linux; Android 14; Pixel 8)", 0.36, "Android", "14", "android", "Google"),
    DeviceModel("app", "Lumen/{version} (Linux; Android 13; S23)", 0.30, "Android", "13", "android", "samsung"),
)

# Crawlers and AI agents: user agent and share of their visits.
_COMPATIBLE = f"Mozilla/5.0 {_BLINK[:-1]}; compatible;"
CRAWLERS = (
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 0.34),
    ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", 0.16),
    (f"Mozilla/5.0 (X11; Linux x86_64) {_BLINK} HeadlessChrome/124.0.0.0 Safari/537.36", 0.06),
    (f"{_COMPATIBLE} GPTBot/1.2; +https://openai.com/gptbot)", 0.18),
    (f"{_COMPATIBLE} ClaudeBot/1.0; +claudebot@anthropic.com)", 0.16),
    (f"{_COMPATIBLE} PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)", 0.10),
)
# Then a monitor, a script that pretends to be a browser, and Lumen's own staff on the test site.
ROBOT_AGENTS = (
    *(agent for agent, _ in CRAWLERS),
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    DEVICE_MODELS[0].user_agent,
    DEVICE_MODELS[3].user_agent,
)
MONITOR, SCRIPT, STAFF = range(len(CRAWLERS), len(ROBOT_AGENTS))


class Page(NamedTuple):
    """A page of the website; ``share`` among the pages people wander to."""

    name: str
    path: str
    title: str
    share: float


PAGES = (
    Page("Home", "/", "Lumen: plan projects in daylight", 0.22),
    Page("Pricing", "/pricing", "Pricing - Lumen", 0.20),
    Page("Features", "/features", "Features - Lumen", 0.23),
    Page("Blog", "/blog/plan-a-launch-in-a-week", "How to plan a launch in a week - Lumen blog", 0.17),
    Page("Docs", "/docs/getting-started", "Getting started - Lumen docs", 0.13),
    Page("Customers", "/customers", "Teams that plan with Lumen", 0.05),
    Page("Welcome", "/welcome", "Welcome aboard - Lumen", 0.0),
)
HOME, PRICING, FEATURES, BLOG, DOCS, CUSTOMERS, WELCOME = range(len(PAGES))


class Touch(NamedTuple):
    """How a visit came about; ``share`` among first visits, ``lift`` on the logit of signing up."""

    channel: str
    first_page: int
    share: float
    lift: float
    referrer: str | None = None
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    term: str | None = None
    content: str | None = None
    click_id: str | None = None


_GOOGLE, _FACEBOOK = "https://www.google.com/", "https://l.facebook.com/"
TOUCHES = (
    Touch("organic search", HOME, 0.17, 0.2, _GOOGLE),
    Touch("organic search", FEATURES, 0.04, 0.2, "https://www.bing.com/"),
    Touch("organic search", BLOG, 0.04, 0.1, "https://duckduckgo.com/"),
    Touch("paid search", HOME, 0.09, 0.5, _GOOGLE, "google", "cpc", "brand_search", "lumen planner", click_id="gclid"),
    Touch("paid search", FEATURES, 0.11, 0.0, _GOOGLE, "google", "cpc", "generic_search", "planner", click_id="gclid"),
    Touch("paid search", PRICING, 0.03, 0.0, _GOOGLE, click_id="gclid"),
    Touch(
        "paid social", FEATURES, 0.09, -0.3, _FACEBOOK, "facebook", "paid_social", "spring_teams",
        content="carousel_a", click_id="fbclid",
    ),
    Touch(
        "paid social", HOME, 0.05, -0.4, _FACEBOOK, "facebook", "paid_social", "lookalike_owners",
        content="video_b", click_id="fbclid",
    ),
    # The campaign that spends and never converts.
    Touch("display", HOME, 0.03, -40.0, None, "display_network", "display", "awareness_banner", content="banner_728"),
    Touch("email", BLOG, 0.06, 0.3, None, "newsletter", "email", "product_news", content="top_link"),
    Touch("referral", PRICING, 0.08, 0.5, "https://toolbox-reviews.example/best-planning-apps"),
    Touch("referral", FEATURES, 0.03, 0.3, "https://forum.makers.example/t/planning"),
    Touch("ai assistant", PRICING, 0.03, 0.5, "https://chatgpt.com/", "chatgpt.com"),
    Touch("organic social", BLOG, 0.03, 0.0, "https://www.linkedin.com/"),
    # The launch that brings many at once; nobody comes by it otherwise.
    Touch(
        "paid social", FEATURES, 0.0, -0.6, _FACEBOOK, "facebook", "paid_social", "summer_launch",
        content="video_c", click_id="fbclid",
    ),
    # The invitation to the webinar; only those who attend come by it.
    Touch("email", BLOG, 0.0, 0.3, None, "newsletter", "email", "webinar_invitation", content="top_link"),
    Touch("direct", HOME, 0.12, 0.3),
)  # fmt: skip
ORGANIC, BRAND_SEARCH, NEWSLETTER = 0, 3, 9
LAUNCH, INVITATION, DIRECT = range(len(TOUCHES) - 3, len(TOUCHES))


class Plan(NamedTuple):
    """A paid plan, in cents a month."""

    name: str
    price_id: str
    cents: int
    share: float


PLANS = (
    Plan("Starter", "price_starter", 1900, 0.55),
    Plan("Team", "price_team", 4900, 0.35),
    Plan("Business", "price_business", 14900, 0.10),
)

FEATURES_USED = ("board", "timeline", "gantt", "comments", "calendar", "automations", "reports", "export", "files")


class JourneyType(NamedTuple):
    """A way of going about it: what people of this type read, use and come by, never whether they pay.

    ``pages`` are shares among the pages people wander to, ``features`` among FEATURES_USED, ``channels`` multiply
    the shares of TOUCHES, ``app`` is the share of work done in the app where there is one, ``evening`` the share
    of sessions after work, ``contacts`` how help is asked for: by ticket, call, chat.
    """

    name: str
    share: float
    pages: tuple[float, ...]
    features: tuple[float, ...]
    channels: dict[str, float]
    app: float
    evening: float
    contacts: tuple[float, float, float]


JOURNEY_TYPES = (
    JourneyType(
        "researcher", 0.27, (0.06, 0.08, 0.26, 0.32, 0.25, 0.03, 0.0),
        (0.10, 0.12, 0.10, 0.08, 0.05, 0.04, 0.34, 0.13, 0.04),
        {"organic search": 2.0, "ai assistant": 2.5, "paid social": 0.3, "display": 0.3},
        0.25, 0.35, (0.70, 0.10, 0.20),
    ),
    JourneyType(
        "bargain hunter", 0.21, (0.22, 0.50, 0.10, 0.06, 0.04, 0.08, 0.0),
        (0.34, 0.06, 0.03, 0.05, 0.06, 0.03, 0.05, 0.30, 0.08),
        {"paid search": 1.8, "display": 1.8, "email": 2.0, "organic search": 0.6}, 0.35, 0.45, (0.35, 0.15, 0.50),
    ),
    JourneyType(
        "on the go", 0.20, (0.38, 0.14, 0.30, 0.10, 0.04, 0.04, 0.0),
        (0.16, 0.03, 0.02, 0.34, 0.33, 0.03, 0.02, 0.02, 0.05),
        {"paid social": 2.5, "organic social": 2.5, "referral": 0.4}, 0.92, 0.70, (0.15, 0.15, 0.70),
    ),
    JourneyType(
        "organiser", 0.19, (0.16, 0.20, 0.16, 0.06, 0.14, 0.28, 0.0),
        (0.10, 0.06, 0.04, 0.14, 0.06, 0.32, 0.06, 0.02, 0.20),
        {"referral": 2.8, "direct": 1.5, "paid social": 0.4}, 0.45, 0.15, (0.40, 0.50, 0.10),
    ),
    JourneyType(
        "planner", 0.13, (0.14, 0.10, 0.36, 0.08, 0.28, 0.04, 0.0),
        (0.06, 0.34, 0.38, 0.04, 0.04, 0.02, 0.06, 0.04, 0.02),
        {"direct": 2.0, "organic search": 1.2, "email": 0.6}, 0.15, 0.20, (0.60, 0.30, 0.10),
    ),
)  # fmt: skip


# What is bought apart from a plan, in cents.
class Pack(NamedTuple):
    """A pack, bought once at the online checkout."""

    name: str
    sku: str
    cents: int
    share: float


PACKS = (
    Pack("Template pack", "PACK-TPL", 900, 0.40),
    Pack("Guest seats", "PACK-SEAT", 2400, 0.25),
    Pack("Assistant minutes", "PACK-AI", 1500, 0.25),
    Pack("Workshop", "PACK-WRK", 9900, 0.10),
)

ONBOARDING_STEPS = ("profile", "project", "import", "invite")
IMPORT_ERRORS = (
    ("column_mapping", "Choose a field for every column."),
    ("file_type", "This file type cannot be imported."),
)
CHECKOUT_STEPS = ("review", "details", "payment")

# Error code and wording, as the forms show them.
CHECKOUT_ERRORS = (
    ("card_number", "Your card number is incomplete."),
    ("postal_code", "Your postal code is invalid."),
    ("vat_id", "This VAT number could not be checked."),
    ("card_number", "Your card was declined."),
)
INCIDENT_ERROR = ("submit", "Something went wrong. Please try again.")
SIGNUP_ERRORS = (("password", "Password is too short."), ("email", "Enter a valid e-mail address."))
RETURN_REASONS = ("bought by mistake", "does not fit", "found it cheaper", "does not work")
CANCEL_REASONS = ("too expensive", "missing features", "switched to another tool", "project ended", "not used enough")
CARD_BRANDS = ("visa", "mastercard", "amex")

AGENTS = ("Nia Brook", "Tom Ashdown", "Leila Marsh", "Piotr Vale", "Sunil Grant", "Hester Lane")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
