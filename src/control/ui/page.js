// The page: what is shown, and what is done. All texts from outside go in as text, never as markup.

import { svg, spark, graph, timeline, milliseconds, PHASES } from "/draw.js";

const $ = (id) => document.getElementById(id);

function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Changes a text only where it differs: a screen reader, a selection and the focus stay undisturbed.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// ---- The API

// The token lives as long as the tab. It may come behind the `#`, which no server sees.
let token = sessionStorage.getItem("horust-token") ?? "";
const handed = location.hash.match(/^#token=(.+)$/);
if (handed) {
  keep(decodeURIComponent(handed[1]));
  history.replaceState(null, "", "#/services");
}

function keep(text) {
  token = text;
  if (text) sessionStorage.setItem("horust-token", text);
  else sessionStorage.removeItem("horust-token");
}

let access = { reading: true, writing: false, token_at: null };

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(problem.detail ?? `${answer.status} ${answer.statusText}`), { status: answer.status });
}

const get = async (path, options) => (await ask(path, options)).json();
const post = async (path) => (await ask(path, { method: "POST" })).json();

// Server-sent events, by fetch: an EventSource can't show a token.
async function follow(path, handlers, signal, seen) {
  const answer = await ask(path, { signal, headers: seen ? { "last-event-id": seen } : {} });
  if (!(answer.headers.get("content-type") ?? "").startsWith("text/event-stream")) throw new Error("no stream");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let buffer = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (buffer + value).split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      const field = (name) => event.split("\n").find((line) => line.startsWith(name + ": "))?.slice(name.length + 2);
      const data = field("data");
      if (data !== undefined) handlers[field("event") ?? "message"]?.(JSON.parse(data), field("id"));
    }
  }
}

// Keeps a stream going until it is told to stop: `open` follows once.
function stream(open) {
  const stop = new AbortController();
  (async () => {
    for (let tries = 0; !stop.signal.aborted; tries++) {
      try {
        await online();
        await open(AbortSignal.any([stop.signal, retry.signal]), tries);
      } catch (error) {
        if (error.status === 404 || error.status === 400) return;
      }
      await sleep(1000);
    }
  })();
  return () => stop.abort();
}

// ---- What is known

const services = new Map();
let horust = null;
let connected = false;
let arrived = [];

// Resolves once there is a connection.
const online = () => (connected ? Promise.resolve() : new Promise((done) => arrived.push(done)));

const HISTORY = 90;

function learn(service) {
  const old = services.get(service.name);
  const known = { ...service, at: performance.now(), history: old?.history ?? [], percent: old?.percent ?? null };
  if (old && old.pid !== service.pid) [known.history, known.percent] = [[], null];
  if (!service.usage && old?.pid === service.pid) known.usage = old.usage;
  services.set(service.name, known);
  if (service.usage) measure(known, service.usage);
}

function measure(service, usage) {
  const now = performance.now(), last = service.history.at(-1);
  if (last && now - last.at < 500) return;
  if (last) service.percent = Math.max(0, ((usage.cpu_ms - last.cpu) / (now - last.at)) * 100);
  service.usage = usage;
  service.history.push({ at: now, cpu: usage.cpu_ms, memory: usage.memory_bytes, percent: service.percent ?? 0 });
  if (service.history.length > HISTORY) service.history.shift();
}

function status(service) {
  if (!service) return { tone: "idle", word: "unknown" };
  const { state, health, wanted } = service;
  if (state === "Running" && health === "unhealthy") return { tone: "bad", word: "Running, unhealthy" };
  if (state === "Running" && health === "unknown") return { tone: "warn", word: "Running, unchecked" };
  if (state === "Running") return { tone: "good", word: service.reloading ? "Running, reloading" : "Running" };
  if (state === "FinishedFailed" || state === "Failed") return { tone: "bad", word: state };
  if (state === "Initial") return wanted ? { tone: "warn", word: "Initial" } : { tone: "idle", word: "Initial" };
  if (state === "Finished" || state === "Success") return { tone: "idle", word: state };
  return { tone: "warn", word: state };
}

const isLive = (service) => ["Starting", "Started", "Running", "InKilling"].includes(service.state);
const SHAPES = { good: "M5 0a5 5 0 1 0 .01 0z", bad: "M1.5 0L5 3.5 8.5 0 10 1.5 6.5 5 10 8.5 8.5 10 5 6.5 1.5 10 0 8.5 3.5 5 0 1.5z",
  warn: "M5 0l5.5 10H-.5z", idle: "M5 0a5 5 0 1 0 .01 0zM5 2a3 3 0 1 1-.01 0z" };

// Never by colour alone.
function badge(service) {
  const { tone, word } = status(service);
  const shape = svg("svg", { viewBox: "-1 -1 12 12", "aria-hidden": "true" }, svg("path", { d: SHAPES[tone], fill: "currentColor" }));
  return el("span", { class: `state ${tone}` }, shape, word);
}

function age(service) {
  const s = Math.floor((service.for_ms + performance.now() - service.at) / 1000);
  const units = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const first = units.findIndex(([size]) => s >= size);
  if (first < 0) return "0s";
  const part = ([size, name], bound) => `${Math.floor((s % bound) / size)}${name}`;
  const more = units[first + 1] && s < 86400 * 10 ? " " + part(units[first + 1], units[first][0]) : "";
  return `${Math.floor(s / units[first][0])}${units[first][1]}${more}`;
}

function bytes(n) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (n < 1024) return `${n < 10 && unit !== "B" ? n.toFixed(1) : Math.round(n)} ${unit}`;
    n /= 1024;
  }
  return `${n.toFixed(2)} GiB`;
}

const percent = (service) => (service.percent === null ? "" : `${service.percent.toFixed(service.percent < 10 ? 1 : 0)} %`);

// ---- The list

const rows = new Map();

function row(service) {
  const cell = (kind) => el("td", { class: kind, role: "cell" });
  const parts = { state: cell(""), name: el("th", { scope: "row", role: "rowheader" }), age: cell("for"), pid: cell("num pid"),
    starts: cell("num starts"), memory: cell("num memory"), cpu: cell("num cpu"), actions: cell("") };
  parts.link = el("a", { href: `#/service/${encodeURIComponent(service.name)}` }, service.name);
  parts.says = el("small");
  parts.name.append(parts.link, parts.says);
  parts.memoryText = el("span");
  parts.cpuText = el("span");
  parts.memoryLine = svg("svg", { "aria-hidden": "true" });
  parts.cpuLine = svg("svg", { "aria-hidden": "true" });
  parts.memory.append(parts.memoryText, parts.memoryLine);
  parts.cpu.append(parts.cpuText, parts.cpuLine);
  parts.row = el("tr", { role: "row" }, parts.state, parts.name, parts.age, parts.pid, parts.starts, parts.memory, parts.cpu, parts.actions);
  return parts;
}

function says(service) {
  if (service.reason) return [service.reason, true];
  if (service.health === "unhealthy" && service.last_probe_error) return [service.last_probe_error, true];
  if (service.state === "Failed" && service.last_exit) return [service.last_exit.text, true];
  return [service.says ?? "", false];
}

function renderRow(service) {
  const parts = rows.get(service.name) ?? row(service);
  rows.set(service.name, parts);
  const { word } = status(service);
  if (parts.word !== word) parts.state.replaceChildren(badge(service));
  parts.word = word;
  const [text, ill] = says(service);
  put(parts.says, text);
  parts.says.title = text;
  parts.says.className = ill ? "ill" : "";
  put(parts.age, age(service));
  put(parts.pid, service.pid ? String(service.pid) : "");
  put(parts.starts, String(service.starts));
  const live = service.pid && service.usage;
  put(parts.memoryText, live ? bytes(service.usage.memory_bytes) : "");
  put(parts.cpuText, live ? percent(service) : "");
  spark(parts.memoryLine, live ? service.history.map((h) => h.memory) : [], 1);
  spark(parts.cpuLine, live ? service.history.map((h) => h.percent) : [], 5);
  renderActions(parts.actions, service, false);
  return parts;
}

// The buttons stay the same ones as long as they mean the same, so that the focus stays.
function renderActions(into, service, all) {
  const can = access.writing || access.token_at;
  const verbs = !can ? [] : isLive(service) ? ["restart", "stop", ...(all ? ["signal"] : [])] : ["start"];
  if (into.dataset.verbs === verbs.join() && into.dataset.of === service.name) return;
  Object.assign(into.dataset, { verbs: verbs.join(), of: service.name });
  const words = { start: "Start", stop: "Stop", restart: "Restart", signal: "Signal…" };
  const group = el("span", { class: "actions" }, ...verbs.map((verb) => el("button", { type: "button", class: "quiet",
    "aria-label": `${words[verb]} ${service.name}`, onclick: () => act(verb, service.name) }, words[verb])));
  into.replaceChildren(group);
}

function renderList() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (service) => words.every((word) => `${service.name} ${status(service).word}`.toLowerCase().includes(word));
  const body = $("services").tBodies[0];
  const shown = [...services.values()].filter(fits).map((service) => renderRow(service).row);
  if (shown.length !== body.rows.length || shown.some((row, i) => row !== body.rows[i])) body.replaceChildren(...shown);
  $("services").hidden = !shown.length;
  $("none").hidden = shown.length > 0;
  put($("none"), services.size ? "No service fits." : connected ? "There are no services." : "");
  const tally = new Map();
  for (const service of services.values()) tally.set(status(service).word, (tally.get(status(service).word) ?? 0) + 1);
  put($("counts"), [...tally].map(([word, count]) => `${count} ${word}`).join(" · "));
}

function renderHealth() {
  const ill = [...services.values()].filter((service) => ["bad", "warn"].includes(status(service).tone));
  const bad = ill.some((service) => status(service).tone === "bad");
  const pill = $("health");
  pill.className = `pill ${!services.size ? "" : !ill.length ? "good" : bad ? "bad" : "warn"}`;
  put(pill, !services.size ? "" : !ill.length ? "all is well" : `${ill.length} not well`);
  document.title = `${ill.length ? `(${ill.length}) ` : ""}Horust`;
}

// ---- One service

const FACTS = [
  ["Wanted", (s) => (s.wanted ? "to run" : "not to run")],
  ["Since", (s) => `${new Date(s.since).toLocaleString()} (${age(s)})`],
  ["PID", (s) => s.pid],
  ["Starts", (s) => s.starts],
  ["Failures in a row", (s) => s.failures || null],
  ["Health", (s) => s.health],
  ["Last failed check", (s) => s.last_probe_error],
  ["Says", (s) => s.says],
  ["Last exit", (s) => s.last_exit?.text],
  ["Gave up", (s) => s.reason],
  ["Processes", (s) => s.pid && s.usage?.processes],
  ["CPU time", (s) => s.pid && s.usage && milliseconds(s.usage.cpu_ms)],
];

function renderService() {
  const service = services.get(view.name);
  put($("h-service"), view.name);
  if (!service) {
    $("service-state").replaceChildren(services.size ? "There is no such service." : "");
    return;
  }
  const { word } = status(service);
  if ($("service-state").textContent !== word) $("service-state").replaceChildren(badge(service));
  renderActions($("service-actions"), service, true);
  const facts = FACTS.map(([name, of]) => [name, of(service)]).filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== 0);
  const list = $("facts"), shape = facts.map(([name]) => name).join();
  if (list.dataset.shape !== shape) list.replaceChildren(...facts.flatMap(([name]) => [el("dt", {}, name), el("dd")]));
  list.dataset.shape = shape;
  list.querySelectorAll("dd").forEach((dd, i) => put(dd, String(facts[i][1])));
  const live = service.pid && service.usage;
  $("charts").hidden = !live;
  put($("cpu-now"), live ? percent(service) : "");
  put($("memory-now"), live ? bytes(service.usage.memory_bytes) : "");
  spark($("cpu-chart"), live ? service.history.map((h) => h.percent) : [], 5);
  spark($("memory-chart"), live ? service.history.map((h) => h.memory) : [], 1);
}

async function renderWhy() {
  const name = view.name, box = $("why");
  const why = await get(`/v1/services/${encodeURIComponent(name)}/why`).catch(() => null);
  if (view.name !== name) return;
  box.hidden = !why || why.well || !why.chain.length;
  if (box.hidden) return;
  const link = (link) => {
    const other = link.service === name ? link.service : el("a", { href: `#/service/${encodeURIComponent(link.service)}` }, link.service);
    const place = link.file ? el("span", { class: "faint" }, ` (${link.file}${link.line ? `:${link.line}` : ""})`) : "";
    const text = link.text.startsWith(link.service + " ") ? link.text.slice(link.service.length) : `: ${link.text}`;
    return el("li", {}, other, text, place);
  };
  const waiting = why.waiting?.length ? el("p", { class: "faint" }, `Waiting for it: ${why.waiting.join(", ")}`) : "";
  box.replaceChildren(el("strong", {}, "Why it is not up"), el("ol", {}, ...why.chain.map(link)), waiting);
}

// ---- Doing something

function dialog(box) {
  return new Promise((done) => {
    box.returnValue = "no";
    box.addEventListener("close", () => done(box.returnValue), { once: true });
    box.showModal();
  });
}

const SIGNALS = ["HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "KILL", "STOP", "CONT", "WINCH", "ALRM", "ABRT"];
const QUESTIONS = {
  start: ["Start", "It is started, and what it needs."],
  stop: ["Stop", "It is asked to end, and nothing starts it again until somebody does."],
  restart: ["Restart", "It is asked to end, and is started again."],
  signal: ["Send a signal to", "Its main process gets the signal as it is."],
};

async function act(verb, name) {
  if (!access.writing && !(await enterToken())) return;
  const [word, text] = QUESTIONS[verb];
  put($("ask-title"), `${word} ${name}?`);
  put($("ask-text"), text);
  $("ask-signal-field").hidden = verb !== "signal";
  put($("ask-yes"), verb === "signal" ? "Send" : word);
  $("ask-yes").className = verb === "stop" ? "danger" : "";
  if ((await dialog($("ask"))) !== "yes") return;
  const query = verb === "signal" ? `?signal=${$("ask-signal").value}` : "";
  try {
    // What it answers may be older than what the stream has said since.
    await post(`/v1/services/${encodeURIComponent(name)}/${verb}${query}`);
    say(`${name}: ${{ start: "is being started", stop: "is being stopped", restart: "is being restarted", signal: "has been sent the signal" }[verb]}.`, "good", 4000);
    render();
  } catch (error) {
    say(`Cannot ${verb} ${name}: ${error.message}`, "bad", 12000);
  }
}

let saying = 0;

function say(text, tone, for_ms) {
  $("banner").replaceChildren(...(text ? [el("p", { class: tone }, text)] : []));
  const mine = ++saying;
  if (for_ms) setTimeout(() => mine === saying && $("banner").replaceChildren(), for_ms);
}

// ---- The token

async function enterToken() {
  const where = access.token_at ? `Horust's is in the file ${access.token_at}.` : "";
  put($("token-text"), `${access.reading ? "To start and stop services" : "To see and to steer services"} this page needs the token. ${where} It is kept until this tab is closed.`);
  $("token-forget").hidden = !token;
  $("token-value").value = "";
  put($("token-error"), "");
  for (;;) {
    const answer = await dialog($("token"));
    if (answer === "forget") keep("");
    if (answer === "yes") keep($("token-value").value.trim());
    if (answer !== "no") await learnAccess();
    if (answer !== "yes" || access.writing) return access.writing;
    keep("");
    $("token-value").value = "";
    put($("token-error"), "This is not the token.");
  }
}

async function learnAccess() {
  access = await get("/v1/access").catch(() => ({ reading: true, writing: true, token_at: null }));
  const button = $("token-open");
  put(button, access.writing ? "May steer" : access.reading ? "Read only" : "Enter the token");
  button.hidden = !access.token_at && !access.writing;
  document.body.classList.toggle("locked", !access.reading);
  render();
}

$("token-open").addEventListener("click", async () => {
  await enterToken();
  if (access.reading && !connected) reconnect();
});

// Return in the field is the same as the button that comes last.
for (const box of [$("token"), $("ask")]) {
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.tagName === "BUTTON") return;
    event.preventDefault();
    box.close("yes");
  });
}

// ---- Output

const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
const MOST = 3000;

class Output {
  constructor(box, { most = MOST, names = false, changed = () => {} } = {}) {
    Object.assign(this, { box, most, names, changed, lines: [], fresh: [], search: "", matching: false, following: true, due: false });
  }
  // The lines from `path`, again and again after each loss of the connection, without doubles.
  open(path) {
    this.close();
    this.lines = [];
    this.fresh = [];
    this.box.replaceChildren();
    this.changed();
    let last = "", same = [];
    const key = (line) => `${line.service}\n${line.text}`;
    this.stop = stream((signal, tries) => {
      const skip = [...same];
      if (tries && this.lines.length) this.add({ note: "the connection was lost here" });
      const log = (line) => {
        if (line.ts === last && skip.includes(key(line))) return skip.splice(skip.indexOf(key(line)), 1);
        if (line.ts !== last) [last, same] = [line.ts, []];
        same.push(key(line));
        this.add(line);
      };
      const note = (note) => this.add({ note: `${note.service ? note.service + ": " : ""}${note.text}` });
      return follow(path + (last ? `&since=${encodeURIComponent(last)}` : ""), { log, note }, signal);
    });
  }
  close() {
    this.stop?.();
    this.stop = null;
  }
  add(line) {
    if (line.text) line.text = line.text.replace(ESCAPES, "");
    this.fresh.push(line);
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => this.flush());
  }
  flush() {
    this.due = false;
    const fresh = this.fresh.splice(0).slice(-this.most);
    this.lines = [...this.lines, ...fresh].slice(-this.most);
    this.box.append(...fresh.map((line) => this.draw(line)).filter(Boolean));
    while (this.box.childElementCount > this.most) this.box.firstElementChild.remove();
    this.scroll();
    this.changed();
  }
  redraw() {
    this.box.replaceChildren(...this.lines.map((line) => this.draw(line)).filter(Boolean));
    this.scroll();
    this.changed();
  }
  scroll() {
    if (this.following) this.box.scrollTop = this.box.scrollHeight;
  }
  fits(line) {
    return !this.search || (line.text ?? line.note).toLowerCase().includes(this.search);
  }
  draw(line) {
    if (line.note) return el("div", { class: "note" }, `— ${line.note} —`);
    if (this.matching && !this.fits(line)) return null;
    const time = el("time", { datetime: line.ts }, clock(line.ts));
    const name = this.names ? el("b", {}, line.service) : "";
    return el("div", { class: line.stream }, time, name, ...this.marked(line.text));
  }
  marked(text) {
    if (!this.search) return [text];
    const parts = [], low = text.toLowerCase();
    let from = 0;
    for (let at = low.indexOf(this.search); at >= 0; at = low.indexOf(this.search, from)) {
      parts.push(text.slice(from, at), el("mark", {}, text.slice(at, at + this.search.length)));
      from = at + this.search.length;
    }
    return [...parts, text.slice(from)];
  }
}

function clock(ts) {
  const at = new Date(ts), two = (n) => String(n).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

const tail = new Output($("tail"), { most: 300, changed: () => ($("tail-none").hidden = tail.lines.length > 0) });
const output = new Output($("log"), { names: true, changed: () => {
  const fit = output.lines.filter((line) => !line.note && output.fits(line)).length;
  put($("log-note"), output.search ? `${fit} of ${output.lines.length} lines match` : output.lines.length ? "" : "Nothing has been written yet.");
} });

$("log-search").addEventListener("input", () => {
  output.search = $("log-search").value.toLowerCase();
  output.redraw();
});
$("log-matching").addEventListener("change", () => {
  output.matching = $("log-matching").checked;
  output.redraw();
});
$("log-follow").addEventListener("change", () => {
  output.following = $("log-follow").checked;
  output.scroll();
});
// Who scrolls back wants to read, and who scrolls down to the end wants to follow again.
$("log").addEventListener("scroll", () => {
  const { scrollTop, clientHeight, scrollHeight } = $("log");
  $("log-follow").checked = output.following = scrollTop + clientHeight >= scrollHeight - 24;
});
$("log-service").addEventListener("change", () => (location.hash = `#/logs/${encodeURIComponent($("log-service").value)}`));

function renderLogChoice() {
  const names = ["", ...services.keys()], choice = $("log-service");
  if (choice.dataset.names !== names.join()) {
    choice.replaceChildren(...names.map((name) => el("option", { value: name }, name || "all")));
    choice.dataset.names = names.join();
  }
  choice.value = view.name ?? "";
}

// ---- Events

let stopEvents = null;
let newest = null;
const ILL = ["failed", "unhealthy", "too-late", "hook-failed", "killing", "unkillable", "bug"];

function openEvents() {
  newest = null;
  $("events").replaceChildren();
  let of = horust?.started;
  stopEvents = stream((signal) => {
    if (of !== horust?.started) [of, newest] = [horust?.started, null];
    const event = (event, id) => {
      newest = id ?? event.seq;
      const whom = event.service ? el("a", { href: `#/service/${encodeURIComponent(event.service)}` }, event.service) : el("span", { class: "faint" }, "Horust");
      $("events").prepend(el("li", {}, el("time", { datetime: event.ts, title: event.ts }, clock(event.ts)), whom,
        el("span", ILL.includes(event.kind) ? { class: "bad-word" } : {}, event.text)));
      while ($("events").childElementCount > 500) $("events").lastElementChild.remove();
    };
    const note = (note) => put($("event-note"), note.text);
    return follow("/v1/events?follow=true" + (newest === null ? "&last=300" : ""), { event, note }, signal, newest === null ? undefined : String(newest));
  });
}

// ---- Graph and timeline

async function renderGraph() {
  const data = await get("/v1/graph").catch(() => null);
  if (view.kind !== "graph") return;
  if (!data) return $("graph").replaceChildren(el("p", { class: "empty" }, "This Horust does not tell."));
  const look = (node) => status(services.get(node.name) ?? node);
  graph($("graph"), data, look);
  const of = (name) => data.edges.filter((edge) => edge.from === name);
  const need = (edge) => `${edge.to} (${edge.condition}${edge.required ? "" : ", about the order only"})`;
  const line = (node) => {
    const needs = of(node.name).map(need).join(", ");
    return el("li", {}, `${node.name}, ${look(node).word}${needs ? `, starts after ${needs}` : ""}`);
  };
  $("graph-list").replaceChildren(...data.nodes.map(line));
}

async function renderTimeline() {
  const data = await get("/v1/timeline").catch(() => null);
  if (view.kind !== "timeline") return;
  if (!data) return $("timeline").replaceChildren(el("p", { class: "empty" }, "This Horust does not tell."));
  timeline($("timeline"), data);
  const ready = data.ready_ms != null ? `all were ready after ${milliseconds(data.ready_ms)}` : "not all are there yet";
  put($("timeline-note"), `Since ${new Date(data.boot).toLocaleTimeString()}: ${ready}. In bold: what everything waited for.`);
  const used = PHASES.filter((phase) => data.services.some((service) => service.phases.some((p) => p.phase === phase)));
  $("legend").replaceChildren(...used.map((phase) => el("li", {}, el("i", { class: `ph-${phase}` }), phase)));
  const part = (phase) => `${phase.phase} ${milliseconds((phase.to_ms ?? data.now_ms) - phase.from_ms)}`;
  $("timeline-list").replaceChildren(...data.services.filter((s) => s.phases.length).map((service) =>
    el("li", {}, `${service.name}${service.critical ? " (critical)" : ""}: ${service.phases.map(part).join(", ")}`)));
}

// ---- Views

let view = { kind: "services", name: null };

function route() {
  const [, kind, name] = location.hash.match(/^#\/(\w+)(?:\/(.*))?$/) ?? [];
  const known = ["services", "service", "graph", "timeline", "logs", "events"].includes(kind) ? kind : "services";
  const moved = view.kind !== known || view.name !== (name ? decodeURIComponent(name) : null);
  view = { kind: known, name: name ? decodeURIComponent(name) : null };
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== `view-${known}`;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.hash === `#/${known === "service" ? "services" : known}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  tail.close();
  output.close();
  stopEvents?.();
  if (known === "service") {
    tail.open(`/v1/logs?names=${encodeURIComponent(view.name)}&lines=200&follow=true`);
    $("tail-more").href = `#/logs/${encodeURIComponent(view.name)}`;
    $("why").hidden = true;
    renderWhy();
  }
  if (known === "logs") output.open(`/v1/logs?lines=1000&follow=true${view.name ? `&names=${encodeURIComponent(view.name)}` : ""}`);
  if (known === "events") openEvents();
  render();
  return moved;
}

function render() {
  renderHealth();
  if (view.kind === "services") renderList();
  if (view.kind === "service") renderService();
  if (view.kind === "logs") renderLogChoice();
}

// What has to be asked for again when something has changed; not more often than it can be read.
let later = null;
function changed() {
  render();
  later ??= setTimeout(() => {
    later = null;
    if (view.kind === "service") renderWhy();
    if (view.kind === "graph") renderGraph();
    if (view.kind === "timeline") renderTimeline();
  }, 400);
}

window.addEventListener("hashchange", () => {
  if (route()) $(`h-${view.kind}`).focus({ preventScroll: true });
  changed();
});
$("filter").addEventListener("input", renderList);
setInterval(() => document.hidden || render(), 1000);

// ---- The connection

function link(kind, text) {
  $("link").className = `link ${kind}`;
  put($("link-text"), text);
}

function up() {
  connected = true;
  arrived.splice(0).forEach((done) => done());
  link("live", "live");
}

function down() {
  if (connected) say("Horust does not answer. This page goes on when it is back.", "warn");
  connected = false;
  link("lost", "no connection");
}

async function greet(signal) {
  await learnAccess();
  if (!access.reading) throw Object.assign(new Error("the token is needed"), { status: 401 });
  const now = await get("/v1/horust", { signal });
  const again = horust && horust.started !== now.started;
  const was = horust !== null && !connected;
  horust = now;
  put($("which"), `${now.version}, pid ${now.pid}`);
  if (again) say("Horust was restarted. All that you see is of the new one.", "good", 8000);
  else if (was) say("", "");
}

let retry = new AbortController();

function reconnect() {
  retry.abort();
}

// A browser has six connections to a place, for all its tabs: one that nobody looks at lets its own go.
document.addEventListener("visibilitychange", () => document.hidden && reconnect());

async function lookedAt() {
  while (document.hidden) {
    await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
  }
}

async function live() {
  for (;;) {
    await lookedAt();
    retry = new AbortController();
    const signal = retry.signal;
    try {
      await greet(signal);
      const list = ({ services: all }) => {
        const names = new Set(all.map((service) => service.name));
        for (const name of services.keys()) names.has(name) || (services.delete(name), rows.delete(name));
        all.forEach(learn);
        up();
        changed();
      };
      const usage = ({ usage }) => {
        for (const [name, used] of Object.entries(usage)) services.has(name) && measure(services.get(name), used);
        render();
      };
      const some = ({ services: some }) => {
        some.forEach(learn);
        changed();
      };
      try {
        await follow("/v1/services?follow=true", { services: list, changed: some, usage }, signal);
      } catch (error) {
        // Too many follow already: then it asks now and then.
        if (error.status !== 503) throw error;
        for (;;) {
          list(await get("/v1/services", { signal }));
          link("live", "every 2 s");
          await sleep(2000);
        }
      }
      down();
    } catch (error) {
      if (error.status === 401) {
        connected = false;
        link("lost", "the token is needed");
        if (!$("token").open) await enterToken();
        if (!access.reading) await new Promise((done) => retry.signal.addEventListener("abort", done, { once: true }));
        continue;
      }
      if (document.hidden) {
        connected = false;
        link("lost", "not looked at");
        continue;
      }
      down();
    }
    if (!signal.aborted) await sleep(1000);
  }
}

$("ask-signal").replaceChildren(...SIGNALS.map((name) => el("option", {}, name)));
route();
live();
