/* What a person with a keyboard, a screen reader or weak sight would stumble over on this page: a
   list of sentences, empty when there is nothing. After WCAG 2.2, level AA. */
() => {
  const complaints = [];
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const told = (element) => {
    const text = element.outerHTML.replace(/\s+/g, " ");
    return text.length > 120 ? text.slice(0, 120) + "…" : text;
  };
  const isSeen = (element) => element.checkVisibility({ checkVisibilityCSS: true, opacityProperty: true });
  const complain = (rule, element) => complaints.push(rule + (element ? ": " + told(element) : ""));

  // The page as a whole, 2.4.2, 3.1.1, 1.3.1
  if (!document.title.trim() || document.title.startsWith(" ·")) complain("no title");
  if (!document.documentElement.lang) complain("no language");
  if (all("main").length !== 1) complain("not one <main>");
  const headings = all("h1, h2, h3, h4, h5, h6").filter(isSeen);
  if (headings.filter((each) => each.tagName === "H1").length !== 1) complain("not one <h1>");
  headings.reduce((before, each) => {
    const level = Number(each.tagName[1]);
    if (level > before + 1) complain("a level of headings is left out", each);
    if (!each.textContent.trim()) complain("an empty heading", each);
    return level;
  }, 0);
  for (const each of all("nav")) if (!each.ariaLabel) complain("a navigation without a name", each);

  // Names, 1.1.1, 2.4.4, 4.1.2
  const named = (element) => {
    const labelled = (element.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean)
      .map((id) => document.getElementById(id)?.textContent || "").join(" ");
    const labels = [...(element.labels || [])].map((label) => label.textContent).join(" ");
    const images = all("img[alt]", element).map((image) => image.alt).join(" ");
    const own = /^(INPUT|SELECT|TEXTAREA)$/.test(element.tagName) ? "" : element.textContent;
    return [labelled, element.ariaLabel, labels, own, images].some((text) => text && text.trim());
  };
  for (const each of all("input:not([type=hidden]), select, textarea, button, a[href], dialog, summary, progress, [role=log]")) {
    if (!named(each)) complain("no name", each);
  }
  for (const each of all("img")) if (!each.hasAttribute("alt")) complain("no alt", each);
  for (const each of all("svg")) {
    if (each.getAttribute("aria-hidden") !== "true" && !each.ariaLabel) complain("a picture without words", each);
  }
  for (const each of all("td:first-child, th")) {
    if (each.tagName === "TH" && !["col", "row"].includes(each.getAttribute("scope"))) complain("<th> without scope", each);
  }
  for (const each of all("table")) if (!all("th", each).length) complain("a table without heads", each);
  for (const each of all("dl > div, dl")) {
    const odd = [...each.children].find((child) => !/^(DT|DD|DIV|TEMPLATE)$/.test(child.tagName));
    if (odd) complain("a stranger in <dl>", odd);
  }
  for (const each of all("ul, ol")) {
    const odd = [...each.children].find((child) => !/^(LI|TEMPLATE|SCRIPT)$/.test(child.tagName));
    if (odd) complain("a stranger in a list", odd);
  }

  // References and order, 1.3.1, 2.4.3
  const ids = all("[id]").map((each) => each.id);
  for (const id of new Set(ids.filter((id, place) => ids.indexOf(id) !== place))) complain(`id "${id}" twice`);
  for (const name of ["aria-describedby", "aria-labelledby", "aria-controls", "for", "list"]) {
    for (const each of all(`[${name}]`)) {
      for (const id of each.getAttribute(name).split(/\s+/)) {
        if (!document.getElementById(id)) complain(`${name} leads nowhere`, each);
      }
    }
  }
  for (const each of all("[tabindex]")) if (each.tabIndex > 0) complain("an order of its own", each);
  for (const each of all("[aria-invalid=true]")) {
    if (!each.getAttribute("aria-describedby")) complain("a fault without words", each);
  }
  for (const each of all("[data-live], [hx-trigger]")) {
    const isPolled = /every |load/.test(each.getAttribute("hx-trigger") || "");
    if (isPolled && !each.closest("[aria-live], [role=status]") && !all("[role=status]", each).length) {
      complain("changes by itself, and nobody is told", each);
    }
  }

  // Contrast, 1.4.3
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((part, i) => part * top[3] + below[i] * (1 - top[3])).concat(1);
  const ground = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      if (colour[3]) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reduceRight((below, top) => over(top, below), rgba(getComputedStyle(document.documentElement).backgroundColor));
  };
  const light = (colour) => colour.slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (words.nextNode()) {
    const element = words.currentNode.parentElement;
    if (!words.currentNode.textContent.trim() || seen.has(element) || !isSeen(element)) continue;
    seen.add(element);
    if (element.closest("script, style, option, [aria-hidden=true], :disabled, .skip")) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const below = ground(element);
    const found = contrast(over(rgba(style.color), below), below);
    if (found < needed - 0.005) complain(`contrast ${found.toFixed(2)}`, element);
  }

  // Size of what is pressed, 2.5.8, and of the page, 1.4.10
  for (const each of all("button, .button, input:not([type=hidden]), select").filter(isSeen)) {
    const box = each.getBoundingClientRect();
    const label = each.labels && each.labels[0] ? each.labels[0].getBoundingClientRect() : box;
    if (Math.max(box.height, label.height) < 24 || Math.max(box.width, label.width) < 24) {
      complain(`only ${Math.round(box.width)} by ${Math.round(box.height)}`, each);
    }
  }
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) {
    complain("wider than the screen", all("body *").find((each) => each.getBoundingClientRect().right > width + 1));
  }
  return complaints;
}
