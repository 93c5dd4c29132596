(() => {
  "use strict";
  const find = (id) => document.getElementById(id);
  const search = find("page-search"), box = find("page-query"), found = find("page-found");
  const nothing = find("page-nothing"), told = find("page-told"), uses = document.querySelector(".uses");
  const fold = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
  const textOf = (node, selector) => fold([...node.querySelectorAll(selector)].map((part) => part.textContent).join(" "));

  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
  const tables = [...document.querySelectorAll("section.table")].map((section) => ({
    section,
    entry: links.get(section.id)?.closest("li"),
    name: fold(section.id),
    words: textOf(section, "h2, .description"),
    rest: [...section.querySelectorAll(".facts, .examples")],
    rows: [...section.querySelectorAll("tbody tr")].map((row) => ({ row, words: textOf(row, "th, td") })),
  }));
  const cards = [...document.querySelectorAll(".use")].map((card) => ({ card, words: fold(card.textContent) }));
  const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

  // A column is found by its own words together with its table's name: "customers consent".
  const filter = () => {
    const sought = fold(box.value).split(/\s+/).filter(Boolean);
    const isAll = (words) => sought.every((word) => words.includes(word));
    let tablesFound = 0, columnsFound = 0;
    for (const { section, entry, name, words, rest, rows } of tables) {
      const isNamed = isAll(name);
      const hits = rows.filter((each) =>
        !isNamed && isAll(`${name} ${each.words}`) && sought.some((word) => each.words.includes(word)));
      const isWhole = isNamed || (hits.length === 0 && isAll(words));
      const isShown = isWhole || hits.length > 0;
      section.hidden = !isShown;
      if (entry) entry.hidden = !isShown;
      for (const each of rows) each.row.hidden = !isWhole && !hits.includes(each);
      for (const part of rest) part.hidden = !isWhole;
      tablesFound += isShown;
      columnsFound += hits.length;
    }
    for (const { card, words } of cards) card.hidden = !isAll(words);
    if (uses) uses.hidden = cards.every(({ card }) => card.hidden);
    nothing.hidden = tablesFound > 0 || Boolean(uses && !uses.hidden);
    const columns = columnsFound ? `, ${count(columnsFound, "column")}` : "";
    found.textContent = sought.length === 0 ? "" : `${count(tablesFound, "table")}${columns}`;
    mark(sought);
  };

  const mark = (sought) => {
    if (!("highlights" in CSS)) return;
    CSS.highlights.delete("found");
    if (sought.length === 0) return;
    const ranges = [];
    const walker = document.createTreeWalker(find("page-main"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode.data.toLowerCase();
      for (const word of sought) {
        for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
          const range = new Range();
          range.setStart(walker.currentNode, at);
          range.setEnd(walker.currentNode, at + word.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set("found", new Highlight(...ranges));
  };

  const clear = () => { box.value = ""; filter(); };

  // A link must lead somewhere even when the search has put its target away.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    const target = link && find(decodeURIComponent(link.hash.slice(1)));
    if (target?.closest("[hidden]")) clear();
  });
  addEventListener("hashchange", () => {
    const target = find(decodeURIComponent(location.hash.slice(1)));
    if (target?.closest("[hidden]")) { clear(); target.scrollIntoView(); }
  });
  box.addEventListener("input", () => {
    filter();
    // The box stays in sight far down the page, where the first result would be above it.
    const main = find("page-main");
    if (main.getBoundingClientRect().top < 0) main.scrollIntoView({ behavior: "instant" });
  });
  box.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.preventDefault(); clear(); } });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target === box) return;
    event.preventDefault();
    box.focus();
  });

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // From a disk or a plain server a browser may refuse; the old way still works there.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const isDone = document.execCommand("copy");
      area.remove();
      if (!isDone) throw new Error("refused");
    }
  };
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.closest("figure").querySelector("code");
      const label = button.firstChild, before = label.data;
      try {
        await copy(code.textContent);
        label.data = "Copied";
        told.textContent = "The query is copied.";
      } catch {
        getSelection().selectAllChildren(code);
        label.data = "Selected";
        told.textContent = "The query is selected; copy it with the keyboard.";
      }
      button.focus();
      setTimeout(() => { label.data = before; told.textContent = ""; }, 2000);
    });
  }
  search.hidden = false;
  filter();
})();
