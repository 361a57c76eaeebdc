// Pictures: sparklines, the graph of dependencies, the timeline. They are given data and draw; they ask nobody anything.

const NS = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A line of the latest values; `top` is the least that the full height stands for.
export function spark(into, values, top) {
  const width = 100, height = 30, room = Math.max(values.length - 1, 1);
  const most = Math.max(top, ...values);
  const points = values.map((value, i) =>
    `${((i / room) * width).toFixed(1)},${(height - 1.5 - (value / most) * (height - 3)).toFixed(1)}`);
  into.setAttribute("viewBox", `0 0 ${width} ${height}`);
  into.setAttribute("preserveAspectRatio", "none");
  if (values.length < 2) return into.replaceChildren();
  into.replaceChildren(
    svg("polygon", { class: "area", points: `0,${height} ${points.join(" ")} ${width},${height}` }),
    svg("polyline", { class: "spark", points: points.join(" ") }));
}

const shorten = (text, length) => (text.length > length ? text.slice(0, length - 1) + "…" : text);

// In columns: each service to the right of all that it starts after. `look` tells the class and the word for its state.
export function graph(into, { nodes, edges }, look) {
  const W = 168, H = 44, DX = 92, DY = 22, PAD = 18;
  const known = new Map(nodes.map((node) => [node.name, { ...node, needs: [], column: 0 }]));
  const lines = edges.filter((edge) => known.has(edge.from) && known.has(edge.to));
  for (const edge of lines) known.get(edge.from).needs.push(edge.to);
  const placing = new Set();
  const place = (node) => {
    if (node.placed || placing.has(node)) return node.column;
    placing.add(node);
    for (const need of node.needs) node.column = Math.max(node.column, place(known.get(need)) + 1);
    node.placed = true;
    return node.column;
  };
  known.forEach(place);
  const columns = [];
  known.forEach((node) => (columns[node.column] ??= []).push(node));
  // Near to what they start after, so that lines cross less.
  columns.forEach((column, i) => {
    const middle = (node) => node.needs.reduce((sum, need) => sum + known.get(need).row, 0) / (node.needs.length || 1);
    if (i > 0) column.sort((a, b) => middle(a) - middle(b));
    column.forEach((node, row) => (node.row = row));
  });
  const rows = Math.max(1, ...columns.map((column) => column.length));
  const width = columns.length * (W + DX) - DX + 2 * PAD, height = rows * (H + DY) - DY + 2 * PAD;
  columns.forEach((column, i) => column.forEach((node) => {
    node.x = PAD + i * (W + DX);
    node.y = PAD + node.row * (H + DY) + ((rows - column.length) * (H + DY)) / 2;
  }));
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}` },
    svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
      svg("path", { class: "tip", d: "M0 0L8 4L0 8z" }))));
  for (const edge of lines) {
    const a = known.get(edge.to), b = known.get(edge.from);
    const [x1, y1, x2, y2] = [a.x + W, a.y + H / 2, b.x, b.y + H / 2];
    const bend = Math.max(DX / 2, (x2 - x1) / 3);
    picture.append(svg("path", { class: edge.required ? "edge" : "edge loose", "marker-end": "url(#tip)",
      d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` }));
    if (edge.condition !== "ready") {
      picture.append(svg("text", { class: "minor", x: x2 - 8, y: y2 - 6, "text-anchor": "end" }, edge.condition.replace("completed-successfully", "succeeded")));
    }
  }
  for (const node of known.values()) {
    const { tone, word } = look(node);
    const title = svg("title", {}, `${node.name}: ${word}`);
    const name = svg("text", { x: node.x + 12, y: node.y + 19 }, shorten(node.name, 20));
    const state = svg("text", { class: "minor", x: node.x + 12, y: node.y + 35 }, word);
    const box = svg("rect", { x: node.x, y: node.y, width: W, height: H, rx: 7 });
    const link = svg("a", { href: `#/service/${encodeURIComponent(node.name)}`, class: `node ${tone}`, "data-name": node.name },
      title, box, name, state);
    picture.append(link);
  }
  into.replaceChildren(picture);
}

export const PHASES = ["waiting", "delayed", "preparing", "executing", "starting", "retrying", "ready"];

const time = (ms) => (ms === 0 ? "0" : ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`);
export { time as milliseconds };

// A row for each service, from the start of Horust on.
export function timeline(into, { services, now_ms, ready_ms }) {
  const rows = services.filter((service) => service.phases.length);
  const longest = Math.max(...rows.map((service) => service.name.length), 0);
  const LEFT = 24 + 7.6 * Math.min(longest, 22), ROW = 26, TOP = 26, RIGHT = 70;
  const WIDTH = Math.max(200, Math.min(into.clientWidth, 1200) - LEFT - RIGHT);
  const starts = rows.flatMap((service) => service.phases.filter((phase) => phase.phase !== "ready").map((phase) => phase.to_ms ?? now_ms));
  const readies = rows.flatMap((service) => service.phases.filter((phase) => phase.phase === "ready").map((phase) => phase.from_ms));
  const end = Math.max(1, ready_ms ?? 0, ...starts, ...readies) * 1.06;
  const x = (ms) => LEFT + (Math.min(ms, end) / end) * WIDTH;
  const height = TOP + rows.length * ROW + 8;
  const picture = svg("svg", { width: LEFT + WIDTH + RIGHT, height, viewBox: `0 0 ${LEFT + WIDTH + RIGHT} ${height}` });
  const step = [1, 2, 5].map((n) => n * 10 ** Math.floor(Math.log10(end / 4))).find((n) => end / n <= Math.min(8, WIDTH / 70)) ?? end / 2;
  for (let at = 0; at <= end; at += step) {
    picture.append(svg("line", { class: "grid", x1: x(at), x2: x(at), y1: TOP - 6, y2: height }),
      svg("text", { class: "minor", x: x(at), y: 14, "text-anchor": "middle" }, time(at)));
  }
  rows.forEach((service, i) => {
    const y = TOP + i * ROW;
    const row = svg("g", { class: service.critical ? "critical" : "" });
    row.append(svg("text", { x: LEFT - 10, y: y + 15, "text-anchor": "end" }, shorten(service.name, 22)));
    for (const phase of service.phases) {
      const from = x(phase.from_ms), to = x(phase.to_ms ?? end);
      const name = PHASES.includes(phase.phase) ? phase.phase : "waiting";
      const bar = svg("rect", { class: `ph-${name}`, x: from, y: y + 4, width: Math.max(to - from, 1.5), height: phase.phase === "ready" ? 6 : 15, rx: 2 });
      bar.append(svg("title", {}, `${service.name}: ${phase.phase}, ${time((phase.to_ms ?? now_ms) - phase.from_ms)}`));
      row.append(bar);
    }
    const ready = service.phases.find((phase) => phase.phase === "ready");
    if (ready) row.append(svg("text", { class: "minor", x: LEFT + WIDTH + 8, y: y + 15 }, time(ready.from_ms)));
    picture.append(row);
  });
  into.replaceChildren(picture);
}
