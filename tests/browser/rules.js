// What WCAG 2.2 AA asks for, as far as a program can tell. Returns what is wrong.
const faults = [];
const short = (e) => e.outerHTML.slice(0, 160);
const all = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility({ visibilityProperty: true }));
const open = document.querySelector("dialog[open]");
const inert = (e) => open && !open.contains(e);
const hidden = (e) => e.closest(".hidden, .skip, #services thead") !== null;

if (!document.documentElement.lang) faults.push("the page has no language");
if (!document.title) faults.push("the page has no title");
if (/user-scalable=no|maximum-scale/.test(document.querySelector("meta[name=viewport]")?.content)) faults.push("it can't be enlarged");
for (const landmark of ["main", "nav", "header"]) if (all(landmark).length !== 1) faults.push(`not one ${landmark}`);

// Names that refer to something, and to one thing.
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`two things are #${id}`);
for (const name of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
  for (const e of document.querySelectorAll(`[${name}]`)) {
    for (const id of e.getAttribute(name).split(/\s+/)) if (!ids.includes(id)) faults.push(`${name} leads nowhere: ${short(e)}`);
  }
}
for (const e of all("input, select, textarea")) if (!e.labels.length && !e.ariaLabel) faults.push(`no label: ${short(e)}`);
for (const e of all("img")) if (!e.hasAttribute("alt")) faults.push(`no alt: ${short(e)}`);
for (const e of all("[tabindex]")) if (e.tabIndex > 0) faults.push(`a tabindex of its own: ${short(e)}`);
for (const e of all("table")) if (!e.querySelector("caption") || !e.querySelector("th[scope=col]")) faults.push(`no headings: ${short(e)}`);
for (const e of all("[aria-hidden=true]")) if (e.querySelector("a, button, input, select")) faults.push(`hidden and not: ${short(e)}`);

// One first heading, and no level left out.
const levels = all("h1, h2, h3, h4").filter((e) => !e.closest("dialog")).map((e) => Number(e.tagName[1]));
if (levels.filter((level) => level === 1).length !== 1) faults.push(`first headings: ${levels}`);
levels.reduce((before, level) => (level > before + 1 && faults.push(`a heading is left out: ${levels}`), level), 0);

// Contrast of each text with what is behind it: 4.5, and 3 where it is large.
const parse = (text) => {
  const [r, g, b, a = 1] = text.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
  return [r, g, b, a];
};
const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
const light = (color) => {
  const [r, g, b] = color.map((c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (e) => {
  const layers = [];
  for (; e; e = e.parentElement) {
    const shape = e.tagName === "a" && e.querySelector("rect");
    const color = parse(shape ? getComputedStyle(shape).fill : getComputedStyle(e).backgroundColor);
    layers.push(color);
    if (color[3] === 1) break;
  }
  return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255, 1]);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const e = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !e.checkVisibility({ visibilityProperty: true }) || inert(e) || hidden(e)) continue;
  if (["SCRIPT", "NOSCRIPT", "STYLE", "title", "OPTION"].includes(e.tagName)) continue;
  const style = getComputedStyle(e), back = behind(e);
  const front = over(parse(e.namespaceURI.endsWith("svg") ? style.fill : style.color), back);
  const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
  const ratio = (high + 0.05) / (low + 0.05), size = parseFloat(style.fontSize);
  const wanted = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  if (ratio < wanted) faults.push(`contrast ${ratio.toFixed(2)}: ${short(e)}`);
}

// What is touched is large enough, unless it stands in a line of text, and nothing but what scrolls by itself is wider than the page.
for (const e of all("button, select, input, nav a, summary")) {
  const { width, height } = (e.closest("label") ?? e).getBoundingClientRect();
  if (!hidden(e) && (width < 24 || height < 24)) faults.push(`${Math.round(width)}×${Math.round(height)}: ${short(e)}`);
}
const { scrollWidth, clientWidth } = document.scrollingElement;
if (scrollWidth > clientWidth) faults.push(`the page is ${scrollWidth} wide, of ${clientWidth}`);
return faults;
