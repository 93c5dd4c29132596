"""What the demo's customers and agents say, as the rules of the grammar that speech.py reads."""

# One alternative a line, however long it is.
# ruff: noqa: E501

from __future__ import annotations

from typing import NamedTuple


class By(NamedTuple):
    """A rule with alternatives for each theme (or second theme, mood, outcome)."""

    key: str
    table: dict[str, tuple[str, ...]]


# Whole sentences: what a contact is about.
_MATTER = {
    "billing": (
        "{I was|We were|My company was|Our card was} charged {twice|two times|double} for {month}{| again|, once on the {n}th and once two days later}.",
        "The invoice for {month} {shows|still shows|has} {the wrong company address|our old address|somebody else's name|the wrong VAT number|no VAT number}.",
        "{My card|Our card|The company card} was charged {although|even though|after} {I cancelled before the renewal|we had cancelled in {last month}|you confirmed that the plan was stopped}.",
        "{I need|We need|Our accountant asks for|Finance wants} {a proper invoice|a receipt|the PDF|a corrected invoice} for {month}{| and {last month}|, with our VAT number on it}.",
        "The amount on the {last|latest|{month}} invoice {does not match|differs from|is higher than} {the price on your website|what we agreed|what I see under Settings|the {plan} price}.",
        "{I asked for a refund|A refund was promised} {in {last month}|{n} days ago|two weeks ago} and {nothing has arrived|my bank shows nothing|the money is not here}.",
        "{I see|There is|My bank statement shows} a charge of {19|24|49|98|149} dollars that I {cannot place|do not recognise|cannot match to any invoice}.",
        "{Where do I|How can I|Can you} change the {billing address|card|invoice recipient|billing contact} for {the {plan} plan|our workspace|{company}}?",
        "{We went|We moved|You moved us} from {Starter to Team|Team to Business|monthly to yearly} and {were billed for both|the proration makes no sense|the old plan was billed once more}.",
    ),
    "checkout": (
        "The checkout {page|form|screen} {keeps loading|spins forever|just spins|hangs} after {I enter my card|the card number|I confirm the address}.",
        "When I {press|tap|click} {Pay|Subscribe|the pay button|Confirm} {nothing happens|the form goes blank|it jumps back to the first step|I get an error}.",
        "The {payment form|checkout|app} {says|tells me|shows} {\"Something went wrong. Please try again\"|that something went wrong|an error}{, and my bank sees no attempt| every single time| after the last step}.",
        "I tried {two|three|four} {cards|different cards|times with two cards} and {each one is refused at checkout|the checkout refuses them all|none goes through}.",
        "The {postal code|VAT number|card number} field {does not accept what I type|rejects my {code|number|entry}|stays red whatever I enter}.",
        "I {cannot|am not able to|tried to} {pay for|buy|order} {the template pack|guest seats|assistant minutes|the workshop|the {plan} plan}{| in the app| on my phone}{|: the order never goes through|: the last step fails}.",
        "{Since the update|Since this week|Today} {paying|the checkout|buying a pack} {in the app |on Android |on my phone |}{fails|is impossible|does not work}{|, the website asks me to try again later}.",
        "{Was I charged or not?|Did my order go through?} The {checkout|payment page} {stopped|crashed|froze} {right after I paid|at the last step|halfway}.",
    ),
    "login": (
        "The {password reset|reset|confirmation} {mail|e-mail|message} {never arrives|does not arrive|is not even in the spam folder}{|, I asked for it {n} times}.",
        "{My colleague|Our designer|A new team mate} gets {an expired link|an error|a blank page} when {accepting|opening} the invitation.",
        "The {two-factor|login|six-digit} code is {not accepted|refused|always wrong} {on my phone|since I have a new phone|although the clock is right|}.",
        "I am {logged out|thrown out|signed out} {every few minutes|again and again|each time I switch tabs|after {n} minutes}.",
        "I {signed up|registered|joined} with {the wrong address|my private address|a typo in my address} and {would like to change it|cannot get in now|need the work address instead}.",
        "{Single sign-on|Google login|Our SSO} {ends in a loop|sends me back to the login page|says the account does not exist}.",
        "My account {is locked|says locked|was locked} {after {n} attempts|although I typed the right password|this morning}{|, and the link to unlock it has expired}.",
        "{How do I|Where can I|Can you} {get back in|reset the two-factor device|merge my two logins} {now that I lost my phone|after changing my address|}?",
    ),
    "performance": (
        "The {feature} {takes|needs} {half a minute|{n} seconds|a whole minute|ages} to {open|load|show anything}{| with our bigger project| in the morning| for everybody here}.",
        "{Since the last update|Since {weekday}|Lately} the {feature} {freezes|hangs|stutters|locks up} {when I drag a task|when two of us edit|as soon as I scroll|}.",
        "Saving in the {feature} {times out|takes forever|fails every other time} {for our bigger project|when there are more than {n} tasks|after lunch}.",
        "The app on my phone {closes|crashes|quits} {when I open|as soon as I touch|in the middle of using} the {feature}.",
        "{Lumen|Everything|The whole workspace} {is|has been|feels} {very slow|sluggish|unusable|painfully slow} {today|since {weekday}|in the afternoon|on our office network}.",
        "My {browser|laptop|fan} {goes mad|is at full load|runs hot} {whenever|every time} {the {feature} is open|I leave the {feature} open}.",
        "Search {takes {n} seconds|returns nothing for a minute|makes the page unresponsive} {since the update|in projects with many files|}.",
    ),
    "how to": (
        "{Is there a way to|How can I|Can I} {show only my tasks|hide finished tasks|group by person|colour tasks by team} in the {feature}?",
        "{Can I|How do I|Is it possible to} share the {feature} with {a client|a freelancer|somebody|my boss} who has no account?",
        "Where do I {change|set|find} the {working days|time zone|public holidays|default view} of the {feature}?",
        "I would like to {print|export|save} the {feature} {on one page|as a PDF|for a meeting}{|, what is the best way}.",
        "{What is the difference between|When should I use} {a project and a board|labels and fields|the timeline and the calendar}{|, and which one would you pick for {n} people}?",
        "How do {I|we} {set up|make|copy} {a template|a recurring task|a dependency|an approval step} {in the {feature}|for {n} projects at once|}?",
        "I cannot find the {setting|button|switch} {to move a task to another project|for notifications|to archive a project}.{| The help page shows another screen.}",
        "{Where is|Where did you hide} the {setting|button|switch} {to move a task to another project|for notifications|to archive a project}?",
        "{Who can see|Can guests see|Does everybody see} {the comments|private tasks|what I put into the {feature}}?",
    ),
    "feature request": (
        "Please {connect|link|integrate} the {feature} with {tool}.",
        "It would {help|save} us {a lot|hours|so much} {to have|if there were} {repeating tasks|sub-tasks|custom fields|time tracking} in the {feature}.",
        "{We need|I would love|Any plans for} {a dark mode|an offline mode|keyboard shortcuts|bigger fonts} {for|in} the {feature}{.|, our eyes will thank you.}",
        "Could the {feature} {remember its filters|keep its zoom|show week numbers|sort by due date}?",
        "{Our team asks|My boss asks|Several of us ask} for {guest access|read-only access|approval by clients} {to|in} the {feature}.",
        "{What is missing for us is|The one thing we miss is} {an API for|a bulk edit in|an undo in|a print view of} the {feature}.",
        "{Other tools have|Our old tracker had} {a workload view|a proper undo|budget fields|shared calendars}{; is that planned?|, could you add that?}",
    ),
    "cancellation": (
        "{I want|I would like|We want} to cancel {at the end of {month}|our subscription|the {plan} plan|right away}.",
        "{We moved|Our team moved|We are moving} to {tool} and {no longer need|do not need} the account.",
        "The project is {over|finished|stopped}, {please close our workspace|so we do not need the plan any more|so please end the subscription}.",
        "Can we {pause|freeze|put on hold} the subscription {until next season|for {n} months|while the team is on leave}?",
        "{I cannot find|Where is|How do I reach} the {button to cancel|page to close my account|option to stop the renewal}?",
        "I {tried|have tried} to cancel {twice|in the app|on the website} and {the page sends me back|it still says active|nobody confirms it}.",
        "{Please delete|Please remove} {my account|our workspace} and {all data|everything in it}{|, we have made our exports}.",
    ),
    "sync": (
        "{Changes|Edits|Tasks} I make on {the phone|my phone|the train} {do not show up|arrive hours later|never arrive} in the {feature}.",
        "{Half of our|Some of our|{n} of our} tasks {disappeared|vanished|are gone} from the {feature} {this morning|overnight|since {weekday}}.",
        "The calendar {sync|connection|feed} {creates every event twice|stopped on {weekday}|shifts everything by one hour}.",
        "The {feature} shows {yesterday's dates|old data|another team's tasks} for {some people|{colleague}|half of us}.",
        "{Two of us|A colleague and I|We} {edited the same task|worked in the {feature}} and {one version was lost|my changes were overwritten|now there are two of everything}.",
        "{Files|Comments|Attachments} {I add|we upload} on {the website|the desktop} are {missing|empty|not there} in the app.",
        "Offline edits {are lost|come back twice|overwrite newer ones} {when I reconnect|as soon as I am online again}.",
    ),
    "import": (
        "The import {of our plan|from {tool}|of a CSV file} {stops|fails|gets stuck} at {the column mapping|row {n}|the step with the fields}.",
        "{I do not understand|I am lost at|I am stuck at} the {import step|column mapping|import screen}{: which field goes where?|, it asks me to choose a field for every column.| of the set-up.}",
        "It says {\"Choose a field for every column\"|\"This file type cannot be imported\"} {although I did|but the file is a plain CSV|and I cannot go on}.",
        "{How can I|What is the best way to|Can you help me} {import|bring over|move} our {old plan|{n} projects|tasks and dates} from {tool}?",
        "{All dates|Our umlauts and accents|The owners of tasks|Half of the columns} {came out wrong|are missing|were lost} {after the import|when I imported our plan}.",
        "The import {reports {n} errors|skips every second row|created everything twice} {without saying which|and there is no undo|}.",
        "{Since the new import screen|With the new onboarding} {I cannot|we cannot|nobody here can} {get our spreadsheet in|map our columns|finish the set-up}.",
    ),
    "pricing": (
        "{What would|How much would} the {plan} plan cost {for {n} people|for a year|for a school}?",
        "{Is there|Do you have} {a discount|a better price} {for non-profits|if we pay for a year|for {n} seats}?",
        "{Which plan|What plan} do we need {for guest access|for automations|with {n} people in two offices}?",
        "We {compare you with|are looking at} {tool} and {would like an offer|want to understand the price per seat}.",
    ),
    "ease of use": ("{How quickly can a team of {n} get started?|Is it easy to learn for people who never used a planner?}",),
    "support": ("{Do you offer support by phone?|How fast do you answer on the {plan} plan?}",),
}  # fmt: skip

# Whole sentences: more about it.
_DETAIL = {
    "billing": (
        "The invoice number ends in {n}{n}.",
        "{Our books close|The month closes} on {weekday}.",
        "The card ends in {n}0{n}.",
        "I {attached|attach} {the statement|both invoices|a screenshot of my bank}.",
    ),
    "checkout": (
        "{My bank|The bank} says the card is fine.",
        "I use {the Android app|the app|Chrome|Safari on my phone}.",
        "It worked {in {last month}|last time|with my old phone}.",
        "I {reinstalled the app|tried another network|cleared the cache}{|, no difference}.",
    ),
    "login": (
        "My address has not changed.",
        "{It happens|Same} in {browser} and in {other browser}.",
        "{I have a meeting in an hour|The whole team waits for me}.",
        "Other sites send me their mails {without trouble|at once}.",
    ),
    "performance": (
        "{We are|We have} {n} people in the workspace.",
        "{Our line is fast|Other sites are quick}, so it is not us.",
        "{It happens|Same} in {browser} and in {other browser}.",
        "{A restart|A reload} {helps for a while|does not help}.",
    ),
    "how to": (
        "I looked through the docs but {found nothing|the page is about the old version}.",
        "{It is not urgent|No hurry}.",
        "We {plan|are setting up} {n} projects this way.",
        "A link {to the right page|to a video} would be enough.",
    ),
    "feature request": (
        "{At least {n} of us|The whole team} would use it every day.",
        "Right now we {copy it by hand|keep a spreadsheet for it}.",
        "Happy to {test a beta|explain what we do}.",
        "I know you have a long list.",
    ),
    "cancellation": (
        "{Please confirm|I need a confirmation} in writing.",
        "Will our data stay {readable|available} for a while?",
        "It is {nothing personal|a matter of budget|because the team is smaller now}.",
        "Please make sure that {no further charge is made|the card is not charged again}.",
    ),
    "sync": (
        "{It started|This began} on {weekday}.",
        "^{colleague} sees the same{|, on another phone}.",
        "We {closed and reopened|logged out and in} {everywhere|on all devices}.",
        "{n} tasks are affected so far.",
    ),
    "import": (
        "The file has {n}0 rows{| and {n} columns}.",
        "I {tried|have tried} {CSV and Excel|three times|with a smaller file}.",
        "I {attached|can send you} the file.",
        "{We cannot start|The team waits} before this is in.",
    ),
    "pricing": ("We would start {next month|in {month}|soon}.", "We are {n} people now and will be more."),
    "ease of use": ("Some of us are not good with computers.",),
    "support": ("We work in two time zones.",),
}  # fmt: skip

# Clauses: what somebody likes about it, and what not.
_LIKED = {
    "billing": ("the invoices are {clear|always right|easy to book}", "billing {just works|never made trouble}", "the refund came {quickly|within days}"),
    "checkout": ("{paying|buying a pack} took {a minute|seconds}", "the checkout is {quick|painless}", "ordering extra seats is {easy|simple}"),
    "login": ("{signing in|single sign-on} {just works|is smooth}", "inviting people is {easy|quick}", "the two-factor login is {simple|painless}"),
    "performance": ("{everything|the {feature}|the app} is {really |so |}fast", "the {feature} {loads|opens} in a second even with {n}00 tasks", "it never {crashes|hangs} {on us|}"),
    "how to": ("the {help pages|tutorials|webinars} are {clear|excellent|really good}", "there is a template for {everything|all we do}", "the tips in the app {are helpful|taught me a lot}"),
    "feature request": ("the {feature} does {exactly what we need|more than I expected}", "new features come {all the time|every month} and are useful", "the {feature} is {brilliant|wonderful|the best I have seen}"),
    "cancellation": ("{cancelling|pausing} was {easy|fair}", "they let us {pause|leave and come back} without fuss"),
    "sync": ("phone and desktop are always {in sync|the same}", "the calendar sync is {reliable|flawless}", "edits by {n} people never {clash|get lost}"),
    "import": ("the import from {tool} took {two minutes|no time}", "{importing|moving} our old plan was {easy|surprisingly easy}", "the column mapping {guessed everything right|is clever}"),
    "pricing": ("the price is {fair|more than fair|good for what you get}", "it is {worth every cent|cheaper than {tool}|good value}", "the {plan} plan {pays for itself|is a bargain}"),
    "ease of use": ("it is {so |really |very |}{easy to use|simple|intuitive}", "{everybody|the whole team|even my boss} {understood it|got it} {at once|in an hour|without training}", "the design is {clean|beautiful|calm and clear}", "it keeps {us|our {n} projects|a small team} {organised|on track}"),
    "support": ("support {answers|answered} {within minutes|fast|within the hour}", "{the people at support|{agent} at support|your support team} {are|is} {friendly and helpful|patient|great}", "{every question|each question} gets {a real answer|an honest answer}"),
}  # fmt: skip
_DISLIKED = {
    "billing": ("the invoices are {always wrong|a mess|impossible to understand}", "{we were|I was} {charged twice|overcharged} and {nobody cares|had to fight for the refund}", "they kept {charging|billing} after {we|I} cancelled"),
    "checkout": ("the checkout {fails|is broken|crashes} {all the time|on my phone|every other time}", "{paying|buying a pack} in the app is {impossible|a lottery}", "my card is {refused|declined} without a reason"),
    "login": ("{I am|we are} logged out {constantly|all the time}", "the {reset mails|invitations} {never arrive|expire too soon}", "the login is {a pain|annoying}"),
    "performance": ("{everything|the {feature}|the app} is {so |painfully |terribly |}slow", "the {feature} {freezes|crashes|hangs} {every day|constantly|with big projects}", "it {got|gets} slower with every update"),
    "how to": ("the {help pages|docs} are {useless|outdated|a mess}", "{nothing is explained|you are left alone with it}", "I {waste hours|lost a day} looking for {simple settings|the basics}"),
    "feature request": ("{an undo|offline mode|a workload view|time tracking} is still missing", "{repeating tasks|sub-tasks|custom fields} are still missing", "the {feature} is {too basic|half finished}", "they ignore {what users ask for|our requests} {for years|}"),
    "cancellation": ("{cancelling|leaving} is made {difficult|as hard as possible}", "I had to {ask|write} {three|four|five} times to cancel", "there is no way to pause a plan"),
    "sync": ("{tasks|changes|comments} {disappear|get lost|come up twice}", "the {calendar sync|app} {loses data|is always behind|is unreliable}", "I can never trust that {the phone shows the truth|what I see is current}"),
    "import": ("the import is {a nightmare|confusing|broken}", "{importing|moving} our old plan {took days|failed again and again}", "the column mapping {makes no sense|drove me mad}"),
    "pricing": ("it is {too expensive|overpriced|far too expensive for small teams}", "the price {went up|doubled} {again|without warning}", "{everything useful|every useful feature} is in the {plan} plan"),
    "ease of use": ("it is {too complicated|confusing|cluttered}", "{the new design|every update} {moves everything around|makes it worse}", "{nobody {understands|wants to use}|half of the team {does not understand|refuses to use}} it"),
    "support": ("support {never answers|takes days|sends canned answers}", "{nobody|not one person} {reads what I write|helps}", "I {waited {n} days|was sent from one person to the next}"),
}  # fmt: skip

_SUBJECT = {
    "billing": ("{About|Question about} {my|our} invoice", "Charged twice{?| in {month}}", "Invoice for {month}", "Wrong {VAT|address} on invoice", "Refund{| request|?}"),
    "checkout": ("{Cannot|Can't} pay", "Checkout {does not work|broken|fails}", "Payment page", "Card refused{| at checkout}", "{Trying|Unable} to {upgrade|order}"),
    "login": ("{Cannot|Can't} log in", "Password reset", "Locked out{|!}", "Invitation link expired", "Two-factor code", "{Login|Access} problem"),
    "performance": ("Lumen is slow{| today| again}", "The {feature} takes ages", "Page does not load", "Freezing since the update", "App crashes"),
    "how to": ("How do I use the {feature}?", "Question about the {feature}", "Help with {setting up|the {feature}}", "{Quick|Small} question"),
    "feature request": ("Idea for the {feature}", "{Please add this|Suggestion|Feature request}", "Wish: {tool} integration", "Missing in the {feature}"),
    "cancellation": ("Cancel {my|our} {account|subscription|plan}", "How to cancel{|?}", "Ending our subscription", "Pause the subscription"),
    "sync": ("Tasks disappeared", "Calendar sync{| broken}", "Changes are lost", "Duplicate tasks", "{Phone|App} out of sync"),
    "import": ("Import {fails|does not work|stuck}", "Import from {tool}", "Help with {the import|importing}", "Column mapping"),
    "pricing": ("Price for {n} people", "Offer"),
    "ease of use": ("Getting started",),
    "support": ("Support",),
}  # fmt: skip

# What an agent says about it when it is solved.
_ANSWER = {
    "billing": (
        "I {corrected|fixed} the invoice and {sent it again|sent you a new one}.",
        "I {refunded|sent back} the amount; it {reaches your account|will be with you} within {five|three} working days.",
        "You can {download every receipt|change that} under Settings, then Billing.",
        "{I see the double charge|You are right, that was our mistake}, and I have {cancelled the second one|refunded it}.",
    ),
    "checkout": (
        "{There was|We had} a fault in the checkout; I {put the order through for you|sent you a link to pay on the website}.",
        "Please {update the app|try once more in a browser}, the {form|page} {works|is repaired} there.",
        "The payment {went through|was not taken}, {you are all set|nothing was charged}.",
    ),
    "login": (
        "I {sent a new link|reset the login|unlocked the account}, {please try now|it works for a day}.",
        "I {changed the address|turned off the old two-factor device}, so you can {sign in again|set it up anew}.",
        "Please sign out, clear the cookies of lumen.example and try once more.",
    ),
    "performance": (
        "{We had|There was} a {short disturbance|slow server} {this morning|since the update}; it is {running again|back to normal}.",
        "I {moved your workspace|rebuilt the index of your workspace}, the {feature} should be {quick|quicker} now.",
        "The {next update|new version} {brings a repair|fixes this}, it comes {this week|on {weekday}}.",
    ),
    "how to": (
        "You will find {this|it} under {Settings, then Workspace|the three dots in the {feature}|View, then Filter}.",
        "{Good question!|Sure!} The {feature} can do that{| from the {plan} plan on}.",
        "{I wrote down the steps|Here are the steps}: open the {feature}, choose {Share|More|Display}, and {save|confirm}.",
    ),
    "feature request": (
        "{Good idea|Thank you}, I {passed it on|added your vote} to our product team.",
        "{That is planned|We are working on it}, {though I cannot name a date|it should come this autumn}.",
        "There is a {beta|way around}: {I switched it on for you|use a filter and save it as a view}.",
    ),
    "cancellation": (
        "I {cancelled|ended} the plan{| as you asked}; it runs until the end of the {month|paid month}.",
        "I {paused the subscription|put the plan on hold}, {nothing will be charged|you can come back at any time}.",
        "{Your data stays readable|You can export everything} for {ninety|thirty} days.",
    ),
    "sync": (
        "I {restored|brought back} the tasks from {last night's copy|our backup}.",
        "I {connected the calendar anew|restarted the sync}, please {check now|give it ten minutes}.",
        "{A fault of ours|An old version of the app} {held back your changes|sent everything twice}; it is {repaired|corrected now}.",
    ),
    "import": (
        "I {imported the file for you|mapped the columns for you}, {please have a look|all rows are in}.",
        "{Choose|Please choose} \"Do not import\" for {columns you do not need|empty columns}, then it goes on.",
        "Save the file as CSV with {commas|UTF-8} and {try again|it will go through}.",
    ),
    "pricing": (
        "For {n} people the {plan} plan {fits best|is the right one}, {I send you an offer|paid by the year you save two months}.",
        "There is {a discount for non-profits|a trial of 14 days}{|, no card needed}.",
    ),
    "ease of use": ("Most teams {start|are up and running} within a day.",),
    "support": ("We answer {within a day|by phone, mail and chat}.",),
}  # fmt: skip

_BOT = {
    "billing": ("You can find invoices under Settings > Billing.",),
    "checkout": ("Having trouble paying? Please check your card details and try again.",),
    "login": ("To reset your password, choose \"Forgot password\" on the login page.",),
    "performance": ("Our status page shows no incident. Clearing the cache often helps.",),
    "how to": ("Here is an article that may help: Getting started with Lumen.",),
    "feature request": ("Thanks for your idea! You can vote for features on our roadmap.",),
    "cancellation": ("You can cancel under Settings > Plan.",),
    "sync": ("Please make sure that you have the latest version of the app.",),
    "import": ("Here is an article that may help: Importing a plan from a file.",),
    "pricing": ("Our prices are at lumen.example/pricing.",),
    "ease of use": ("Here is an article that may help: Getting started with Lumen.",),
    "support": ("You can reach our team on weekdays from 8 to 20.",),
}  # fmt: skip

RULES: dict[str, tuple[str, ...] | By] = {
    # Small things that vary.
    "n": ("2", "3", "4", "5", "6", "7", "8", "9", "11", "12", "14", "15", "18", "20", "25", "30"),
    "tool": ("a spreadsheet", "our old tracker", "another planner", "a whiteboard app", "our intranet", "a wiki",
             "our calendar", "a Kanban tool", "our ticket system"),
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "the weekend"),
    "browser": ("Chrome", "Firefox", "Safari"),
    "other browser": ("Edge", "a private window", "the app"),
    "colleague": ("my colleague", "our designer", "my boss", "our accountant", "a freelancer", "the new intern", "my partner"),
    "very": ("", "", "really ", "very ", "so ", "truly ", "quite ", "extremely ", "pretty ", "rather "),
    "hedge": ("", "", "", "I think ", "I am afraid ", "it seems ", "maybe it is just me, but ", "if I am honest, ", "to be fair, "),
    # What it is about.
    "matter": By("theme", _MATTER),
    "second matter": By("second", _MATTER),
    "detail": By("theme", _DETAIL),
    "liked": By("theme", _LIKED),
    "disliked": By("theme", _DISLIKED),
    "other liked": By("second", _LIKED),
    "other disliked": By("second", _DISLIKED),
    "subject": By("theme", _SUBJECT),
    "solution": By("theme", _ANSWER),
    "bot solution": By("theme", _BOT),
    "second": (
        "{Also|By the way|One more thing|And another thing|While I am at it}: {second matter}",
        "{Apart from that,|Besides,} {other disliked}.",
        "And {other disliked}, {which does not help|too|by the way}.",
    ),
    "background": (
        "{We are|I work in} {a team of {n}|a small agency|a school with {n} classes|a construction company|a charity|a studio}.",
        "We {use|have used|have been using} Lumen {for {n} months|since {last month}|every day|for all our projects}.",
        "We {use|work with} the {feature} {every day|a lot|most of the time}{| and {tool} next to it}.",
        "{I am|We are} on the {plan} plan{| since {last month}}.",
        "I {run|plan|look after} {n} projects {with it|in Lumen|for clients}.",
        "I am {the admin of our workspace|not a technical person|the one who brought Lumen into {company}}.",
    ),
    "context": (
        "{background}",
        "{background}",
        "I am {new to Lumen|writing for {company}|back from holiday and just saw this}.",
        "^{colleague} asked me to write{| to you}.",
        "It started {on|around} {weekday}.",
        "It happens in {browser} and in {other browser}.",
        "I have already {cleared the cache|restarted everything|read the help pages|asked {colleague}}.",
        "I attached a screenshot.",
    ),
    "private": ("", "", "", "", "", "", "", "", "", "", "", "", "", "", "You can call me at {phone}.", "My login is {email}.",
                "Our office address is {ip}.", "Please write to {email}{| as well}."),
    # How it feels.
    "glad": (
        "{We|I|We all|My team and I} {really |truly |}{enjoy|love|like} {working with Lumen|Lumen|what you are building}{| so far}.",
        "{Great|Lovely|Wonderful|Excellent|Really nice} {product|tool|app}{, by the way|, the whole team loves it|, I must say|}.",
        "{Everything else|The rest} {works|runs} {beautifully|perfectly|like a charm}.",
        "Your {support|team} was {wonderful|very kind|so helpful} last time{|, so I am confident}.",
        "It {has saved|saves} us {a lot of time|hours every week|so many meetings}{, thank you|}.",
        "I am {very|really|} {impressed by|happy with|grateful for} {how easy the rest is|the {feature}|your quick updates}.",
        "This is {the best planner|one of the best tools|the nicest app} {we have tried|I know|I have used in years}.",
        "{No hurry|Take your time}, and thanks for the {good|great|wonderful} work!",
        "What I love most: {other liked}.",
    ),
    "angry": (
        "This is {really|so|extremely|beyond|deeply} {frustrating|annoying|disappointing|irritating}{.|!|!!}",
        "I am {very|deeply|truly|so} {disappointed|annoyed|upset|angry}{|, we lost {half a day|a whole morning|{n} hours} over it}.",
        "{Honestly|Frankly}, this is {unacceptable|ridiculous|a disgrace|poor} for {a paid product|what we pay|a tool that calls itself professional}.",
        "It is the {second|third|fourth|fifth} time {this|that this} {fails|happens|goes wrong} and {nobody cares|nobody answers|I am tired of it}.",
        "We are losing {trust|patience|confidence} {in this tool|with Lumen|here}.",
        "{Terrible|Awful|Horrible|Bad} experience{|, my boss is angry|, and in front of a client too}.",
        "If this is not {fixed|solved} {soon|by {weekday}|today} we {will have to leave|will look elsewhere|want our money back}.",
        "I hate {having to ask again|that I have to chase you|wasting my time with this}.",
        "What a {waste of time|mess|nuisance}{.|!}",
        "{Worst|Terrible} timing{|, as always}: {we have a deadline tomorrow|the client comes on {weekday}|we launch this week}{.|!!}",
        "{WHY is this so hard?|This is NOT OK.|How hard can it be?|Does anybody test this?|Are you serious?}",
        "On top of it, {other disliked}.",
    ),
    # Says the opposite of what it means.
    "sarcastic": (
        "{Great|Wonderful|Fantastic|Brilliant} job{, really|, as always|}.",
        "Thanks {a lot |so much |}for {the wonderful start into my week|another free evening at the office|making my {weekday} so exciting}.",
        "{I just love|I do love|Nothing better than} {explaining this for the {n}th time|looking at a spinner|paying for this}.",
        "{What a nice surprise|How lovely}, {another error|it fails again}.",
        "{Well done|Bravo|Congratulations}, {really|Lumen|another morning gone|you did it again}.",
    ),
    "torn": (
        "I {like|love} {the design|the idea|working with Lumen} {a lot|}, but this is {driving me mad|a real problem|not good enough}.",
        "{Usually|Normally} it works {great|fine|very well}; {today|this week} it is {a mess|a disaster|not usable}.",
        "Your {agents|people} are {kind|friendly|helpful}, yet {the problem comes back every week|nothing changes|it is still not solved}.",
        "{Good|Great} idea, {poor|bad|sloppy} execution.",
        "I would {recommend you|give you five stars|stay for years}, if only {this worked|that were solved}.",
        "{Nice|Pretty} update, {although it broke our routine|but half of it does not work}.",
        "{On the one hand|It is true that} {other liked}, {on the other|and still} {disliked}.",
        "^{other liked}, {but|yet|only} {disliked}.",
        "{Thank you for your patience|Thanks for trying}, {even if|although} I am {still unhappy|not satisfied|a bit disappointed}.",
    ),
    "even": ("", "{context}", "{context}", "Just {so you know|for your information}.", "{Could|Can} you {look into it|tell me more|check}?"),
    "feeling": By("mood", {
        "positive": ("{glad}", "{glad}", "{glad}", "{glad} {glad}"),
        "negative": ("{angry}", "{angry}", "{angry}", "{angry}", "{angry} {angry}", "{angry} {angry}", "{angry} {angry} {angry}", "{sarcastic}",
                     "{angry} {sarcastic}", "^{hedge}{this is not what I pay for|I had expected more|I am running out of patience}."),
        "mixed": ("{torn}", "{torn}", "{torn}", "{glad} {angry}", "{angry} Still, {other liked}."),
        "neutral": ("{even}",),
    }),
    # Tickets.
    "hello": By("mood", {
        "positive": ("Hi,", "Hello,", "Hi team,", "Hello Lumen,", "Good morning,", "Hey there,", "Dear support,", "Hi {agent},", "Hello everybody,", ""),
        "negative": ("Hi,", "Hello,", "Lumen,", "To whom it may concern,", "", "", "Hello support,"),
        "mixed": ("Hi,", "Hello,", "Hi team,", "Good afternoon,", "Dear support,", ""),
        "neutral": ("Hi,", "Hello,", "Hi team,", "Good morning,", "Good day,", "Dear Sir or Madam,", "Dear support,", "", ""),
    }),
    "ask": ("", "", "", "{Could|Can} you {help|have a look|look into it|check this}{|, please}?", "{Please advise|Please let me know}.", "What {can|should} I do?", "Any idea?"),
    "bye": By("mood", {
        "positive": ("Thanks{|!|, }\n{first name}", "Best regards\n{name}", "Cheers\n{first name}", "Thank you {so much|in advance}\n{first name}", "Kind regards\n{name}", "{first name}", "Have a {good|nice} {day|week}!\n{first name}"),
        "negative": ("Regards\n{name}", "{Please advise|Waiting for your answer|I expect an answer today}.\n{name}", "{first name}", "", "", "{signature}"),
        "mixed": ("Regards\n{first name}", "Thanks\n{first name}", "Best\n{first name}", "", "{name}"),
        "neutral": ("Thanks\n{first name}", "Best regards\n{name}", "Regards\n{name}", "{Kind|Best} regards,\n{signature}", "{first name}", "", "Thanks in advance\n{first name}"),
    }),
    "ticket": (
        "{hello}\n{matter} {feeling} {ask}\n{bye}",
        "{hello}\n{matter} {detail} {feeling} {also} {private}\n{bye}",
        "{hello}\n{feeling} {matter} {detail} {ask} {also}\n{bye}",
        "{hello}\n{context} {matter} {detail} {feeling} {ask} {also} {private}\n{bye}",
        "{hello}\n{matter} {private} {context} {detail} {feeling} {also}\n{bye}",
        "{hello}\n{context} {feeling} {matter} {detail} {private} {ask}\n{bye}",
        "{matter} {feeling} {also}",
        "{matter} {detail} {feeling}",
    ),
    # What agents write.
    "agent answer": By("outcome", {
        "helped": (
            "{Hi|Hello|Dear} {first name}, {thanks for writing|thank you for your message|thanks for letting us know}. {solution} {agent bye}",
            "Hi {first name}, {I looked into it|I had a look|I checked your workspace}. {solution} {agent bye}",
            "{I am sorry for the trouble|Sorry about that}, {first name}. {solution} {agent bye}",
            "{solution} {agent bye}",
        ),
        "unhelped": (
            "Hi {first name}, {I understand, and I am sorry for the trouble|sorry to hear that}. {Have you tried to clear the cache?|Please reinstall the app.|Please see our help page.} {agent bye}",
            "{Thanks for writing|Thank you for your patience}. {This is how it works at the moment|I cannot reproduce it here|Our engineers do not see the problem}. {agent bye}",
            "{I have passed this|I handed it} to our engineers and will come back to you {by tomorrow|this week|soon}.",
        ),
        "waiting": (
            "Hi {first name}, {could you send me|I need} {the name of the project|a screenshot|the invoice number|the version of the app}{, please|}?",
            "{I have passed this|I handed it} to our engineers and will come back to you {by tomorrow|this week|soon}. {agent bye}",
            "{Thanks|Thank you}, {first name}. {When did it begin?|Which browser do you use?|Does it happen to others in your team?} {agent bye}",
        ),
    }),
    "agent bye": ("", "", "I hope this helps.", "Have a {good|nice} {day|week}!", "Just reply if anything is unclear.", "{Happy|Glad} to help.", "{Kind regards|Best},\n{agent}", "{agent} from Lumen"),
    "agent note": ("Internal: see the engineers' channel.", "Internal: {second|third|{n}th} report {today|this week}.", "Internal: please hurry, renewal next week.", "Internal: asked {billing|the app team|engineering}.", "Internal: {plan} customer{, be nice|}."),
    # What customers reply.
    "reply": By("outcome", {
        "helped": (
            "{Perfect|Great|Wonderful|Super|Excellent}, {that worked|it works now|that did it|exactly what I needed}. {Thank you so much!|Thanks a lot|Thanks, {agent}!|You are the best.|}",
            "{Wow|Oh|Nice}, that was {fast|quick|easy}. {Great support!|Thanks!|Thank you, {agent}.}",
            "{It works again|It is solved|The {feature} is fine now}, {thanks a lot|thank you|many thanks}{.|!}",
            "{Thanks|Thank you}, {all good now|the {feature} is fine now|I found it|that is clear}.",
            "{Solved|Works}, {you are wonderful|cheers|thank you {agent}}.",
            "OK, {solved|got it|that works}.",
            "{It works|Solved}{, though it took long|, finally|}. {glad}",
        ),
        "unhelped": (
            "{That|This} did not help, {it is still broken|still the same|the error is still there}. {angry}",
            "I {already tried this|did that before I wrote}. {Please read what I wrote.|Did anybody read my message?|}",
            "{Still the same|Same error} in the {feature}. {This is getting ridiculous.|I give up.|{angry}}",
            "I have been waiting for {days|{n} days|a week}, {very disappointing|this is not OK|and nothing}.",
            "{No|Nope}, {it failed again|it does not work} and I am {fed up|tired of this|running out of patience}.",
            "This answer is {useless|no help|of no use} to me. {angry}",
            "{sarcastic} {It still fails.|Nothing changed.}",
        ),
        "waiting": (
            "{It works for now|It is better}, but {I am not happy that it took so long|it is not right yet|I do not trust it}.",
            "Thanks for trying. The {feature} is better, yet not right.",
            "OK, {half of it is solved|one part works|the rest is still open}.",
            "The {name|project} is {Spring rollout|Project {n}|Website relaunch|Summer fair}.",
            "I will {check with {colleague}|try tomorrow|send it later} and come back.",
            "{detail}",
            "{It is|I am on} {the {plan} plan|version 4|{browser}}. {detail}",
            "Fine, although I had hoped for {a real fix|more|a quicker answer}.",
        ),
    }),
    "reopening": (
        "{It is happening|Here we go|The same thing happened} again{.|!} {angry}",
        "Sorry to reopen this, {the problem is back|it came back|it fails again} since {this morning|{weekday}|the update}.",
        "The fix lasted {two days|a day|until {weekday}}. {Please have another look|Please look again}{, this is annoying|}.",
        "One more question{| about the {feature}}: {second matter}",
        "{matter} {Again.|Still.|As before.}",
    ),
    "ticket rating": By("mood", {
        "positive": ("Quick and friendly.", "{Great|Super} help{!|, thanks {agent}.}", "Very patient, thank you.", "Solved in one answer.", "^{liked}.", "{agent} was {great|very kind|so helpful}!"),
        "negative": ("Took {far too|much too|too} long.", "{Problem|It is} not solved.", "Nobody read my message.", "Bad experience.", "^{disliked}.", "{angry}"),
        "mixed": ("Friendly, but {slow|no solution}.", "{OK|Fine}.", "Helpful in the end, after {n} days."),
        "neutral": ("OK.", "Fine.", "As expected."),
    }),
    # Calls, as spoken.
    "um": ("", "", "", "uh, ", "um, ", "well, ", "so, ", "yeah, ", "right, ", "look, ", "I mean, "),
    "spoken": By("mood", {
        "positive": ("^{um}I {have to say|must say} I {really |}{like|love} {the tool|your product}. {matter}", "{matter} {It is nothing bad|No big deal}, {other liked}, so I am happy.", "{glad} {Just one question.|One thing though.} {matter}"),
        "negative": ("{matter} {angry}", "{angry} {matter}", "^{um}this is the {second|third} time I call. {matter} {angry}", "{matter} {detail} And {disliked}. {angry}", "{sarcastic} {matter} {angry}"),
        "mixed": ("{matter} {torn}", "^{um}{other liked}, {really|you know}, but {disliked}. {matter}", "{torn} {matter}"),
        "neutral": ("{matter}", "{matter} {detail}", "^{um}I {just |only |}{wanted to ask|have a question}. {matter}", "{matter} {context}"),
    }),
    "call": (
        "Agent: {call hello}\nCustomer: {call name}{spoken}\n{call middle}{call end}",
        "Agent: {call hello}\nCustomer: {call name}{spoken} {also}\nAgent: {call check}\nCustomer: {detail}\n{call middle}{call end}",
        "Agent: {call hello}\nCustomer: {call name}^{um}is this support?\nAgent: {Yes, it is|Speaking|You are right here}. {How can I help?|What is it about?}\nCustomer: {spoken}\nAgent: {call check}\nCustomer: {detail} {private}\n{call end}",
    ),
    "call hello": ("{Thank you for calling|Thanks for calling|Welcome to} Lumen, this is {agent}{.|, how can I help?|. What can I do for you?}", "Lumen support, {agent} speaking.", "{Good morning|Good afternoon|Hello}, {agent} from Lumen here{.|, how may I help?}"),
    "call name": ("", "Hi{|, {agent}}. ", "Hello, this is {name}. ", "Hi, {first name} {here|speaking}. ", "Yes, hello, {name} from {company}. "),
    "call check": ("{I see|All right|Let me see|One moment}. {Could you tell me more?|Since when?|Which browser is that?|What exactly do you see?}", "{Sorry to hear that|Oh, I am sorry}, {let me look|one moment please}. {Anything else you noticed?|Did it ever work?}", "OK. {May I have the address of your account?|Who else sees it?}"),
    "call middle": ("", "Agent: {Let me check|One moment|Bear with me}.\nCustomer: {Sure|OK|All right|Yes}.\n", "Agent: {I see it here|I have your workspace open}. {Is it the {feature}?|Since {weekday}, right?}\nCustomer: {Yes|Exactly|No, it is more than that|I think so}. {context}\n"),
    "call end": By("outcome", {
        "helped": (
            "Agent: {solution}\nCustomer: ^{um}{great|perfect|wonderful|oh nice|OK}, {that helps|it works|thank you|thanks a lot}. {You have been very helpful.|Have a nice day.|Bye.|}\nAgent: {Glad I could help|You are welcome}. {Goodbye|Have a good day}.",
            "Agent: {solution}\nCustomer: {OK, I see it now|Yes, it works|Ah, there it is}. {Thank you|Thanks, {agent}|Cheers}.\nAgent: {You are welcome|Any time}.",
            "Agent: {solution} {Is there anything else?|Anything else?}\nCustomer: No, {that was it|that is all|all good}. {Thanks.|Bye.|Thank you {so|very} much.}",
        ),
        "unhelped": (
            "Agent: I am {sorry|afraid}, {I cannot solve this now|I do not see the cause|there is no way to do that at the moment}.\nCustomer: {angry} {So what now?|Then I have no choice.|Never mind.|}\nAgent: {I am really sorry|I understand}.",
            "Agent: {Could you clear the cache?|Could you reinstall the app?}\nCustomer: ^{um}I did that {already|twice|before I called}. {It did not help|Still the same}. {angry}",
            "Agent: {Our engineers do not see the problem|It works on my side}.\nCustomer: {Well, it does not on mine|That is not an answer}. {I am disappointed.|{angry}}",
        ),
        "waiting": (
            "Agent: I {will ask|have to ask} {our engineers|billing} and call you back {tomorrow|on {weekday}|this afternoon}.\nCustomer: ^{um}{OK|fine|all right}, {please do|I hope so|but it is urgent}. {private}",
            "Agent: {Can we call you back?|May I call you back when I know more?}\nCustomer: {Yes|Sure|If it does not take a week}. {private}",
        ),
    }),
    "voicemail": ("Customer: {call name}{matter} Please call me back{| at {phone}}.", "Customer: ^{um}nobody answers. {call name}I will try again.", "Customer: {call name}it is about {my invoice|the app|my account}. {Call me back please.|I will call again.}"),
    "onboarding call": (
        "Agent: {Hi|Hello} {first name}, this is {agent} from Lumen. {You signed up last week|You started your trial}, and I {would like to|wanted to} {help you get started|see how it goes}.\nCustomer: {onboarding mood}\nAgent: {Shall we set up your first project together?|May I show you the {feature}?|Did you import your plan already?}\nCustomer: {onboarding turn}\nAgent: {solution} {onboarding tip}\nCustomer: {onboarding thanks}",
        "Agent: {Good morning|Good afternoon}, {agent} from Lumen. Is this {first name}?\nCustomer: {Yes|Speaking|Yes, that is me}. {onboarding mood}\nAgent: {onboarding tip} {Do you have questions?|What would you like to plan with it?}\nCustomer: {matter} {background}\nAgent: {solution}\nCustomer: {onboarding thanks}",
    ),
    "onboarding mood": By("mood", {
        "positive": ("{Oh nice|Great that you call|What a nice surprise}. {glad}", "^{um}good so far, {liked}.", "Hi {agent}, {so far I like it|we are enjoying it}."),
        "negative": ("^{um}to be honest, {disliked}.", "^{um}I {almost gave up|am a bit lost|am quite frustrated}. {matter}", "Good that you call. {angry}"),
        "mixed": ("^{um}{other liked}, but {disliked}.", "{torn}"),
        "neutral": ("^{um}I {have only looked around|did not have much time yet|just started}.", "{OK|Sure}, I have {ten|five} minutes.", "{Yes|OK}. {background}"),
    }),
    "onboarding turn": ("{matter}", "^{um}not yet. {matter}", "Yes, {please|let us do that}. {detail}", "{matter} {detail}"),
    "onboarding tip": ("Most teams {begin with|start from} {a template|one small project|the {feature}}.", "{I would invite|Invite} two people {first|early}, then it makes sense.", "You can {import|bring in} what you have from {tool}."),
    "onboarding thanks": ("{Great|Perfect|OK}, {that is clear now|I see it|let me try that}. {Thank you|Thanks}{.|!}", "{Thanks for calling|Thank you, {agent}}. {That was helpful.|I will think about it.|Bye.}", "OK. {I will try|I will talk to {colleague}}. Bye."),
    "sales call": (
        "Agent: {call hello}\nCustomer: {call name}{matter} {background}\nAgent: {solution} {May I send you an offer?|Would you like to try it first?}\nCustomer: ^{um}{yes please|send me something|I have to ask my boss|maybe later|that is more than we can pay}. {Thanks.|Bye.|}",
        "Agent: {Hello|Hi} {first name}, {agent} from Lumen. You {looked at our prices|asked for an offer}, and I wanted to ask {what you need|if you have questions}.\nCustomer: {matter} {detail}\nAgent: {solution}\nCustomer: {OK, I will think about it|Sounds good|We are still comparing|Not now, thanks}. {Bye.|}",
    ),
    # Chats, as typed.
    "chat hello": ("", "", "hi ", "hello ", "hey ", "hi there\n", "Hi,\n", "Hello! ", "quick question: ", "need help. "),
    "chat first": By("mood", {
        "positive": ("{chat hello}{matter} {glad}", "{chat hello}{glad} {matter}", "{chat hello}{matter} {detail}", "{matter} {other liked} btw :)"),
        "negative": ("{chat hello}{matter} {detail}", "{chat hello}{matter} {angry}", "{angry} {matter}", "{matter} {sarcastic}", "{chat hello}{disliked}. {matter}", "{subject}!! {detail} {angry}"),
        "mixed": ("{chat hello}{matter} {torn}", "{torn} {matter}", "{chat hello}{other liked}, but {disliked}. {matter}"),
        "neutral": ("{chat hello}{matter}", "{chat hello}{matter} {context}", "{chat hello}{matter} {detail}", "{matter} {ask}", "{subject}. {detail}", "{context} {matter}"),
    }),
    "bot hello": ("Hi, I am Lumi, Lumen's assistant. How can I help?", "Hello! I am Lumi. Ask me anything.", "Hi there! Lumi here. What can I do for you?"),
    "bot answer": ("{bot solution} Did this help?", "I found this: {bot solution}", "{bot solution} Shall I connect you with our team?"),
    "chat after bot": By("mood", {
        "positive": ("no, {I read that|that is not it}, but thanks", "{could I|can I} talk to {a person|somebody} please?", "{not quite|almost} {:)|}. {detail}"),
        "negative": ("{no|NO}{|!!}", "that does not help{| at all}. {angry}", "{agent please|human please|a real person please}", "{I do not want a bot|useless bot}, {get me a person|is anybody there?}", "{angry}"),
        "mixed": ("{not really|kind of, but no}. {torn}", "can I talk to a person? {torn}"),
        "neutral": ("no", "not really", "{agent|a person} please", "{no, |}{detail}", "I read that already"),
    }),
    "bot handover": ("I connect you with a colleague. One moment, please.", "Let me get somebody from our team for you.", "One moment, a colleague will be with you shortly."),
    "chat agent hello": ("Hi {first name}, {agent} here. {Let me have a look.|I am looking into it.|I read your messages.}", "Hello, this is {agent}. {Sorry for the wait.|Thanks for waiting.|How can I help?}"),
    "chat detail": ("{detail}", "{detail} {private}", "{ok|sure|yes}", "{detail} {feeling}", "{context}", "{feeling}"),
    "chat agent answer": By("outcome", {
        "helped": ("{solution}", "{solution} {Anything else?|OK?|Does it work?}"),
        "unhelped": ("I {do not see|cannot find} the cause, {sorry|I am afraid}.", "Please {try again later|clear the cache|write us a mail}."),
        "waiting": ("I will {ask the engineers|check} and write you a mail.", "{Give us until tomorrow, please|We will come back to you}."),
    }),
    "chat end": By("outcome", {
        "helped": ("{thanks|thank you|thx|ty|cheers}{| so much|!|!!| {agent}}", "{great|perfect|awesome|super|cool}, {works|got it|thanks}{|!|!!}", "{ok|ah}, {found it|I see}{, thanks|}", "works {now|again}{, thank you|}"),
        "unhelped": ("{that is all?|seriously?|really?} {angry}", "{so no solution then|not helpful|useless}", "{angry}", "{forget it|never mind}", "{sarcastic}"),
        "waiting": ("{ok|fine|alright}", "ok{, but hurry please|, I will wait|}", "how long will that take?", "{hm|well}. {torn}"),
    }),
    "chat bot end": By("outcome", {
        "helped": ("{thanks|thank you|thx|ok thanks}", "{ok|ah}, {found it|I see|got it}{, thanks|}", "{yes|yes, that helps}{, thanks|}"),
        "unhelped": ("{useless|not helpful|that does not help}", "{forget it|never mind}", "{angry}", "no. {angry}", "{sarcastic}"),
        "waiting": ("{hm|well}. {torn}", "{ok|alright}"),
    }),
    # Surveys.
    "praise": (
        "{We|I|We all|My team and I} {really |truly |}{enjoy|love|like} {working with Lumen|Lumen|what they are building}{| so far}.",
        "{Great|Lovely|Wonderful|Excellent|Really nice} {product|tool|app}{|, the whole team loves it|, I must say}.",
        "It {has saved|saves} us {a lot of time|hours every week|so many meetings}.",
        "I am {very|really|} {impressed by|happy with} {how easy it is|the {feature}|the quick updates}.",
        "This is {the best planner|one of the best tools|the nicest app} {we have tried|I know|I have used in years}.",
        "{We will stay|I would not want to go back to {tool}|Keep it up}{.|!}",
        "What I love most: {other liked}.",
    ),
    "survey": By("mood", {
        "positive": (
            "^{liked}{.|!} {survey tail}", "^{liked} and {other liked}. {survey tail}", "{praise} ^{liked}.", "{Love it|Great|Very happy|Excellent}{.|!} ^{liked}. {survey tail}",
            "{Keep it up|Well done}{!|.} ^{liked}{.|!} {survey tail}", "We {switched|came} from {tool} and {do not look back|never regretted it}: {liked}.", "^{liked}, {other liked}. {praise}",
            "{praise} {background}", "^{liked}{, and|. Also,} {other liked}{.|!}",
        ),
        "negative": (
            "^{disliked}. {survey tail}", "^{disliked} and {other disliked}.", "{angry} ^{disliked}.", "{Not happy|Disappointing|Frustrating}{.|:} {disliked}. {survey tail}",
            "^{disliked}. {We are looking at alternatives.|We will probably leave.|Please fix it.|{angry}}", "{sarcastic} ^{disliked}.", "{Too many problems|Sad}: {disliked}, {other disliked}.",
            "^{hedge}{disliked}. {survey tail}", "{background} ^{disliked}. {angry}", "{matter} {angry}",
        ),
        "mixed": ("^{other liked}, but {disliked}.", "{torn} {survey tail}", "{Good|Nice} tool, {only|but} {disliked}. {survey tail}", "^{liked}. {Still|On the other hand}, {other disliked}.", "{So-so|It is OK}. ^{other liked}, {yet|but} {disliked}."),
        "neutral": (
            "{It is OK|OK|Fine|Does the job|No opinion}.{| {background}}", "{It does what it should|Does what it says}{|, no more and no less}. {survey tail}", "We {use|mostly use} the {feature} for {n} projects. {survey tail}",
            "{background} {survey tail}", "{Would be good to have|What we miss:} {repeating tasks|an offline mode|better reports|more templates|an API}. {survey tail}", "{matter}", "{matter} {background}",
        ),
    }),
    "survey tail": ("", "", "{background}", "{background}", "{Please add|What we still need:|Only missing:} {repeating tasks|an offline mode|better reports|more templates|an API|guest access} {in|for} the {feature}.", "We are {n} people{| and {n} projects}."),
    # Reviews and mentions.
    "review title": By("mood", {
        "positive": ("{Great|Excellent|Lovely|Fantastic} {tool|planner|app}{| for small teams}", "^{liked}", "{Highly recommended|Recommended|Love it|Best planner so far}", "Our team's favourite", "{Five stars|Exactly what we needed}"),
        "negative": ("{Disappointed|Disappointing|Avoid|Stay away|Not worth it|Very poor}", "^{disliked}", "{Used to be good|Was good once}", "{Not recommended|Waste of money}", "{Great|Wonderful}... {not|if you like errors}"),
        "mixed": ("{Good|Nice}, but {not there yet|with problems}", "{Could be great|Mixed feelings|Good idea, poor execution}", "^{other liked}, but"),
        "neutral": ("{Does the job|OK|Average|It is fine}", "{Our|My} experience after {n} months", "{Decent|Solid} planner"),
    }),
    "review": By("mood", {
        "positive": (
            "{background} ^{liked}, and {other liked}. {praise}",
            "{praise} ^{liked}. {What we like most: {other liked}.|}",
            "We {moved|came} from {tool} {n} months ago. ^{liked}. {praise} {Would recommend to any small team.|Recommended.|}",
            "^{liked}. ^{other liked}. {Nothing to complain about.|Only wish: a dark mode.|} {praise}",
        ),
        "negative": (
            "{background} ^{disliked}, and {other disliked}. {angry}",
            "{angry} ^{disliked}. {Support was no help either.|We are leaving.|I want my money back.|}",
            "{matter} {detail} {angry} {Avoid.|Never again.|}",
            "{sarcastic} ^{disliked}. {angry}",
            "It was {good|great} once. Now {disliked}. {angry}",
        ),
        "mixed": (
            "{background} ^{other liked}, but {disliked}. {torn}",
            "Pros: {other liked}.\nCons: {disliked}{|, {other disliked}}.",
            "{torn} {matter} {Will update my review when it is solved.|}",
            "^{liked}. ^{other disliked}. {torn}",
        ),
        "neutral": (
            "{background} {It does what it should|It does the job|It is a planner like others}. {We mostly use the {feature}.|The {feature} is what we use.}",
            "{background} {Used it for {n} projects so far.|Will see.} {matter}",
            "We use the {feature} and {tool} next to it. {background}",
        ),
    }),
    "mention": By("mood", {
        "positive": ("{Just|Finally} {moved|switched} from {tool} to Lumen, {liked} {:)|}", "Lumen: ^{liked}{!|!!|} {#planning|#projectmanagement|}", "shout-out to Lumen: {liked}", "{praise} {#lumen|}", "anyone else using Lumen? {liked}, {other liked}"),
        "negative": ("Lumen: {disliked}{!|!!|, fix this} {#fail|}", "{matter} {Anyone else?|Lumen, please fix|}", "{sarcastic} Lumen: ^{disliked}.", "so Lumen ... {disliked} {:(|}", "{angry} #lumen", "Looking for an alternative to Lumen, {disliked}"),
        "mixed": ("Lumen: {other liked}, but {disliked}", "Lumen: {torn}", "Been using Lumen for {n} months. ^{other liked}, {disliked}."),
        "neutral": ("{Anyone|Does anybody} know {how to use the {feature} in Lumen|if Lumen has an API|what Lumen costs for {n} people}?", "Comparing Lumen and {tool} {for a team of {n}|for work}. {Opinions?|Thoughts?|}", "Question to Lumen users: {matter}"),
    }),
}  # fmt: skip
