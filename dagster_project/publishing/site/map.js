(() => {
  "use strict";
  const find = (id) => document.getElementById(id);
  const links = [...document.querySelectorAll("#page-journeys a")];
  const told = find("page-told"), theme = find("page-theme"), state = find("page-state");
  // Below this many attempts a share is shown, but nothing is called good or bad by it.
  const FEW = 30;
  const isWhole = () => view.week === "all" && view.segment === "all";
  // What is not split says so where something else was chosen.
  const unsplit = () => (isWhole() ? "" : "All weeks, everybody. ");
  const NODES = 6, FLOWS = 28, ROW = 66, BAND = 58, RADIUS = 25, DROP = 54;
  const COLOURS = new Map([
    ["loss", { column: "drop_off_after_rate", limits: [0.05, 0.1, 0.2, 0.35], names: ["< 5 %", "5–10", "10–20", "20–35", "≥ 35 %"], title: "Lost right after it", tell: (value) => (isNone(value) ? "too young" : `${percent(value)} lost`), long: (value) => (isNone(value) ? "too young to say who is lost after it" : `${percent(value)} lost right after it`) }],
    ["mood", { column: "sentiment_score", limits: [35, 45, 55, 65], names: ["< 35", "35–45", "45–55", "55–65", "≥ 65"], title: "Sentiment, 0 bad to 100 good", tell: (value) => (isNone(value) ? "no mood" : `mood ${score(value)}`), long: (value) => `sentiment ${score(value)}` }],
    ["help", { column: "contact_rate", limits: [0.01, 0.02, 0.05, 0.1], names: ["< 1 %", "1–2", "2–5", "5–10", "≥ 10 %"], title: "Contact support within 24 hours", tell: (value) => `${percent(value)} ask`, long: (value) => `${percent(value)} contact support within 24 hours` }],
  ]);

  // --- words and numbers -------------------------------------------------------------------------
  const isNone = (value) => value === null || value === undefined;
  const count = (value) => (isNone(value) ? "–" : Math.round(value).toLocaleString("en-US"));
  const decimal = (value, places = 1) => (isNone(value) ? "–" : value.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }));
  const percent = (value) => (isNone(value) ? "–" : `${(100 * value).toFixed(1)}\u00a0%`);
  const score = (value) => (isNone(value) ? "–" : value.toFixed(0));
  const money = (value, currency) => (isNone(value) ? "–" : `${count(value)} ${currency ?? ""}`.trim());
  const between = (low, high, tell = percent) =>
    (isNone(low) || isNone(high) ? "" : `${tell(low).replace(/\s(%|s|min|h|days)$/, "")}–${tell(high)}`);
  const many = (number, word, plural = `${word}s`) => `${count(number)} ${number === 1 ? word : plural}`;
  const hours = (value) => {
    if (isNone(value)) return "–";
    if (value < 1 / 60) return `${Math.round(value * 3600)}\u00a0s`;
    if (value < 1) return `${(value * 60).toFixed(value < 1 / 6 ? 1 : 0)}\u00a0min`;
    if (value < 48) return `${value.toFixed(1)}\u00a0h`;
    return `${(value / 24).toFixed(1)}\u00a0days`;
  };
  // Ends of an interval in the unit of its middle.
  const hoursLike = (middle) => (value) => {
    if (isNone(value) || isNone(middle)) return "–";
    if (middle < 1 / 60) return `${(value * 3600).toFixed(0)} s`;
    if (middle < 1) return `${(value * 60).toFixed(middle < 1 / 6 ? 1 : 0)} min`;
    return middle < 48 ? `${value.toFixed(1)} h` : `${(value / 24).toFixed(1)} days`;
  };
  const seconds = (value) => (isNone(value) ? "–" : hours(value / 3600));
  const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
  const day = (iso) => {
    const [year, month, date] = iso.split("-").map(Number);
    return `${date} ${MONTHS[month - 1]} ${year}`;
  };
  const weekName = (week) => (week === "all" ? "All weeks" : `Week of ${day(week)}`);
  const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  const PSEUDO = new Map([["(start)", "Start"], ["(converted)", "Converted"], ["(lost)", "Lost"], ["(open)", "Still open"]]);
  const stepName = (name) => PSEUDO.get(name) ?? name;

  // --- elements: text only ever goes in as text --------------------------------------------------
  const SHAPES = new Set(["svg", "path", "line", "rect", "circle"]);
  const make = (tag, given = {}, ...children) => {
    const node = SHAPES.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(given)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "style") for (const [key, each] of Object.entries(value)) node.style.setProperty(key, each);
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  };
  const unseen = (text) => make("span", { class: "unseen" }, text);
  const interval = (low, high, tell) => {
    const text = between(low, high, tell);
    return text && make("span", { class: "interval" }, ` (${text})`);
  };
  const badge = (kind, text, words) => make("span", { class: `badge ${kind}` }, make("span", { "aria-hidden": "true" }, text), unseen(words));

  // A table: columns are [title, tell, kind], where tell gives text or nodes.
  const table = (title, columns, rows, { called = () => false, isQuiet = false } = {}) => {
    const body = make("table", {},
      make("caption", isQuiet ? {} : { class: "unseen" }, title),
      make("thead", {}, make("tr", {}, columns.map(([name, , kind]) => make("th", { scope: "col", class: kind === "figure" ? "figure" : null }, name)))),
      make("tbody", {}, rows.map((row) => make("tr", { class: called(row) ? "called" : null }, columns.map(([, tell, kind], place) =>
        make(place ? "td" : "th", { scope: place ? null : "row", class: kind }, tell(row)))))));
    return make("div", { class: "table-box", role: "region", "aria-label": title, tabindex: "0" }, body);
  };
  const asTable = (title, ...boxes) => make("details", {}, make("summary", {}, title), ...boxes);
  const meter = (value, { low = null, high = null, kind = "" } = {}) => make("span", { class: `meter ${kind}`, "aria-hidden": "true" },
    make("i", { style: { width: `${Math.min(100 * (value ?? 0), 100)}%` } }),
    !isNone(low) && !isNone(high) && make("u", { style: { left: `${100 * low}%`, width: `${Math.max(100 * (Math.min(high, 1) - low), 0.5)}%` } }));
  const part = (id, title, caption, ...children) => make("section", { class: "part", id: `part-${id}`, "aria-labelledby": `part-${id}-title` },
    make("h2", { id: `part-${id}-title` }, title), caption && make("p", { class: "caption" }, caption), ...children);
  const nothing = (text) => make("p", { class: "empty" }, text);
  const source = (...names) => make("p", { class: "source" }, "From ", names.map((name, place) => [place ? ", " : "", make("a", { href: `../dictionary.html#${name}` }, make("code", {}, name))]), ".");

  // --- what is looked at -------------------------------------------------------------------------
  const view = { journey: null, week: "all", segment: "all", colour: "loss", chosen: null };
  let data = null, read = null;

  // Rows of a part as objects; words come from the list that holds each once.
  const reader = (document) => {
    const names = Object.fromEntries(Object.entries(document.columns).map(([part, columns]) =>
      [part, columns.map((name) => [name.replace(/^@/, ""), name.startsWith("@")])]));
    const rows = (part, key = "") => (document.parts[part]?.[key] ?? []).map((row) =>
      Object.fromEntries(row.map((value, place) => [names[part][place][0], names[part][place][1] && value !== null ? document.words[value] : value])));
    const week = () => String(document.weeks.indexOf(view.week));
    const slice = () => `${week()}.${document.segments.findIndex(([id]) => id === view.segment)}`;
    return {
      whole: (part) => rows(part),
      everything: (part) => rows(part, "0.0"),
      weekly: (part) => rows(part, week()),
      slice: (part) => rows(part, slice()),
      isThere: (part) => document.published.includes(part),
      leftOut: (part, key) => document.left_out[part]?.[key === "slice" ? slice() : key === "week" ? week() : ""] ?? [0, 0],
    };
  };

  const fromAddress = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    return { journey: given.get("journey"), week: given.get("week") ?? "all", segment: given.get("segment") ?? "all", colour: COLOURS.has(given.get("colour")) ? given.get("colour") : "loss" };
  };
  const toAddress = () => {
    const given = new URLSearchParams({ journey: view.journey });
    for (const name of ["week", "segment"]) if (view[name] !== "all") given.set(name, view[name]);
    if (view.colour !== "loss") given.set("colour", view.colour);
    history.replaceState(null, "", `#${given}`);
  };

  const load = (journey) => new Promise((resolve, reject) => {
    const known = globalThis.throughline?.journeys.get(journey);
    if (known) { resolve(known); return; }
    const script = make("script", { src: links.find((link) => link.dataset.journey === journey).dataset.file });
    script.onload = () => resolve(globalThis.throughline.journeys.get(journey));
    script.onerror = () => reject(new Error("missing"));
    document.head.append(script);
  });

  const open = async (wanted) => {
    const journey = links.some((link) => link.dataset.journey === wanted.journey) ? wanted.journey : links[0].dataset.journey;
    for (const link of links) {
      if (link.dataset.journey === journey) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
    let found;
    try {
      found = await load(journey);
    } catch {
      find("journey").hidden = true;
      state.hidden = false;
      state.textContent = "The numbers of this journey could not be opened: its file is not beside this page. Copy the whole folder of the version.";
      return;
    }
    data = found;
    read = reader(found);
    Object.assign(view, wanted, { journey, chosen: null });
    // A week or segment that this journey does not have gives way to everything.
    if (!data.weeks.includes(view.week)) view.week = "all";
    if (!data.segments.some(([id]) => id === view.segment)) view.segment = "all";
    fill(find("pick-week"), data.weeks.map((week) => [week, weekName(week)]), view.week);
    fill(find("pick-segment"), data.segments, view.segment);
    for (const input of document.querySelectorAll("input[name=colour]")) input.checked = input.value === view.colour;
    state.hidden = true;
    find("journey").hidden = false;
    const link = links.find((each) => each.dataset.journey === journey), box = link.closest("nav");
    box.scrollLeft = Math.max(0, link.offsetLeft - 20);
    draw();
  };
  const fill = (select, options, value) => {
    select.replaceChildren(...options.map(([id, name]) => make("option", { value: id }, name)));
    select.value = value;
  };

  // --- the page ----------------------------------------------------------------------------------
  const draw = () => {
    toAddress();
    const place = data.weeks.indexOf(view.week);
    find("pick-earlier").disabled = data.weeks.length < 2 || place === data.weeks.length - 1;
    find("pick-later").disabled = place === 0;
    find("journey-eyebrow").textContent = [sentence(data.journey.replaceAll("_", " ")), data.owner,
      data.guard_rails && `not at the cost of ${data.guard_rails.replaceAll("_", " ").replaceAll("|", ", ")}`,
      !isNone(data.window_days) && `lost after ${many(data.window_days, "day")} without success`,
      data.weeks_left_out && `the latest ${data.weeks.length - 1} of ${data.weeks.length - 1 + data.weeks_left_out} weeks can be chosen`].filter(Boolean).join(" · ");
    find("journey-title").textContent = data.title;
    document.title = `${data.title} · Journey map · Throughline`;
    find("journey-problem").hidden = !data.problem;
    find("journey-problem").replaceChildren(make("span", { class: "tag problem" }, "check the definition"), ` ${data.problem ?? ""}`);
    const stages = read.slice("stages");
    const lead = leadOf(stages);
    find("journey-lead").replaceChildren(...lead);
    find("journey-callouts").replaceChildren(...callouts(stages));
    const parts = find("journey-parts");
    parts.replaceChildren(mapPart(stages), frictionPart(stages), funnelPart(stages),
      make("div", { class: "two" }, survivalPart(), healthPart()),
      make("div", { class: "two" }, pathsPart(), firstDayPart()),
      make("div", { class: "two" }, supportPart(stages), effortPart()),
      abandonmentPart(),
      make("div", { class: "two" }, whatIfPart(), statesPart()),
      notesPart());
    told.textContent = `${sliceName()}: ${lead.map((each) => each.textContent ?? each).join("")}`;
    layOut();
    plotAll();
  };
  const segmentName = () => data.segments.find(([id]) => id === view.segment)[1];
  const sliceName = () => `${weekName(view.week)}${view.segment === "all" ? "" : `, segment ${segmentName()}`}`;
  const strong = (text) => make("strong", {}, text);
  const ended = (row) => row.lost_count + row.advanced_count;
  // The stage that most people did not come to, and the one they were lost from on the way.
  const wayTo = (stages, rank) => {
    const place = stages.findIndex((row) => row[rank] === 1);
    return place > 0 && stages[place - 1].lost_count > 0 ? { from: stages[place - 1], to: stages[place] } : null;
  };
  const mainDrop = (stages) => wayTo(stages, "rank_by_lost");
  const openOf = (stages) => stages.reduce((sum, row) => sum + row.open_count, 0);
  // One attempt in twenty is still under way; one in two.
  const isYoung = (stages) => openOf(stages) >= 0.05 * stages[0].entered_count;
  const isTooYoung = (stages) => stages.length > 0 && openOf(stages) > 0.5 * stages[0].entered_count;
  const tooYoung = (stages) => `Too young to say: ${count(openOf(stages))} of ${many(stages[0].entered_count, "attempt")} are still open, and friction is judged when their window is over.`;

  const leadOf = (stages) => {
    if (!stages.length || !stages[0].entered_count) return ["Nobody entered this journey in this week and segment; choose another of either."];
    const first = stages[0], last = stages.at(-1);
    const open = openOf(stages);
    const lost = stages.reduce((sum, row) => sum + row.lost_count, 0);
    const words = [strong(count(last.reached_count)), " of ", strong(count(first.entered_count)), ` ${first.entered_count === 1 ? "attempt" : "attempts"} ${isYoung(stages) ? `${first.entered_count === 1 ? "has" : "have"} so far reached` : "reached"} “${last.stage}” (`, strong(percent(last.shared_rate)), `); ${count(lost)} ${lost === 1 ? "was" : "were"} lost and ${count(open)} ${open === 1 ? "is" : "are"} still open.`];
    if (first.entered_count < FEW) return [...words, ` So few attempts (n = ${count(first.entered_count)}) show no pattern: nothing is ranked.`];
    const drop = mainDrop(stages), worst = wayTo(stages, "rank_by_step_rate");
    if (drop) words.push(` Most are lost between “${drop.from.stage}” and “${drop.to.stage}”: `, strong(percent(drop.from.drop_off_rate)), interval(drop.from.drop_off_low, drop.from.drop_off_high), " of those who come that far go no further.");
    if (drop && worst && worst.to !== drop.to) words.push(` The step with the lowest rate is that to “${worst.to.stage}” (${percent(worst.to.step_rate)}).`);
    return words;
  };

  const callouts = (stages) => {
    const found = [];
    const call = (kind, mark, title, what, why) => found.push(make("section", { class: "callout" },
      make("h2", {}, make("span", { class: `badge ${kind}`, "aria-hidden": "true" }, mark), title), make("p", { class: "what" }, what), make("p", { class: "why" }, why)));
    const drop = mainDrop(stages);
    // What is known to cost there says more than how long people wait.
    const reasonOf = ({ from, to }) => {
      const known = read.weekly("friction").find((row) => row.is_ranked && row.stage_order === from.stage_order && row.extra_lost_count > 0);
      if (known) return ` Friction there: ${known.signal} at ${known.touchpoint ?? known.stage}, ${decimal(known.extra_lost_count, 0)} lost above what is expected.`;
      return to.likely_reason ? ` Likely reason: ${to.likely_reason}.` : "";
    };
    if (drop) call("fall", "▼", "Main drop-off", `${percent(drop.from.drop_off_rate)} lost before “${drop.to.stage}”`,
      `${many(drop.from.lost_count, "attempt")} (${between(drop.from.drop_off_low, drop.from.drop_off_high)})${isNone(drop.from.value_at_risk_amount) || drop.from.value_at_risk_amount <= 0 ? "" : `, ${money(drop.from.value_at_risk_amount, drop.from.value_at_risk_currency)} if all had converted`}.${reasonOf(drop)}`);
    else call("fall", "▼", "Main drop-off", "Not called", read.isThere("stages") ? `Stages are ranked once ${FEW} attempts have ended there; here fewer have.` : "The funnel is not published yet.");
    const friction = read.weekly("friction").find((row) => row.rank === 1);
    if (friction) call("problem", "1", "Costliest friction", frictionTitle(friction), `${frictionPrice(friction)}; likely cause: ${friction.likely_cause ?? "unknown"}.${view.segment === "all" ? "" : " Friction is not split by segment."}`);
    else call("few", "–", "Costliest friction", "None found", read.isThere("friction") ? (isTooYoung(stages) ? tooYoung(stages) : `No friction stands out from matched attempts ${view.week === "all" ? "over all weeks" : "in this week"}.`) : "Friction has not been looked for yet.");
    const aha = read.whole("first_day").find((row) => row.is_aha);
    if (aha) call("good", "★", "Aha moment", actionName(aha), `${unsplit()}Who does this on the first day converts ${decimal(aha.lift, 2)} times as often (${between(aha.lift_low, aha.lift_high, (value) => decimal(value, 2))}; n = ${count(aha.customer_count)}). Going together, not proof.`);
    else call("good", "★", "Aha moment", "None found", read.isThere("first_day") ? (read.whole("first_day").length ? (comeSoon(read.whole("first_day")) ?? "No action of the first day goes with more conversion beyond chance.") : "Too few attempts outlast their first day.") : "The first day has not been looked at yet.");
    return found;
  };

  // --- the map -----------------------------------------------------------------------------------
  const step = (value, limits) => limits.filter((limit) => value >= limit).length + 1;
  const scale = () => COLOURS.get(view.colour);
  const colourOf = (row) => {
    const value = row[scale().column];
    return isNone(value) ? null : `var(--${view.colour}-${step(value, scale().limits)})`;
  };
  const factOf = (row) => scale().tell(row[scale().column]);
  const keyOf = (order, name) => `${order}\u0000${name}`;
  let map = null;

  const mapPart = (stages) => {
    const touchpoints = read.slice("touchpoints");
    if (!stages.length || !stages[0].entered_count) return part("map", "Nobody is on the map here", null, nothing("No attempt started in this week and segment; choose another of either."));
    const box = make("div", { class: "scroller", role: "region", "aria-label": "The map, stages from left to right", tabindex: "0" });
    const detail = make("aside", { class: "detail", id: "map-detail", "aria-label": "What is chosen on the map" });
    const drop = mainDrop(stages);
    const title = drop ? `The way from “${stages[0].stage}” to “${stages.at(-1).stage}”, and where it is lost` : `The way from “${stages[0].stage}” to “${stages.at(-1).stage}”`;
    map = { box, detail, stages, touchpoints, flows: read.slice("flows"), friction: read.weekly("friction"), notes: read.whole("annotations"), leaving: leavings(stages) };
    const [rowsOut, passesOut] = read.leftOut("flows", "slice");
    return part("map", title,
      `${sliceName()}, ${many(stages[0].entered_count, "attempt")}. The band is how many reach each stage. Circles are touchpoints, larger with more touches; flows narrow in the direction people go.`,
      make("div", { class: "stage-map" }, make("div", {}, box, legend()), detail),
      read.isThere("touchpoints") ? null : nothing("Touchpoints are not published yet: the map shows the stages alone."),
      read.isThere("flows") ? null : nothing("Transitions are not published yet: no flows are drawn."),
      rowsOut ? make("p", { class: "left-out" }, `${many(rowsOut, "small flow")} with ${many(passesOut, "passage")} together are left out here; journey_transitions has them all.`) : null,
      mapTables(stages, touchpoints),
      source("journey_stages", "stage_touchpoints", "journey_transitions", "friction_points", "journey_annotations"));
  };

  const legend = () => {
    return make("div", { class: "legend" },
      make("span", {}, scale().title),
      make("span", { class: "steps" }, scale().names.map((name, place) => make("span", {}, make("span", { class: "swatch", style: { background: `var(--${view.colour}-${place + 1})` } }), name))),
      make("span", {}, badge("problem", "1", ""), " friction, by rank"), make("span", {}, badge("note", "n", ""), " note"),
      map.leaving.length ? make("span", {}, badge("leave", map.leaving[0].abandonment_type, ""), " a way of giving up, where it is most common") : null,
      make("span", {}, `dashed: fewer than ${FEW} attempts${view.colour === "loss" ? " whose window is over" : ""}`));
  };

  const pinsOf = (order, name) => map.friction.filter((row) => row.stage_order === order && (name === null ? !isDrawn(order, row.touchpoint) : row.touchpoint === name));
  const notesOf = (stage, order, name) => map.notes.filter((row) => row.stage === stage && (name === null ? isNone(row.touchpoint) || !isDrawn(order, row.touchpoint) : row.touchpoint === name));
  const leavesAt = (order, name) => map.leaving.filter((row) => row.stage_order === order && (name === null ? !isDrawn(order, row.main_touchpoint) : row.main_touchpoint === name));
  const isDrawn = (order, name) => map.nodes.some((node) => node.order === order && node.name === name);
  // Only what is ranked is pinned; the rest is told when its place is chosen. Little room: the first ones, then how many more.
  const badges = (pins, notes, leaving, room = 2) => {
    const all = [
      ...pins.filter((row) => row.is_ranked && !isNone(row.rank)).map((row) => ["problem", row.rank, `friction rank ${row.rank}`]),
      ...leaving.map((row) => ["leave", row.abandonment_type, `people give up here: ${row.name}`]),
      ...(notes.length ? [["note", notes.length > 1 ? `${notes.length}n` : "n", many(notes.length, "note")]] : []),
    ];
    const shown = all.length > room ? all.slice(0, room - 1) : all, rest = all.slice(shown.length);
    return [...shown.map(([kind, text, words]) => badge(kind, text, `, ${words}`)),
      rest.length ? badge("few", `+${rest.length}`, `, ${rest.map(([, , words]) => words).join(", ")}`) : null];
  };

  const layOut = () => {
    if (!map || !map.box.isConnected) return;
    const { box, stages, touchpoints, flows } = map;
    const wide = box.clientWidth - parseFloat(getComputedStyle(box).paddingLeft) - parseFloat(getComputedStyle(box).paddingRight);
    if (!wide) return;
    map.width = wide;
    const left = 34, right = 118;
    const width = Math.max(wide, left + right + (wide < 700 ? 196 : 170) * stages.length);
    const column = (width - left - right) / stages.length;
    // Places come from everything together, so that a circle stays where it is when week or segment change.
    const ranking = new Map(read.everything("touchpoints").map((row, place) => [keyOf(row.stage_order, row.touchpoint), place]));
    map.nodes = [];
    const canvas = make("div", { class: "canvas", style: { width: `${width}px` } });
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    box.replaceChildren(canvas);
    const heads = stages.map((stage, position) => make("button", {
      type: "button", class: "column-head", "aria-pressed": "false", "data-key": keyOf(stage.stage_order, ""),
      style: { left: `${left + column * position}px`, top: "0", width: `${column - 14}px` },
    }));
    const fillHeads = () => {
      for (const [position, stage] of stages.entries()) {
        heads[position].replaceChildren(
          make("span", { class: "step" }, stage.stage, badges(pinsOf(stage.stage_order, null), notesOf(stage.stage, stage.stage_order, null), leavesAt(stage.stage_order, null), 3)),
          make("span", { class: "count" }, `${count(stage.reached_count)} · ${percent(stage.shared_rate)}`));
      }
    };
    canvas.append(...heads);
    fillHeads();
    // Names of stages may take more lines than one.
    map.head = Math.max(...heads.map((head) => head.offsetHeight)) + 14;
    const top = map.head + BAND + DROP + RADIUS + 14;
    const most = Math.max(1, ...touchpoints.map((row) => row.touch_count));
    let rows = 1;
    for (const [place, stage] of stages.entries()) {
      const here = touchpoints.filter((row) => row.stage_order === stage.stage_order)
        .sort((one, other) => (ranking.get(keyOf(one.stage_order, one.touchpoint)) ?? 9e9) - (ranking.get(keyOf(other.stage_order, other.touchpoint)) ?? 9e9));
      const shown = here.slice(0, NODES);
      rows = Math.max(rows, shown.length + (here.length > NODES ? 0.5 : 0));
      for (const [level, row] of shown.entries()) {
        map.nodes.push({ row, order: row.stage_order, name: row.touchpoint, x: left + column * place + RADIUS + 6, y: top + level * ROW, radius: 5 + (RADIUS - 5) * Math.sqrt(row.touch_count / most) });
      }
      stage.rest = here.slice(NODES);
    }
    const height = Math.max(top + (rows - 1) * ROW + RADIUS + 26, map.head + BAND + DROP);
    canvas.style.height = `${height}px`;
    const picture = make("svg", { width, height, "aria-hidden": "true", focusable: "false" });
    canvas.append(picture);
    drawBand(picture, canvas, { stages, left, column, width, right });
    const middle = top;
    const start = { x: left - 22, y: middle, radius: 4 }, end = { x: width - right + 26, y: middle, radius: 4 };
    const place = new Map(map.nodes.map((node) => [keyOf(node.order, node.name), node]));
    const ends = new Map([["(start)", start], ["(converted)", end]]);
    const drawn = flows.map((flow) => ({
      ...flow,
      from: ends.get(flow.from_step) ?? place.get(keyOf(flow.from_stage_order, flow.from_step)),
      to: ends.get(flow.to_step) ?? place.get(keyOf(flow.to_stage_order, flow.to_step)),
    })).filter((flow) => flow.from && flow.to && flow.from !== flow.to);
    const largest = Math.max(1, ...drawn.map((flow) => flow.transition_count));
    map.lines = drawn.map((flow, rank) => {
      const line = make("path", { class: "flow", d: ribbon(flow, Math.max(1.2, 22 * flow.transition_count / largest)) });
      if (flow.to.x < flow.from.x - 1) line.classList.add("back");
      line.toggleAttribute("hidden", rank >= FLOWS);
      picture.append(line);
      return { ...flow, line, isMain: rank < FLOWS };
    });
    if (flows.length) {
      canvas.append(make("p", { class: "ends", style: { left: "0", top: `${middle - 34}px` } }, "Start"));
      const last = stages.at(-1);
      canvas.append(make("p", { class: "ends", style: { left: `${width - right + 36}px`, top: `${middle - 20}px`, width: `${right - 36}px` } }, "Converted", make("b", {}, percent(last.shared_rate))));
    }
    fillHeads();
    for (const [position, stage] of stages.entries()) {
      canvas.append(heads[position]);
      for (const node of map.nodes.filter((each) => each.order === stage.stage_order)) canvas.append(nodeButton(node, stage, column));
      if (stage.rest.length) {
        const touches = stage.rest.reduce((sum, row) => sum + row.touch_count, 0);
        const level = map.nodes.filter((each) => each.order === stage.stage_order).length;
        canvas.append(make("p", { class: "more", style: { left: `${left + column * position + 6}px`, top: `${top + (level - 1) * ROW + RADIUS + 12}px`, width: `${column - 20}px` } }, `and ${stage.rest.length} more, ${many(touches, "touch", "touches")}`));
      }
    }
    if (focused) [...canvas.querySelectorAll("button")].find((each) => each.dataset.key === focused)?.focus({ preventScroll: true });
    for (const button of canvas.querySelectorAll("button")) {
      const key = button.dataset.key;
      button.addEventListener("click", () => {
        choose(view.chosen === key ? null : key);
        // Beside the map it is in sight; below it, on a phone, it is brought there.
        if (view.chosen && map.detail.offsetTop > map.box.offsetTop + 20) map.detail.scrollIntoView({ block: "nearest" });
      });
      button.addEventListener("pointerenter", () => light(key));
      button.addEventListener("pointerleave", () => light(view.chosen));
      button.addEventListener("focus", () => light(key));
      button.addEventListener("blur", () => light(view.chosen));
    }
    if (view.chosen && ![...canvas.querySelectorAll("button")].some((each) => each.dataset.key === view.chosen)) view.chosen = null;
    choose(view.chosen, { isSilent: true });
  };

  // How many attempts what is shown is a share of.
  const judged = (row) => (view.colour === "loss" ? row.closed_count : row.attempt_count);
  const nodeButton = (node, stage, column) => {
    const { row, x, y, radius } = node;
    const colour = colourOf(row), known = judged(row), isFew = known < FEW;
    const words = `${row.touchpoint} at ${stage.stage}: ${many(row.touch_count, "touch", "touches")}, ${scale().long(row[scale().column])}${isFew ? `, only ${many(known, "attempt")}${known < row.attempt_count ? " whose window is over" : ""}` : ""}`;
    const pins = pinsOf(node.order, node.name), notes = notesOf(stage.stage, node.order, node.name), leaving = leavesAt(node.order, node.name);
    const dot = make("span", { class: isFew ? "dot few" : "dot", style: { width: `${2 * radius}px`, height: `${2 * radius}px`, "margin-left": `${RADIUS - radius}px`, ...(colour ? { background: colour } : {}) } });
    return make("button", {
      type: "button", class: "node", "aria-pressed": "false", "data-key": keyOf(node.order, node.name), "data-touches": row.touch_count,
      style: { left: `${x - RADIUS}px`, top: `${y - RADIUS}px`, height: `${2 * RADIUS}px`, width: `${column - 16}px` },
      "aria-label": [words, ...pins.map((pin) => (pin.is_ranked ? `friction rank ${pin.rank}` : "friction that is not ranked")), notes.length ? many(notes.length, "note") : null, ...leaving.map((each) => `here people give up: ${each.name}`)].filter(Boolean).join(", "),
    }, dot, make("span", { class: "words" }, make("span", { class: "line" }, make("span", { class: "label", style: { "flex-shrink": row.touchpoint.length > 9 ? "1" : "0" } }, row.touchpoint), badges(pins, notes, leaving)), make("span", { class: "fact" }, `${count(row.touch_count)} · ${factOf(row)}`)));
  };

  // People as a band that narrows from stage to stage; what falls away after a stage is drawn below it.
  const drawBand = (picture, canvas, { stages, left, column }) => {
    const whole = Math.max(1, stages[0].entered_count), drop = mainDrop(stages);
    const tall = (people) => BAND * people / whole;
    for (const [place, stage] of stages.entries()) {
      const x = left + place * column, next = stages[place + 1];
      const here = tall(stage.reached_count), on = next ? tall(next.reached_count) : here;
      const flat = x + column * 0.55, end = x + column;
      picture.append(make("path", { class: "band", d: `M${x},${map.head} H${end} V${map.head + on} C${(flat + end) / 2},${map.head + on} ${(flat + end) / 2},${map.head + here} ${flat},${map.head + here} H${x} Z` }));
      if (next && stage.lost_count > 0) {
        const lost = tall(stage.lost_count), y = map.head + here - lost;
        picture.append(make("path", { class: `band-lost${drop?.from === stage ? " main" : ""}`, d: `M${flat - column * 0.12},${y} H${flat} C${flat + column * 0.1},${y} ${flat + column * 0.12},${map.head + BAND + 6} ${flat + column * 0.12},${map.head + BAND + 10} H${flat + column * 0.12 - Math.max(lost * 0.6, 1.5)} C${flat + column * 0.12 - Math.max(lost * 0.6, 1.5)},${map.head + here + 4} ${flat + column * 0.06},${y + lost} ${flat - column * 0.12},${y + lost} Z` }));
      }
      picture.append(make("line", { class: "band-edge", x1: x, x2: x, y1: map.head - 2, y2: map.head + here }));
      if (!next) continue;
      const isMain = drop?.from === stage;
      canvas.append(make("p", { class: `drop${isMain ? " main" : ""}`, style: { left: `${x + column * 0.36}px`, top: `${map.head + BAND + 14}px`, width: `${column * 0.64 - 6}px` } },
        make("b", {}, isMain ? `▼ Main drop-off: ${percent(stage.drop_off_rate)}` : `${percent(stage.drop_off_rate)} lost`), `${count(stage.lost_count)}${ended(stage) < FEW ? `, n = ${count(ended(stage))}` : ""}`));
    }
  };

  // A flow that is wide where it starts and narrow where it ends; within a stage it bows out to the left.
  const ribbon = ({ from, to }, wide) => {
    const thin = Math.max(wide * 0.3, 0.8);
    if (Math.abs(from.x - to.x) < 2) {
      const bow = 20 + Math.min(34, Math.abs(from.y - to.y) / 6), side = to.y > from.y ? -1 : 1;
      const x = from.x + side * (side < 0 ? 4 : 12), down = Math.sign(to.y - from.y);
      const y1 = from.y + down * from.radius * 0.8, y2 = to.y - down * to.radius * 0.8, w1 = Math.min(wide, 12) / 2, w2 = Math.min(thin, 4) / 2;
      return `M${x},${y1 - w1} C${x + side * (bow + w1)},${y1 - w1} ${x + side * (bow + w2)},${y2 + w2} ${x},${y2 + w2} L${x},${y2 - w2} C${x + side * (bow - w2)},${y2 - w2} ${x + side * (bow - w1)},${y1 + w1} ${x},${y1 + w1} Z`;
    }
    const side = to.x > from.x ? 1 : -1;
    const x1 = from.x + side * from.radius * 0.9, x2 = to.x - side * to.radius, mid = (x1 + x2) / 2;
    const y1 = from.y + (side < 0 ? 7 : 0), y2 = to.y + (side < 0 ? 7 : 0), w1 = wide / 2, w2 = thin / 2;
    return `M${x1},${y1 - w1} C${mid},${y1 - w1} ${mid},${y2 - w2} ${x2},${y2 - w2} L${x2},${y2 + w2} C${mid},${y2 + w2} ${mid},${y1 + w1} ${x1},${y1 + w1} Z`;
  };

  const split = (key) => { const at = key.indexOf("\u0000"); return [Number(key.slice(0, at)), key.slice(at + 1)]; };
  const light = (key) => {
    const [order, name] = key ? split(key) : [null, null];
    const near = new Set();
    for (const flow of map.lines ?? []) {
      const isOut = key && flow.from_stage_order === order && (name === "" || flow.from_step === name);
      const isIn = key && flow.to_stage_order === order && (name === "" || flow.to_step === name);
      flow.line.toggleAttribute("hidden", !(flow.isMain || isOut || isIn));
      flow.line.classList.toggle("out", Boolean(isOut));
      flow.line.classList.toggle("in", Boolean(isIn && !isOut));
      flow.line.classList.toggle("dim", Boolean(key && !isOut && !isIn));
      if (isOut) near.add(keyOf(flow.to_stage_order, flow.to_step));
      if (isIn) near.add(keyOf(flow.from_stage_order, flow.from_step));
    }
    for (const button of map.box.querySelectorAll(".node")) {
      const own = button.dataset.key;
      button.classList.toggle("dim", Boolean(key && own !== key && !near.has(own) && !(name === "" && split(own)[0] === order)));
    }
  };
  const choose = (key, { isSilent = false } = {}) => {
    view.chosen = key;
    for (const button of map.box.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.key === key));
    light(key);
    const content = key ? detailOf(key) : detailOfAll();
    map.detail.replaceChildren(...content.filter(Boolean));
    if (!isSilent && key) told.textContent = `${map.detail.querySelector("h3").textContent}: ${[...map.detail.querySelectorAll(".facts > div")].map((each) => each.innerText.replace(/\s+/g, " ")).join("; ")}`;
  };
  const facts = (...pairs) => make("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, value, low, high, tell]) => make("div", {}, make("dt", {}, name), make("dd", {}, value, between(low, high, tell) && make("span", { class: "interval" }, between(low, high, tell))))));
  const waysOf = (title, rows, pick, whole) => rows.length > 0 && make("div", {}, make("h4", {}, title), make("ul", { class: "ways" }, rows.slice(0, 6).map((flow) => {
    const share = whole ? flow.transition_count / whole : flow.transition_rate;
    return make("li", { style: { "--share": `${100 * share}%` } }, make("span", { class: "name" }, stepName(pick(flow)), whole ? null : unseen(":")), make("span", {}, `${count(flow.transition_count)}${whole ? "" : ` · ${percent(flow.transition_rate)}`}`));
  })));
  const itemsOf = (pins, notes) => [
    pins.length > 0 && make("div", {}, make("h4", {}, "Friction"), make("ul", { class: "items" }, pins.map((row) => make("li", {}, row.is_ranked ? badge("problem", row.rank, `rank ${row.rank}: `) : badge("few", "·", "not ranked: "), ` ${row.signal}${row.cohort && row.cohort !== "all" ? `, ${row.cohort}` : ""}: ${frictionPrice(row)}.`)))),
    notes.length > 0 && make("div", {}, make("h4", {}, "Notes"), make("ul", { class: "items" }, notes.map((row) => make("li", {}, make("span", { class: "tag" }, row.kind), ` ${row.text} `, make("span", { class: "quiet" }, [row.author, row.said_on && day(row.said_on)].filter(Boolean).join(", ")))))),
  ];
  const detailOfAll = () => {
    const first = map.stages[0];
    const [start] = map.flows.filter((flow) => flow.from_step === "(start)");
    return [make("h3", {}, "Choose a stage or a touchpoint"), make("p", { class: "quiet", style: { "margin-top": ".4rem" } }, "Its numbers, where people come from and where they go appear here; the flows of the others step back."),
      facts(["Entered", count(first.entered_count)], ["Converted", percent(map.stages.at(-1).shared_rate)], ["Still open", count(map.stages.reduce((sum, row) => sum + row.open_count, 0))]),
      start && waysOf("Starts with", map.flows.filter((flow) => flow.from_step === "(start)"), (flow) => flow.to_step)];
  };
  const detailOf = (key) => {
    const [order, name] = split(key);
    const stage = map.stages.find((row) => row.stage_order === order);
    const close = make("button", { type: "button", class: "close", "aria-label": "Choose nothing", onclick: () => { choose(null); map.box.querySelector("button")?.focus(); } }, "×");
    if (name === "") {
      return [close, make("h3", {}, stage.stage), make("p", { class: "quiet" }, `Stage ${order}`),
        facts(["Reached", count(stage.reached_count)], ["Of all who entered", percent(stage.shared_rate)], ["Of the stage before", percent(stage.step_rate)],
          ["Lost here", percent(stage.drop_off_rate), stage.drop_off_low, stage.drop_off_high], ["Lost · open", `${count(stage.lost_count)} · ${count(stage.open_count)}`],
          ["Median time to next", hours(stage.median_hours_to_next), stage.median_hours_to_next_low, stage.median_hours_to_next_high, hoursLike(stage.median_hours_to_next)],
          ["Satisfaction", score(stage.satisfaction_score)], ["Worth, had all converted", money(stage.value_at_risk_amount, stage.value_at_risk_currency)]),
        stage.likely_reason && make("p", { style: { "margin-top": ".7rem" } }, `Likely reason of losses on the way here: ${stage.likely_reason}.`),
        ...itemsOf(map.friction.filter((row) => row.stage_order === order), map.notes.filter((row) => row.stage === stage.stage))];
    }
    const { row } = map.nodes.find((node) => node.order === order && node.name === name);
    const comes = map.flows.filter((flow) => flow.to_stage_order === order && flow.to_step === name);
    const goes = map.flows.filter((flow) => flow.from_stage_order === order && flow.from_step === name);
    const where = (step, at) => (at && at !== order ? `${stepName(step)} (${map.stages.find((each) => each.stage_order === at)?.stage ?? at})` : stepName(step));
    return [close, make("h3", {}, name), make("p", { class: "quiet" }, `At “${stage.stage}”${row.attempt_count < FEW ? `; only ${many(row.attempt_count, "attempt")}: shown, not judged` : row.closed_count < row.attempt_count ? `; ${many(row.closed_count, "attempt")} whose window is over ${row.closed_count < FEW ? "are too few to judge" : "are judged"}` : ""}`),
      facts(["Touches", count(row.touch_count)], ["Attempts", count(row.attempt_count)], ["Convert", percent(row.conversion_rate), row.conversion_low, row.conversion_high],
        ["Lost right after", percent(row.drop_off_after_rate), row.drop_off_after_low, row.drop_off_after_high], ["With friction", percent(row.friction_rate)],
        ["Sentiment", score(row.sentiment_score)], ["Rating", score(row.rating_score)], ["Ask within 24 h", percent(row.contact_rate)]),
      waysOf("Goes on to", goes, (flow) => where(flow.to_step, flow.to_stage_order)),
      waysOf("Comes from", comes, (flow) => where(flow.from_step, flow.from_stage_order), comes.reduce((sum, flow) => sum + flow.transition_count, 0)),
      ...itemsOf(pinsOf(order, name), notesOf(stage.stage, order, name)),
      leavesAt(order, name).length > 0 && make("div", {}, make("h4", {}, "Giving up"), make("ul", { class: "items" }, leavesAt(order, name).map((leave) => make("li", {}, badge("leave", leave.abandonment_type, ""), ` ${leave.name}: ${percent(leave.share_rate)} of those who give up`))))];
  };

  const withInterval = (row, name) => [percent(row[`${name}_rate`]), interval(row[`${name}_low`], row[`${name}_high`])];
  const mapTables = (stages, touchpoints) => {
    const names = new Map(stages.map((row) => [row.stage_order, row.stage]));
    const flows = read.slice("flows");
    const [rowsOut] = read.leftOut("touchpoints", "slice");
    return asTable("The map as tables",
      table(`Touchpoints, ${sliceName()}`, [
        ["Touchpoint", (row) => row.touchpoint], ["Stage", (row) => names.get(row.stage_order) ?? row.stage_order],
        ["Touches", (row) => count(row.touch_count), "figure"], ["Attempts", (row) => count(row.attempt_count), "figure"], ["Window over", (row) => count(row.closed_count), "figure"],
        ["Convert", (row) => withInterval(row, "conversion"), "figure"], ["Lost right after", (row) => withInterval(row, "drop_off_after"), "figure"],
        ["Friction", (row) => percent(row.friction_rate), "figure"], ["Sentiment", (row) => score(row.sentiment_score), "figure"], ["Rating", (row) => score(row.rating_score), "figure"], ["Ask within 24 h", (row) => percent(row.contact_rate), "figure"],
      ], [...touchpoints].sort((one, other) => one.stage_order - other.stage_order || other.touch_count - one.touch_count), { isQuiet: true }),
      rowsOut ? make("p", { class: "left-out" }, `${many(rowsOut, "touchpoint")} with few touches are only in stage_touchpoints.`) : null,
      table(`Flows, ${sliceName()}`, [
        ["From", (row) => stepName(row.from_step)], ["at", (row) => names.get(row.from_stage_order) ?? ""], ["To", (row) => stepName(row.to_step)], ["at", (row) => names.get(row.to_stage_order) ?? ""],
        ["People", (row) => count(row.transition_count), "figure"], ["Of all that left", (row) => percent(row.transition_rate), "figure"], ["Median time", (row) => hours(row.median_hours), "figure"],
      ], flows, { isQuiet: true }));
  };

  // --- friction ----------------------------------------------------------------------------------
  const frictionTitle = (row) => `${sentence(row.signal)} at ${row.touchpoint ?? row.stage}${row.cohort && row.cohort !== "all" ? `, ${row.cohort}` : ""}`;
  const frictionPrice = (row) => (isNone(row.value_at_risk_amount)
    ? `${decimal(row.extra_lost_count, 0)} extra losses (${between(row.extra_lost_low, row.extra_lost_high, (value) => decimal(value, 0))})`
    : `${money(row.value_at_risk_amount, row.value_currency)} at risk (${between(row.value_low, row.value_high, count)})`);
  const frictionItem = (row) => make("li", {}, row.is_ranked && !isNone(row.rank) ? badge("problem", row.rank, `Rank ${row.rank}`) : badge("few", "·", "Not ranked"),
    make("div", { class: "body" },
      make("div", {}, make("h3", {}, frictionTitle(row)), make("p", { class: "quiet" }, `Stage “${row.stage}”${row.from_date && row.to_date ? ` · ${day(row.from_date)} to ${day(row.to_date)}` : ""}${row.owner ? ` · ${row.owner}` : ""}`),
        make("p", { class: "price" }, frictionPrice(row)),
        make("p", { class: "quiet" }, `${count(row.lost_count)} of ${count(row.attempt_count)} lost, ${decimal(row.expected_lost_count)} expected${row.is_ranked ? "" : row.attempt_count < FEW ? `; n = ${count(row.attempt_count)} is too few to rank` : "; not ranked: too uncertain, or explained by what ranks above"}`)),
      make("dl", {}, [["Evidence", row.evidence], ["Likely cause", row.likely_cause ?? "unknown"], ["Do", row.recommendation],
        ["Gain", isNone(row.expected_gain_amount) ? null : `${money(row.expected_gain_amount, row.value_currency)}${row.expected_gain_basis ? `, ${row.expected_gain_basis}` : ""}`]]
        .filter(([, words]) => words).map(([name, words]) => [make("dt", {}, name), make("dd", {}, words)]))));
  const frictionPart = (stages) => {
    const rows = read.weekly("friction");
    const [rowsOut] = read.leftOut("friction", "week");
    if (!rows.length) return part("friction", read.isThere("friction") && isTooYoung(stages) ? "Too young for friction to be judged" : "No friction stands out", null, nothing(read.isThere("friction") ? (isTooYoung(stages) ? tooYoung(stages) : `${weekName(view.week)}: nothing is lost beyond what matched attempts lose.`) : "Friction is not published yet: it appears with friction_points."), source("friction_points"));
    const ranked = rows.filter((row) => row.is_ranked && !isNone(row.rank)), held = rows.filter((row) => !ranked.includes(row)), first = ranked[0];
    return part("friction", first ? `${frictionTitle(first)} costs most` : "Some signs of friction, none sure enough to rank",
      `${weekName(view.week)}, everybody${view.segment === "all" ? "" : " (friction is not split by segment)"}: losses beyond those of matched attempts, ranked by what they cost, with 95 % intervals.`,
      ranked.length ? make("ol", { class: "frictions" }, ranked.map(frictionItem)) : null,
      held.length ? asTable(`${many(held.length, ranked.length ? "more sign" : "sign")} of friction, not ranked`, make("ol", { class: "frictions" }, held.map(frictionItem))) : null,
      rowsOut ? make("p", { class: "left-out" }, `${many(rowsOut, "more row")} in friction_points.`) : null, source("friction_points"));
  };

  // --- funnel ------------------------------------------------------------------------------------
  const funnelPart = (stages) => {
    if (!stages.length) return part("funnel", "No funnel here", null, nothing("Nobody entered in this week and segment."));
    const drop = mainDrop(stages), worst = wayTo(stages, "rank_by_step_rate");
    const title = drop && worst ? (drop.to === worst.to ? `The way to “${drop.to.stage}” loses most people and the largest share` : `The way to “${drop.to.stage}” loses most people, the way to “${worst.to.stage}” the largest share`) : `${percent(stages.at(-1).shared_rate)} get to “${stages.at(-1).stage}”`;
    const ranked = (row, value, rank) => [value, " ", isNone(row[rank]) ? (row === stages[0] ? null : make("span", { class: "few-note" }, "not ranked")) : make("span", { class: row[rank] === 1 ? "tag problem" : "tag" }, `no. ${row[rank]}`)];
    const lostBefore = (row) => row.lost_before_count ?? stages[stages.indexOf(row) - 1]?.lost_count ?? null;
    return part("funnel", title, `${sliceName()}, n = ${count(stages[0].entered_count)}. Two denominators: of all who entered, and of those who reached the stage before; both orders are ranked. Drop-off is a survival estimate: open attempts count as not known yet, never as lost.`,
      table(`Funnel, ${sliceName()}`, [
        ["Stage", (row) => row.stage], ["Reached", (row) => count(row.reached_count), "figure"],
        ["Of all who entered", (row) => [percent(row.shared_rate), meter(row.shared_rate)], "figure"],
        ["Lost on the way here", (row) => ranked(row, count(lostBefore(row)), "rank_by_lost"), "figure"],
        ["Of the stage before", (row) => [ranked(row, percent(row.step_rate), "rank_by_step_rate"), meter(row.step_rate)], "figure"],
        ["Wait before it", (row) => hours(row.median_hours_from_previous), "figure"],
        ["Likely reason", (row) => row.likely_reason ?? "", "words"],
        ["Lost from here", (row) => [percent(row.drop_off_rate), interval(row.drop_off_low, row.drop_off_high), meter(row.drop_off_rate, { low: row.drop_off_low, high: row.drop_off_high, kind: "loss" })], "figure"],
        ["Lost", (row) => count(row.lost_count), "figure"], ["Open", (row) => count(row.open_count), "figure"],
        ["Half go on within", (row) => [hours(row.median_hours_to_next), interval(row.median_hours_to_next_low, row.median_hours_to_next_high, hoursLike(row.median_hours_to_next))], "figure"],
      ], stages, { called: (row) => row === drop?.to }), source("journey_stages"));
  };

  // --- charts ------------------------------------------------------------------------------------
  const probe = make("span", { hidden: true });
  document.body.append(probe);
  const colour = (name, alpha = 1) => {
    probe.style.color = `var(--${name})`;
    const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
    return `rgba(${red},${green},${blue},${alpha})`;
  };
  // Plotly reads some tags in its texts.
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  let charts = [];
  const chart = (label, tell, kind = "") => {
    const box = make("div", { class: `chart ${kind}`, role: "img", "aria-label": label });
    charts.push([box, tell]);
    return box;
  };
  const plotAll = () => {
    charts = charts.filter(([box]) => box.isConnected);
    for (const [box, tell] of charts) {
      if (!globalThis.Plotly) {
        if (document.readyState === "complete") box.replaceChildren(nothing("The chart library is not beside this page; the table below has the numbers."));
        continue;
      }
      const { traces, layout } = tell();
      const axis = { gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, tickfont: { color: colour("quiet"), size: 12 }, fixedrange: true };
      globalThis.Plotly.react(box, traces, {
        ...layout, xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, font: { family: getComputedStyle(document.body).fontFamily, color: colour("ink"), size: 12 },
        hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("firm"), font: { color: colour("ink") } }, hovermode: "x unified",
      }, { displayModeBar: false, responsive: true });
    }
  };
  const band = (x, low, high, name) => [
    { x, y: low, mode: "lines", line: { width: 0 }, hoverinfo: "skip" },
    { x, y: high, mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: colour(name, 0.18), hoverinfo: "skip" },
  ];
  const line = (x, y, low, high, name, tell, label, options = {}) => [
    ...band(x, low, high, name),
    { x, y, mode: "lines", line: { color: colour(name), width: 2.2, ...options }, name: label, customdata: y.map((value, place) => tell(value, low[place], high[place])), hovertemplate: "%{customdata}" },
  ];

  let survivalStage = null;
  const survivalPart = () => {
    const rows = read.whole("survival");
    if (!rows.length) return part("survival", "How long people stay in a stage", null, nothing(read.isThere("survival") ? "Nobody has been watched long enough in a stage of this journey." : "Not published yet: the curves appear with stage_survival."), source("stage_survival"));
    const stages = [...new Map(rows.map((row) => [row.stage_order, row.stage])).entries()];
    if (!stages.some(([order]) => order === survivalStage)) survivalStage = mainDrop(read.everything("stages"))?.from.stage_order;
    if (!stages.some(([order]) => order === survivalStage)) survivalStage = stages[0][0];
    const holder = make("div");
    const select = make("select", { id: "pick-stage", onchange: () => { survivalStage = Number(select.value); show(); plotAll(); } }, stages.map(([order, stage]) => make("option", { value: order }, stage)));
    select.value = survivalStage;
    const section = part("survival", "How long people stay in a stage", null, make("p", { class: "pick" }, make("label", { for: "pick-stage" }, "Stage"), select), holder, source("stage_survival"));
    const show = () => {
      const here = rows.filter((row) => row.stage_order === survivalStage), last = here.at(-1), stage = here[0].stage;
      const from = here[0].at_risk_count;
      const label = `After ${many(last.day, "day")}, ${percent(last.advanced_rate)} have gone on from “${stage}”, ${percent(last.lost_rate)} are lost, ${percent(last.survival_rate)} are still there.`;
      const text = (name) => (value, low, high) => `${name}: ${percent(value)} (${between(low, high)})`;
      const days = here.map((row) => row.day), pick = (name) => here.map((row) => row[name]);
      // A window of a day or two has no curve by days.
      const picture = last.day < 3 ? null : chart(label, () => ({
        traces: [
          ...line(days, pick("survival_rate"), pick("low"), pick("high"), "quiet", text("Still here"), "Still here", { dash: "dot" }),
          ...line(days, pick("advanced_rate"), pick("advanced_low"), pick("advanced_high"), "accent", text("Gone on"), "Gone on"),
          ...line(days, pick("lost_rate"), pick("lost_low"), pick("lost_high"), "alarm", text("Lost"), "Lost"),
        ],
        layout: {
          margin: { l: 44, r: 92, t: 8, b: 42 }, xaxis: { title: { text: "days since reaching the stage", font: { color: colour("quiet"), size: 12 } }, rangemode: "tozero" },
          yaxis: { range: [-0.02, 1.02], tickformat: ".0%", nticks: 6 },
          annotations: apart([["Gone on", last.advanced_rate, "accent"], ["Still here", last.survival_rate, "ink"], ["Lost", last.lost_rate, "alarm"]], 0.085).map(([name, y, tone]) => ({ xref: "paper", x: 1, xanchor: "left", y, text: `  ${name}`, showarrow: false, font: { color: colour(tone), size: 12 } })),
        },
      }));
      const every = here.filter((row) => row.day % Math.max(1, Math.ceil(here.length / 16)) === 0 || row === last);
      holder.replaceChildren(make("p", { class: "caption quiet" }, `${label} All weeks, everybody, n = ${count(from)}; open attempts count until they were last seen. ${last.day < 3 ? "Days are too coarse for a curve here; the funnel has the times." : "Known at the end of each day, straight between; shaded: 95 %."}`), picture ?? "",
        asTable("The curves as a table", table(`Time in “${stage}”`, [
          ["Day", (row) => count(row.day)], ["Still here", (row) => [percent(row.survival_rate), interval(row.low, row.high)], "figure"], ["Gone on", (row) => withInterval(row, "advanced"), "figure"], ["Lost", (row) => withInterval(row, "lost"), "figure"], ["Watched", (row) => count(row.at_risk_count), "figure"],
        ], every)));
    };
    show();
    return section;
  };
  // Labels at the end of lines, moved apart so that none covers another.
  const apart = (labels, gap) => {
    const sorted = [...labels].sort((one, other) => one[1] - other[1]);
    for (let place = 1; place < sorted.length; place += 1) sorted[place] = [sorted[place][0], Math.max(sorted[place][1], sorted[place - 1][1] + gap), sorted[place][2]];
    const over = sorted.at(-1)[1] - 1;
    return over > 0 ? sorted.map(([name, y, tone], place) => [name, Math.max(y - over, place * gap), tone]) : sorted;
  };

  const healthPart = () => {
    const rows = read.whole("health").filter((row) => row.segment === view.segment && !isNone(row.health_score));
    const who = view.segment === "all" ? "everybody" : `segment ${segmentName()}`;
    if (!rows.length) return part("health", "Health from week to week", null, nothing(read.isThere("health") ? `No complete week yet for ${who}.` : "Not published yet: the line appears with journey_health_scores."), source("journey_health_scores"));
    const last = rows.at(-1), degraded = rows.filter((row) => row.status === "degraded");
    const title = `Health is ${score(last.health_score)} of 100 in the week of ${day(last.week_start_date)}${last.status ? `: ${last.status}` : ", too uncertain to judge"}`;
    const label = `${title}; ${many(degraded.length, "degraded week")} of ${rows.length}.`;
    const weeks = rows.map((row) => row.week_start_date), pick = (name) => rows.map((row) => row[name]);
    const marked = rows.filter((row) => row.week_start_date === view.week);
    return part("health", title, `${sentence(who)}, weeks in which attempts started. ${last.reason ? `${sentence(last.reason)}.` : ""}`,
      chart(label, () => ({
        traces: [
          ...line(weeks, pick("health_score"), pick("health_low"), pick("health_high"), "accent", (value, low, high) => `Health ${score(value)} (${between(low, high, score)})`, "Health"),
          { x: degraded.map((row) => row.week_start_date), y: degraded.map((row) => row.health_score), mode: "markers", marker: { symbol: "triangle-down", size: 11, color: colour("alarm") }, customdata: degraded.map((row) => plain(row.reason ?? "")), hovertemplate: "degraded: %{customdata}", name: "Degraded" },
          { x: marked.map((row) => row.week_start_date), y: marked.map((row) => row.health_score), mode: "markers", marker: { symbol: "circle-open", size: 15, color: colour("ink"), line: { width: 2 } }, hoverinfo: "skip" },
        ],
        layout: { margin: { l: 36, r: 40, t: 8, b: 36 }, xaxis: { type: "date", hoverformat: "week of %-d %b %Y" }, yaxis: { range: [0, 102], nticks: 6 }, annotations: [{ x: last.week_start_date, y: last.health_score, xanchor: "left", text: `  ${score(last.health_score)}`, showarrow: false, font: { color: colour("accent"), size: 13 } }] },
      })),
      degraded.length ? make("p", { class: "left-out" }, "▼ marks degraded weeks.") : null,
      asTable("The weeks as a table", table(`Health, ${who}`, [
        ["Week of", (row) => day(row.week_start_date)], ["Health", (row) => [score(row.health_score), interval(row.health_low, row.health_high, score)], "figure"], ["Entered", (row) => count(row.entered_count), "figure"], ["Status", (row) => row.status ?? "too uncertain"], ["Reason", (row) => row.reason ?? "", "words"],
      ], [...rows].reverse())), source("journey_health_scores"));
  };

  // --- lists -------------------------------------------------------------------------------------
  const lift = (value) => (isNone(value) ? "–" : `× ${decimal(value, 2)}`);
  const VERDICT = new Map([["converts more", "good"], ["converts less", "problem"]]);
  const pathsPart = () => {
    const rows = read.whole("paths");
    const shown = rows.filter((row) => VERDICT.has(row.verdict) || row.is_unexpected || row.is_new_this_month);
    const few = rows.filter((row) => row.verdict === "too few").length;
    const [rowsOut] = read.leftOut("paths");
    if (!shown.length) return part("paths", "Paths that tell converted from lost", null, nothing(read.isThere("paths") ? (rows.length ? `None of ${many(rows.length, "frequent path")} differs beyond chance.` : "Too few attempts to look for frequent paths.") : "Not published yet: paths appear with journey_paths."), source("journey_paths"));
    // Where the two lifts disagree, the verdict speaks of attempts of like length only: such paths come last.
    const agrees = (row) => (row.lift > 1) === (row.length_adjusted_lift > 1);
    const judged = (verdict) => [...shown.filter((row) => row.verdict === verdict)].sort((one, other) => agrees(other) - agrees(one)).slice(0, 6);
    const limit = 12, more = judged("converts more"), less = judged("converts less");
    const best = more.find(agrees);
    const rest = shown.filter((row) => !more.includes(row) && !less.includes(row) && (row.is_unexpected || row.is_new_this_month)).slice(0, limit - Math.min(limit - 4, more.length + less.length));
    return part("paths", best ? `“${best.pattern}” converts ${decimal(best.lift, 2)} times as often` : "Paths that tell converted from lost",
      "All weeks, everybody. Lift compares with the whole journey; the verdict compares with attempts of like length, since long ones hold more paths, and holds after correction for many looks.",
      table("Discriminating paths", [
        ["Path", (row) => [row.pattern, " ", row.kind === "entry" ? make("span", { class: "tag" }, "entry") : null, row.is_unexpected ? make("span", { class: "tag" }, "unexpected") : null, row.is_new_this_month ? make("span", { class: "tag" }, "new this month") : null]],
        ["Verdict", (row) => make("span", { class: `tag ${VERDICT.get(row.verdict) ?? ""}` }, row.verdict)],
        ["Lift", (row) => [lift(row.lift), interval(row.lift_low, row.lift_high, (value) => decimal(value, 2))], "figure"], ["Of like length", (row) => lift(row.length_adjusted_lift), "figure"],
        ["Convert", (row) => percent(row.conversion_rate), "figure"], ["n", (row) => count(row.attempt_count), "figure"],
      ], [...more, ...less, ...rest]),
      make("p", { class: "left-out" }, `${many(rows.length + rowsOut, "path")} looked at in all${few ? `, ${count(few)} of those here too rare to judge` : ""}.`), source("journey_paths"));
  };
  // Where most convert within the day, what they did first cannot be told from what they did to convert.
  const comeSoon = ([row]) => (row.converted_count > 0 && row.early_converted_count > 0.5 * row.converted_count
    ? `${count(row.early_converted_count)} of ${many(row.converted_count, "conversion")} come within the first day: too soon to judge what was done before.` : null);
  const actionName = (row) => row.action.replaceAll("_", " ");
  const firstDayPart = () => {
    const rows = read.whole("first_day");
    if (!rows.length) return part("first-day", "The first 24 hours", null, nothing(read.isThere("first_day") ? "No action can be judged: too few attempts were still under way a day after they began." : "Not published yet: actions appear with first_day_actions."), source("first_day_actions"));
    const aha = rows.find((row) => row.is_aha);
    const soon = comeSoon(rows);
    return part("first-day", soon ? "Most who convert do so on the first day" : aha ? `On the first day, “${actionName(aha)}” goes with conversion most` : "No action of the first day stands out",
      `${unsplit()}${many(rows[0].started_count, "first attempt")}, one of each person; compared are those that outlast the day. ${(aha ?? rows.find((row) => !isNone(row.q_value)))?.warning ?? "Too few did one thing and not the other to compare them."}`,
      table("Actions of the first 24 hours", [
        ["Action", (row) => [actionName(row), row.is_aha ? [" ", make("span", { class: "tag good" }, "★ aha")] : null]], ["Who do it", (row) => [percent(row.done_rate), meter(row.done_rate)], "figure"], ["n", (row) => count(row.done_count), "figure"],
        ["Compared", (row) => count(row.customer_count), "figure"], ["Convert with", (row) => percent(row.conversion_rate), "figure"], ["without", (row) => percent(row.conversion_rate_without), "figure"],
        ["Lift", (row) => (isNone(row.q_value) ? make("span", { class: "few-note" }, "too few") : [lift(row.lift), interval(row.lift_low, row.lift_high, (value) => decimal(value, 2))]), "figure"],
      ], rows.slice(0, 10)), source("first_day_actions"));
  };
  const askedAfter = (row) => (row.touchpoint === "(start)" ? "nothing: they began with it" : row.touchpoint ?? "–");
  const supportPart = (stages) => {
    const asked = read.slice("contacts"), outcomes = read.whole("support");
    const rows = asked.filter((row) => row.touchpoint !== "all"), whole = asked.filter((row) => row.touchpoint === "all");
    const names = new Map(stages.map((row) => [row.stage_order, row.stage]));
    const [rowsOut] = read.leftOut("contacts", "slice");
    const first = rows[0];
    return part("support", first ? `People ask most after ${askedAfter(first)} at “${names.get(first.stage_order) ?? first.stage_order}”` : "Who asks, and where", `${sliceName()}. Tickets, calls and chats by the touchpoint they followed within the attempt.`,
      rows.length ? table("Contacts by stage and touchpoint", [
        ["After", askedAfter], ["Stage", (row) => names.get(row.stage_order) ?? row.stage_order], ["Contacts", (row) => count(row.contact_count), "figure"],
        ["Share", (row) => (row.attempt_count < FEW ? [percent(row.contact_rate), interval(row.contact_low, row.contact_high), make("span", { class: "few-note" }, ` n = ${count(row.attempt_count)}`)] : withInterval(row, "contact")), "figure"], ["Median after", (row) => hours(row.median_hours_after), "figure"], ["Sentiment", (row) => score(row.sentiment_score), "figure"],
      ], rows.slice(0, 8)) : nothing(read.isThere("contacts") ? "Nobody asked in this week and segment." : "Not published yet: contacts appear with stage_contacts."),
      rows.length > 8 || rowsOut ? make("p", { class: "left-out" }, `${many(Math.max(rows.length - 8, 0) + rowsOut, "more row")} in stage_contacts.`) : null,
      whole.length ? asTable("By stage and channel", table(`Contacts by stage and channel, ${sliceName()}`, [
        ["Stage", (row) => names.get(row.stage_order) ?? row.stage_order], ["By", (row) => row.channel], ["Contacts", (row) => count(row.contact_count), "figure"], ["Share", (row) => withInterval(row, "contact"), "figure"], ["Median after", (row) => hours(row.median_hours_after), "figure"], ["Sentiment", (row) => score(row.sentiment_score), "figure"],
      ], [...whole].sort((one, other) => one.stage_order - other.stage_order || other.contact_count - one.contact_count))) : null,
      outcomes.length ? table("What asking costs, all journeys", [
        ["All journeys, by", (row) => row.channel], ["Contacts", (row) => count(row.contact_count), "figure"], ["Ask again", (row) => withInterval(row, "repeat"), "figure"],
        ["Solved at once", (row) => withInterval(row, "first_contact_resolution"), "figure"], ["Reopened", (row) => withInterval(row, "reopen"), "figure"], ["Cost", (row) => money(row.cost_amount, row.cost_currency), "figure"],
      ], outcomes) : null, source("stage_contacts", "support_outcomes"));
  };
  const effortPart = () => {
    const rows = read.slice("effort");
    if (!rows.length) return part("effort", "What it takes", null, nothing(read.isThere("effort") ? "No attempt in this week and segment." : "Not published yet: effort appears with journey_effort."), source("journey_effort"));
    const [converted, lost] = ["converted", "lost"].map((status) => rows.find((row) => row.status === status));
    const title = converted && lost && !isNone(converted.mean_steps) && !isNone(lost.mean_steps) ? `Who converts takes ${decimal(converted.mean_steps)} steps, who is lost ${decimal(lost.mean_steps)}` : "What it takes";
    return part("effort", title, `${sliceName()}. Means per attempt: steps, support contacts, touchpoints come back to, steps back to an earlier stage, friction met.`,
      table("Effort", [
        ["Attempts", (row) => sentence(row.status)], ["n", (row) => count(row.attempt_count), "figure"], ["Steps", (row) => [decimal(row.mean_steps), interval(row.steps_low, row.steps_high, decimal)], "figure"],
        ["Contacts", (row) => decimal(row.mean_contacts, 2), "figure"], ["Repeats", (row) => decimal(row.mean_repeats, 2), "figure"], ["Steps back", (row) => decimal(row.mean_backtracks, 2), "figure"], ["Friction", (row) => decimal(row.mean_friction, 2), "figure"], ["Between touches", (row) => hours(row.median_hours_between_touches), "figure"],
      ], rows), source("journey_effort"));
  };
  // Ways of giving up, each with the stage where most of it happens.
  const leavings = (stages = []) => read.whole("abandonment").map((row) =>
    ({ ...row, stage_order: stages.find((stage) => stage.stage === row.main_stage)?.stage_order }));
  const abandonmentPart = () => {
    const rows = leavings();
    if (!rows.length) return part("abandonment", "How people give up", null, nothing(read.isThere("abandonment") ? "No kinds of giving up stand apart: too few gave up, or the two halves of them do not show the same kinds." : "Not published yet: types appear with abandonment_types."), source("abandonment_types"));
    return part("abandonment", `People give up in ${many(rows.length, "way")}; most often: ${rows[0].name}`, `All weeks, everybody: abandoned attempts by what their last session looked like, n = ${count(rows.reduce((sum, row) => sum + row.attempt_count, 0))}.`,
      make("ul", { class: "cards" }, rows.map((row) => make("li", {}, make("p", { class: "share" }, percent(row.share_rate), make("span", { class: "quiet" }, ` ${between(row.share_low, row.share_high)}`)), make("h3", {}, badge("leave", row.abandonment_type, ""), ` ${row.name}`), make("p", {}, row.description),
        make("p", { class: "quiet" }, [`${count(row.attempt_count)} attempts`, row.main_stage && `mostly at “${row.main_stage}”`, row.main_touchpoint && `last on ${row.main_touchpoint}`, !isNone(row.median_seconds) && `median ${seconds(row.median_seconds)}`, row.main_signal && row.main_signal !== "none" && `signal: ${row.main_signal}`].filter(Boolean).join(" · "))))), source("abandonment_types"));
  };
  const whatIfPart = () => {
    const rows = read.whole("what_ifs"), offered = rows.filter((row) => row.is_offered), held = rows.filter((row) => !row.is_offered);
    if (!rows.length) return part("what-ifs", "What if", null, nothing(read.isThere("what_ifs") ? "Too few attempts for a chain of steps, so nothing is tried on it." : "Not published yet: what-ifs appear with journey_what_ifs."), source("journey_what_ifs"));
    const points = (value) => (isNone(value) ? "–" : `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(100 * value).toFixed(1)}`);
    const improved = offered.find((row) => row.change === "improve" && row.difference > 0);
    return part("what-ifs", improved ? `If half as many were lost at “${improved.step}”, the chain converts ${points(improved.difference)} points more` : offered.length ? "What if a step were not there" : "What if: nothing is offered here",
      `${unsplit()}What the chain of steps says if one step lost half as many (improve), or people never came to it (remove). Offered only where the chain reproduces the conversion that was observed. Who comes to a step differs from who does not: these are associations, try them in an experiment.`,
      offered.length ? table("What-ifs offered", [
        ["Change", (row) => `${sentence(row.change)} “${row.step}”`], ["Before", (row) => percent(row.conversion_before), "figure"], ["After", (row) => percent(row.conversion_after), "figure"], ["Difference, points", (row) => [points(row.difference), isNone(row.difference_low) ? null : make("span", { class: "interval" }, ` (${points(row.difference_low)} to ${points(row.difference_high)})`)], "figure"],
      ], offered.slice(0, 10)) : null,
      held.length ? make("div", {}, make("p", { class: "left-out" }, `${many(held.length, "what-if")} not offered because:`), make("ul", { class: "items quiet" }, reasons(held).map(([reason, steps]) => make("li", {}, `${sentence(reason)} (${steps.join(", ")})`)))) : null, source("journey_what_ifs"));
  };
  const reasons = (rows) => {
    const found = new Map();
    for (const row of rows) found.set(row.reason ?? "no reason given", [...(found.get(row.reason ?? "no reason given") ?? []), `${row.change} ${row.step}`]);
    return [...found.entries()].map(([reason, steps]) => [reason, steps.length > 6 ? [...steps.slice(0, 6), `${steps.length - 6} more`] : steps]);
  };
  const statesPart = () => {
    const rows = read.whole("states"), next = read.whole("next_steps");
    if (!rows.length) return part("states", "Chance of success from each step", null, nothing(read.isThere("states") ? "Too few attempts for a chain of steps." : "Not published yet: chances appear with journey_states."), source("journey_states", "next_steps"));
    const first = rows[0];
    const likely = new Map();
    for (const row of next) if (row.top_rank === 1) likely.set(row.step, row);
    // A state of a longer memory names the steps that led to it, the last one last.
    const lastStep = (state) => state.split(" → ").at(-1);
    return part("states", "Chance of success from each step",
      `${unsplit()}A chain of order ${first.model_order} says ${percent(first.chain_conversion_rate)} convert; ${percent(first.observed_conversion_rate)} did (${between(first.observed_low, first.observed_high)}): ${first.is_reproduced ? "the chain reproduces the journey" : "the chain does not reproduce the journey, so read it with care"}.`,
      table("States", [
        ["From", (row) => row.state], ["Succeed", (row) => [percent(row.success_probability), interval(row.success_low, row.success_high), meter(row.success_probability, { low: row.success_low, high: row.success_high })], "figure"],
        ["Steps to go", (row) => decimal(row.expected_steps), "figure"], ["Next, most often", (row) => { const hit = likely.get(lastStep(row.state)); return hit ? `${stepName(hit.next)} (${percent(hit.probability)})` : "–"; }], ["Visits", (row) => count(row.visit_count), "figure"],
      ], rows.filter((row) => !PSEUDO.has(row.state)).slice(0, 10)), source("journey_states", "next_steps"));
  };
  const notesPart = () => {
    const rows = read.whole("annotations");
    if (!rows.length) return part("notes", "Notes", null, nothing("Nobody has written a note: add them to dbt/seeds/annotations.csv."), source("journey_annotations"));
    return part("notes", `${many(rows.length, "note")} from people who know`, "What numbers do not say: notes, jobs to be done, what happens backstage, who owns what.",
      make("ul", { class: "cards" }, rows.map((row) => make("li", {}, make("p", {}, make("span", { class: "tag" }, row.kind), " ", make("span", { class: "quiet" }, [row.stage ?? "whole journey", row.touchpoint].filter(Boolean).join(" · "))), make("p", {}, row.text), make("p", { class: "quiet" }, [row.author, row.said_on && day(row.said_on)].filter(Boolean).join(", ")), row.problem ? make("p", {}, make("span", { class: "tag problem" }, "not pinned"), ` ${sentence(row.problem)}`) : null))), source("journey_annotations"));
  };

  // --- listening ---------------------------------------------------------------------------------
  const keepTheme = (value) => { try { localStorage.setItem("throughline-theme", value); } catch { /* a browser may keep nothing of a file */ } };
  const setTheme = (value) => {
    if (value) document.documentElement.dataset.theme = value; else delete document.documentElement.dataset.theme;
    theme.value = value;
    plotAll();
  };
  let kept = "";
  try { kept = localStorage.getItem("throughline-theme") ?? ""; } catch { kept = ""; }
  theme.addEventListener("change", () => { keepTheme(theme.value); setTheme(theme.value); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", plotAll);
  setTheme(["light", "dark"].includes(kept) ? kept : "");

  for (const id of ["page-skip", "page-here"]) find(id).addEventListener("click", (event) => { event.preventDefault(); find("page-main").focus(); });
  if (!links.length) return;
  const change = (given) => { Object.assign(view, given); draw(); };
  find("pick-week").addEventListener("change", (event) => change({ week: event.target.value }));
  find("pick-segment").addEventListener("change", (event) => change({ segment: event.target.value }));
  const move = (by) => {
    const week = data.weeks[data.weeks.indexOf(view.week) + by];
    if (!week) return;
    find("pick-week").value = week;
    change({ week });
  };
  find("pick-earlier").addEventListener("click", () => move(1));
  find("pick-later").addEventListener("click", () => move(-1));
  for (const input of document.querySelectorAll("input[name=colour]")) input.addEventListener("change", () => change({ colour: input.value }));
  find("journey-controls").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && view.chosen && map) choose(null); });
  addEventListener("hashchange", () => { const wanted = fromAddress(); if (wanted.journey) open(wanted); });
  addEventListener("resize", () => { if (map?.box.isConnected && map.box.clientWidth) layOut(); });
  addEventListener("load", plotAll);
  open(fromAddress());
})();
