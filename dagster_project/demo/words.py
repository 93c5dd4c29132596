"""The words of the demo company: names, places, pages and everything customers and agents write."""

FIRST_NAMES = ["Ana", "Ben", "Chloe", "Daniel", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kavya", "Liam", "Maya", "Noah", "Olivia", "Priya", "Quentin", "Rosa", "Samir", "Tara", "Umar", "Vera", "Wei", "Ximena", "Yara", "Zoe", "Aisha", "Bruno", "Carmen", "Diego", "Emma", "Felix", "Gita", "Hana", "Ivan", "Jade", "Karim", "Lena", "Marco", "Nadia", "Oscar", "Paula", "Rafael", "Sofia", "Theo", "Ursula", "Victor", "Willa", "Yusuf", "Zara", "Amara", "Boris", "Celine", "Dmitri", "Esther", "Fatima", "George", "Helena", "Idris", "Julia", "Kenji", "Laura", "Mateo", "Nora", "Owen", "Petra", "Ravi", "Sara", "Tomas", "Uma", "Violet", "Xavier"]
LAST_NAMES = ["Silva", "Okafor", "Martin", "Novak", "Yilmaz", "Haddad", "Taylor", "Moreau", "Costa", "Weber", "Reddy", "Walsh", "Cohen", "Berg", "Hughes", "Sharma", "Dubois", "Rossi", "Khan", "Nguyen", "Farah", "Petrov", "Chen", "Lopez", "Sato", "Kowalski", "Mensah", "Ferreira", "Ortiz", "Schmidt", "Larsen", "Romano", "Patel", "Suzuki", "Ivanov", "Andersson", "Aziz", "Keller", "Bianchi", "Popescu", "Lindgren", "Santos", "Navarro", "Jansen", "Baker", "Kaya", "Mbeki", "Ibrahim", "Fischer", "Murphy", "Tanaka", "Horvat", "Morgan", "Adeyemi", "Vega", "Olsen", "Pereira", "Gruber", "Banerjee", "Doyle", "Laurent", "Castro", "Nowak", "Wright", "Ahmed", "Bauer"]
COMPANY_FIRST = ["bright", "north", "blue", "stone", "river", "maple", "swift", "ember", "cedar", "harbor", "silver", "polar", "amber", "lunar", "quiet", "bold", "iron", "meadow", "pixel", "orbit", "summit", "copper", "willow", "delta", "echo", "fable", "granite", "hollow", "indigo", "juniper"]
COMPANY_SECOND = ["forge", "works", "labs", "studio", "path", "field", "craft", "line", "press", "wave", "point", "mill", "yard", "tide", "grove", "bridge", "loop", "nest", "stack", "gate"]

# Offset from UTC in hours (fixed, no daylight saving: the demo needs local evenings, not law), IANA name, country,
# locale, share of people. India has the half hour.
ZONES = (
    (-5.0, "America/New_York", "US", "en-US", 0.30),
    (-8.0, "America/Los_Angeles", "US", "en-US", 0.16),
    (0.0, "Europe/London", "GB", "en-GB", 0.17),
    (1.0, "Europe/Berlin", "DE", "de-DE", 0.14),
    (5.5, "Asia/Kolkata", "IN", "en-IN", 0.12),
    (-3.0, "America/Sao_Paulo", "BR", "pt-BR", 0.06),
    (10.0, "Australia/Sydney", "AU", "en-AU", 0.05),
)

_MOZILLA = "Mozilla/5.0"
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
# kind, user agent, os, os version, device type, manufacturer, app version (apps only), share of devices of that kind
DEVICE_MODELS = (
    ("desktop", f"{_MOZILLA} (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/125.0.0.0 Safari/537.36", None, None, None, None, None, 0.40),
    ("desktop", f"{_MOZILLA} (Windows NT 10.0; Win64; x64; rv:126.0) Gecko/20100101 Firefox/126.0", None, None, None, None, None, 0.12),
    ("desktop", f"{_MOZILLA} (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/125.0.0.0 Safari/537.36 Edg/125.0.0.0", None, None, None, None, None, 0.13),
    ("desktop", f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Chrome/125.0.0.0 Safari/537.36", None, None, None, None, None, 0.20),
    ("desktop", f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15", None, None, None, None, None, 0.15),
    ("phone", f"{_MOZILLA} (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1", None, None, None, None, None, 0.50),
    ("phone", f"{_MOZILLA} (Linux; Android 14; Pixel 8) {_WEBKIT} Chrome/125.0.0.0 Mobile Safari/537.36", None, None, None, None, None, 0.30),
    ("phone", f"{_MOZILLA} (Linux; Android 13; SM-S911B) {_WEBKIT} SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36", None, None, None, None, None, 0.20),
    ("tablet", f"{_MOZILLA} (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1", None, None, None, None, None, 0.70),
    ("tablet", f"{_MOZILLA} (Linux; Android 13; SM-X200) {_WEBKIT} Chrome/125.0.0.0 Safari/537.36", None, None, None, None, None, 0.30),
    ("app", "Lumen/4.2.1 (iPhone; iOS 17.5; Scale/3.00)", "iOS", "17.5", "ios", "Apple", "4.2.1", 0.35),
    ("app", "Lumen/4.1.0 (iPhone; iOS 16.7; Scale/3.00)", "iOS", "16.7", "ios", "Apple", "4.1.0", 0.20),
    ("app", "Lumen/4.2.0 (Linux; Android 14; Pixel 8)", "Android", "14", "android", "Google", "4.2.0", 0.25),
    ("app", "Lumen/4.1.0 (Linux; Android 13; SM-S911B)", "Android", "13", "android", "samsung", "4.1.0", 0.20),
)  # fmt: skip
# kind, user agent, share of robot visits
ROBOTS = (
    ("bot", f"{_MOZILLA} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 0.34),
    ("bot", f"{_MOZILLA} (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", 0.16),
    ("bot", f"{_MOZILLA} (X11; Linux x86_64) {_WEBKIT} HeadlessChrome/124.0.0.0 Safari/537.36", 0.06),
    ("ai_agent", f"{_MOZILLA} AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)", 0.18),
    ("ai_agent", f"{_MOZILLA} AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", 0.16),
    ("ai_agent", f"{_MOZILLA} AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)", 0.10),
)  # fmt: skip
MONITOR = f"{_MOZILLA}+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)"

# name, path, title, weight among pages people wander to
PAGES = (
    ("Home", "/", "Lumen: plan projects in daylight", 0.22),
    ("Pricing", "/pricing", "Pricing - Lumen", 0.20),
    ("Features", "/features", "Features - Lumen", 0.23),
    ("Blog", "/blog/plan-a-launch-in-a-week", "How to plan a launch in a week - Lumen blog", 0.17),
    ("Docs", "/docs/getting-started", "Getting started - Lumen docs", 0.13),
    ("Customers", "/customers", "Teams that plan with Lumen", 0.05),
    ("Welcome", "/welcome", "Welcome aboard - Lumen", 0.0),
)
HOME, PRICING, FEATURES, BLOG, DOCS, CUSTOMERS, WELCOME = range(len(PAGES))

# channel, referrer, source, medium, campaign, term or content, click id, first page, share of first visits, sign-up lift
TOUCHES = (
    ("organic search", "https://www.google.com/", None, None, None, None, None, HOME, 0.17, 0.2),
    ("organic search", "https://www.bing.com/", None, None, None, None, None, FEATURES, 0.04, 0.2),
    ("organic search", "https://duckduckgo.com/", None, None, None, None, None, BLOG, 0.04, 0.1),
    ("paid search", "https://www.google.com/", "google", "cpc", "brand_search", "lumen planner", "gclid", HOME, 0.09, 0.5),
    ("paid search", "https://www.google.com/", "google", "cpc", "project_planning_generic", "project planning app", "gclid", FEATURES, 0.11, 0.0),
    ("paid search", "https://www.google.com/", None, None, None, None, "gclid", PRICING, 0.03, 0.0),
    ("paid social", "https://l.facebook.com/", "facebook", "paid_social", "spring_teams", "carousel_a", "fbclid", FEATURES, 0.09, -0.3),
    ("paid social", "https://l.facebook.com/", "facebook", "paid_social", "lookalike_owners", "video_b", "fbclid", HOME, 0.05, -0.4),
    ("display", None, "display_network", "display", "awareness_banner", "banner_728", None, HOME, 0.03, -9.0),
    ("email", None, "newsletter", "email", "june_newsletter", "top_link", None, BLOG, 0.06, 0.3),
    ("referral", "https://toolbox-reviews.example/best-planning-apps", None, None, None, None, None, PRICING, 0.08, 0.5),
    ("referral", "https://forum.makers.example/t/planning", None, None, None, None, None, FEATURES, 0.03, 0.3),
    ("ai assistant", "https://chatgpt.com/", "chatgpt.com", None, None, None, None, PRICING, 0.03, 0.5),
    ("organic social", "https://www.linkedin.com/", None, None, None, None, None, BLOG, 0.03, 0.0),
    ("direct", None, None, None, None, None, None, HOME, 0.12, 0.3),
)  # fmt: skip
DIRECT = len(TOUCHES) - 1

FEATURES_USED = ("board", "timeline", "gantt", "comments", "calendar", "automations", "reports", "export", "files")
TEMPLATES = ("blank", "product launch", "sprint", "event", "client work")
CHECKOUT_ERRORS = (
    ("card_number", "Your card number is incomplete."),
    ("postal_code", "Your postal code is invalid."),
    ("vat_id", "This VAT number could not be checked."),
    ("card_number", "Your card was declined."),
)
INCIDENT_ERROR = ("submit", "Something went wrong. Please try again.")
SIGNUP_ERRORS = (("password", "Password is too short."), ("email", "Enter a valid e-mail address."))
CANCEL_REASONS = ("too expensive", "missing features", "switched to another tool", "project ended", "not used enough")
PLANS = (("Starter", 1900, 0.55), ("Team", 4900, 0.35), ("Business", 14900, 0.10))
CARD_BRANDS = ("visa", "mastercard", "amex")

AGENTS = ("Nia Brook", "Tom Ashdown", "Leila Marsh", "Piotr Vale", "Sunil Grant", "Hester Lane")

# Tickets: a theme has subjects and what is the matter; a mood has how it is said. {feature} and {tool} vary.
THEMES = (
    (
        "billing",
        ("Question about my invoice", "Charged twice?", "Invoice for {month}", "Wrong VAT on invoice", "Refund request"),
        (
            "I was charged twice for {month}.",
            "The invoice for {month} shows the wrong company address.",
            "My card was charged although I cancelled before the renewal.",
            "I need the VAT number on the invoice for {month}.",
            "The amount on the invoice does not match the price on your website.",
            "Our accountant asks for a receipt for {month}.",
        ),
    ),
    (
        "checkout",
        ("Cannot pay", "Checkout does not work", "Payment page", "Card refused at checkout", "Trying to upgrade"),
        (
            "The checkout page keeps loading after I enter my card.",
            "When I press Subscribe nothing happens.",
            "The payment form says something went wrong, and my bank sees no attempt.",
            "I tried three cards and each one is refused at checkout.",
            "The postal code field does not accept my code.",
            "I cannot move from the trial to the {plan} plan.",
        ),
    ),
    (
        "login",
        ("Cannot log in", "Password reset", "Locked out", "Invitation link expired", "Two-factor code"),
        (
            "The password reset mail never arrives.",
            "My colleague gets an expired link when accepting the invitation.",
            "The two-factor code is not accepted on my phone.",
            "I am logged out every few minutes.",
            "I signed up with the wrong address and would like to change it.",
        ),
    ),
    (
        "performance",
        ("Lumen is slow today", "{feature} takes ages", "Page does not load", "Freezing since the update"),
        (
            "The {feature} view takes half a minute to open.",
            "Since the last update the {feature} freezes when I drag a task.",
            "Saving in the {feature} times out for our bigger project.",
            "The app on my phone closes when I open the {feature}.",
        ),
    ),
    (
        "how to",
        ("How do I use the {feature}?", "Question about the {feature}", "Help with setting up", "Import from {tool}"),
        (
            "How can I import our old plan from {tool}?",
            "Is there a way to show only my tasks in the {feature}?",
            "Can I share the {feature} with a client who has no account?",
            "Where do I change the working days of the {feature}?",
            "I would like to print the {feature} on one page.",
        ),
    ),
    (
        "feature request",
        ("Idea for the {feature}", "Please add this", "Wish: {tool} integration", "Missing in the {feature}"),
        (
            "Please connect the {feature} with {tool}.",
            "It would help us to have repeating tasks in the {feature}.",
            "We need a dark mode for the {feature}.",
            "Could the {feature} remember its filters?",
            "Our team asks for guest access to the {feature}.",
        ),
    ),
    (
        "cancellation",
        ("Cancel my account", "How to cancel", "Ending our subscription", "Pause the subscription"),
        (
            "I want to cancel at the end of {month}.",
            "We moved to {tool} and no longer need the account.",
            "The project is over, please close our workspace.",
            "Can we pause the subscription until next season?",
        ),
    ),
    (
        "sync",
        ("Tasks disappeared", "Calendar sync", "Changes are lost", "Duplicate tasks"),
        (
            "Changes I make on the phone do not show up in the {feature}.",
            "Half of our tasks disappeared from the {feature} this morning.",
            "The calendar sync creates every event twice.",
            "The {feature} shows yesterday's dates for some people.",
        ),
    ),
)  # fmt: skip
BILLING, CHECKOUT, LOGIN, PERFORMANCE, HOW_TO, REQUEST, CANCELLATION, SYNC = range(len(THEMES))

OPENINGS = ("Hi,", "Hello,", "Hi team,", "Hello Lumen,", "Good morning,", "Hey there,", "Dear support,", "")
POSITIVE = (
    "We really enjoy working with Lumen so far.",
    "Great product, by the way, the whole team loves it.",
    "Everything else works beautifully.",
    "Your support was wonderful last time, so I am confident.",
    "It has saved us a lot of time, thank you.",
    "I am impressed by how easy the rest is.",
    "This is the best planner we have tried.",
    "No hurry, and thanks for the good work!",
)
NEGATIVE = (
    "This is really frustrating.",
    "I am very disappointed, we lost half a day.",
    "Honestly this is unacceptable for a paid product.",
    "It is the third time this fails and nobody cares.",
    "We are losing trust in this tool.",
    "Terrible experience, my boss is angry.",
    "If this is not fixed we will have to leave.",
    "I hate having to ask again.",
    "What a waste of time.",
    "Worst timing possible, we have a deadline tomorrow!!",
)
MIXED = (
    "I like the design a lot, but this is driving me mad.",
    "Usually it works great; today it is a mess.",
    "Your agents are kind, yet the problem comes back every week.",
    "Good idea, poor execution.",
    "I would recommend you, if only this worked.",
    "Nice update, although it broke our routine.",
    "Oh great, another error. Just what I needed today.",
)
NEUTRAL = (
    "I am on the {plan} plan.",
    "It happens in Chrome and in Firefox.",
    "We are a team of nine.",
    "I attached a screenshot.",
    "It started on Tuesday.",
    "My colleague sees the same.",
    "I have already cleared the cache.",
)
# Personal data that must never leave the vault readable: {email}, {phone} and {ip} are the writer's own.
PERSONAL = (
    "",
    "",
    "",
    "",
    "",
    "",
    "You can call me at {phone}.",
    "My login is {email}.",
    "Our office address is {ip}.",
)
CLOSINGS = ("Thanks", "Best regards", "Cheers", "Thank you in advance", "Regards", "", "Please advise.", "Kind regards")

AGENT_ANSWERS = (
    "Thanks for writing to us. I looked into the {feature} and found the cause; it is corrected now.",
    "I understand, and I am sorry for the trouble. Could you send me the name of the project?",
    "You will find this under Settings, then Workspace. Let me know if the {feature} looks right afterwards.",
    "I have passed this to our engineers and will come back to you by tomorrow.",
    "I corrected the invoice and sent it again.",
    "Please sign out, clear the cookies of lumen.example and try once more.",
    "Good question! The {feature} can do that from the {plan} plan on.",
    "We had a short disturbance this morning; everything is running again.",
    "I refunded the amount; it reaches your account within five working days.",
)
AGENT_CLOSINGS = ("I hope this helps.", "Have a good day!", "Just reply if anything is unclear.", "Happy to help.", "")
REPLIES_GOOD = (
    "Perfect, that worked. Thank you so much!",
    "Wow, that was fast. Great support!",
    "It works again, thanks a lot.",
    "Solved, you are wonderful.",
    "Great, exactly what I needed.",
    "Thanks, the {feature} is fine now.",
)
REPLIES_BAD = (
    "That did not help, it is still broken.",
    "I already tried this. Please read what I wrote.",
    "Still the same error in the {feature}. This is getting ridiculous.",
    "I have been waiting for days, very disappointing.",
    "No. It failed again and I am fed up.",
    "This answer is useless to me.",
)
REPLIES_MIXED = (
    "It works for now, but I am not happy that it took so long.",
    "Thanks for trying. The {feature} is better, yet not right.",
    "OK, half of it is solved.",
    "The name is Spring rollout.",
    "I will check with my colleague and come back.",
    "Fine, although I had hoped for a real fix.",
)
REOPENINGS = (
    "It is happening again.",
    "Sorry to reopen this, the problem is back since this morning.",
    "The fix lasted two days. Please have another look, this is annoying.",
    "One more question about the {feature}.",
)
RATING_GOOD = ("Quick and friendly.", "Great help!", "Very patient, thank you.", "Solved in one answer.")
RATING_BAD = ("Took far too long.", "Problem not solved.", "Nobody read my message.", "Bad experience.")
TOOLS = ("a spreadsheet", "our old tracker", "the calendar", "our chat", "the time sheet")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
