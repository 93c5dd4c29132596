// What the tests ask of a page in a browser, beside what they read off it themselves.
globalThis.checks = {
  // Rows of the table with this caption, by the texts of its column heads.
  table(caption) {
    const table = [...document.querySelectorAll("table")].find((each) => each.caption.textContent === caption);
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    return [...table.tBodies[0].rows].map((row) =>
      Object.fromEntries([...row.cells].map((cell, place) => [names[place], cell.textContent])));
  },

  // Texts with less contrast than WCAG 2.2 AA asks for against the colours behind them.
  faint() {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      return [red, green, blue, alpha / 255];
    };
    const over = ([red, green, blue, alpha], ground) =>
      [red, green, blue].map((each, place) => each * alpha + ground[place] * (1 - alpha));
    const light = (colour) => {
      const [red, green, blue] = colour.map((each) => {
        const share = each / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (node) => {
      const layers = [];
      for (let each = node; each; each = each.parentElement) layers.push(rgba(getComputedStyle(each).backgroundColor));
      return layers.reverse().reduce((ground, layer) => over(layer, ground), [255, 255, 255]);
    };
    const skipped = "svg, .unseen, script, style, [hidden], [disabled], option, noscript, .dim";
    const found = [];
    for (const node of document.querySelectorAll("body *")) {
      if (node.closest(skipped) || !node.checkVisibility()) continue;
      if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
      const style = getComputedStyle(node), ground = behind(node), ink = over(rgba(style.color), ground);
      const [one, other] = [light(ink), light(ground)].sort((first, second) => second - first);
      const ratio = (one + 0.05) / (other + 0.05);
      if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) {
        found.push([node.tagName, node.className, node.textContent.slice(0, 40), ratio.toFixed(2)]);
      }
    }
    return found;
  },

  // Controls, pictures and landmarks without a name.
  unnamed() {
    const asked = "button, select, input, a, [role=img], [role=region], aside, nav, form";
    return [...document.querySelectorAll(asked)].filter((node) => {
      if (node.closest("[hidden]")) return false;
      const labels = node.labels ? [...node.labels].map((label) => label.textContent).join("") : "";
      const ids = (node.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
      const others = ids.map((id) => document.getElementById(id)?.textContent ?? "").join("");
      const own = ["BUTTON", "A"].includes(node.tagName) ? node.textContent : "";
      return !(node.getAttribute("aria-label") || labels.trim() || others.trim() || own.trim());
    }).map((node) => node.outerHTML.slice(0, 80));
  },

  ids() {
    return [...document.querySelectorAll("body [id]")].filter((node) => !node.closest(".chart")).map((node) => node.id);
  },

  levels() {
    const heads = [...document.querySelectorAll("h1, h2, h3, h4")].filter((node) => node.checkVisibility());
    return heads.map((node) => Number(node.tagName[1]));
  },

  // Tables without a caption or with a head that says not what it heads.
  unscoped() {
    return [...document.querySelectorAll("main table")].filter((table) =>
      !table.caption?.textContent || ![...table.querySelectorAll("th")].every((head) => head.scope)).length;
  },

  // Targets smaller than WCAG 2.2 AA asks for.
  small() {
    return [...document.querySelectorAll(".canvas button, form button, form select")]
      .filter((node) => Math.min(node.offsetWidth, node.offsetHeight) < 24).map((node) => node.outerHTML.slice(0, 60));
  },
};
