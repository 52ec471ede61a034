"use strict";

// An App is the page: what is shown of a run, what is chosen, and what a person does.
class App {
  constructor(run) {
    this.run = run;
    this.chart = document.getElementById("chart");
    this.overview = document.getElementById("overview");
    this.view = new View(run.end, () => this.redraw());
    this.filter = new Filter(run);
    this.details = new Details(document.getElementById("details"), this);
    this.theme = "system";
    this.chosen = null;
    this.longestFlight = run.messages.reduce((most, m) => Math.max(most, m.took), 0);
    this.overviewOps = [...run.ops].sort((a, b) => a.call - b.call);
    this.colors = applyTheme(this.theme);
    this.resize();
  }

  get scene() {
    const { run, view, filter, colors, chosen, longestFlight, overviewOps } = this;
    return { run, view, filter, colors, chosen, longestFlight, overviewOps, plan: this.plan, ctx: this.chart.getContext("2d"), hits: [] };
  }

  // resize fits the canvases to the page and to the pixels of the screen.
  resize() {
    this.plan = layout(this.run, this.filter);
    this.view.width = this.chart.clientWidth || 800;
    this.chart.style.height = this.plan.height + "px";
    for (const [canvas, height] of [[this.chart, this.plan.height], [this.overview, 54]]) {
      const scale = window.devicePixelRatio || 1;
      canvas.width = Math.round(this.view.width * scale);
      canvas.height = Math.round(height * scale);
      canvas.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
    }
    this.redraw();
  }

  // redraw draws once before the screen is refreshed, however often it is asked to.
  redraw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
    });
  }

  draw() {
    this.drawn = this.scene;
    drawChart(this.drawn);
    drawOverview(this.overview.getContext("2d"), this.drawn, 54);
    const { view } = this;
    document.getElementById("window").textContent = `${seconds(view.from)} to ${seconds(view.until)} (${span(Math.round(view.length))})`;
    document.getElementById("matches").textContent = this.filter.narrow ? `${this.filter.found.toLocaleString("en")} of ${this.run.ops.length.toLocaleString("en")} operations` : "";
    // What a node logged is that of the window, so it follows the window.
    if (this.chosen && this.chosen.type === "node") this.details.show(this.chosen);
  }

  // choose shows the details of something; with travel the window goes there.
  choose(item, travel = false) {
    this.chosen = item;
    this.details.show(item);
    document.querySelectorAll("[data-finding]").forEach((b) => b.classList.toggle("chosen", item !== null && item.type === "finding" && b.dataset.finding === String(item.id)));
    if (item && travel) this.travel(item);
    this.redraw();
  }

  // travel moves the window to where an item is, and narrows it if the item would be
  // a speck.
  travel(item) {
    if (item.type === "finding") {
      const ops = item.ops.slice(0, 3).map((i) => this.run.ops[i]);
      const from = Math.min(item.at, ...ops.map((o) => o.call));
      const until = Math.max(item.at, ...ops.slice(0, 1).map((o) => o.end), ...ops.slice(1).map((o) => Math.min(o.end, item.at + SECOND)));
      // The cause may lie long before: then the moment at which it shows is enough.
      if (item.at - from > 5 * SECOND) this.view.reveal(item.at - 0.2 * SECOND, until);
      else this.view.reveal(from, until);
      this.chart.scrollIntoView({ block: "nearest" });
      return;
    }
    const at = moment(item);
    if (at === null || (at >= this.view.from && at <= this.view.until)) return;
    const until = { op: item.end, fault: item.until, reign: item.until, life: item.until }[item.type] || at;
    const half = Math.max(this.view.length / 2, (until - at) * 1.2);
    this.view.set(at - half, at + half);
  }

  // zoom keeps what is chosen where it is, if it is in the window.
  zoom(factor) {
    const at = this.chosen ? moment(this.chosen) : null;
    if (at !== null && at >= this.view.from && at <= this.view.until) this.view.zoom(factor, at);
    else this.view.zoom(factor);
  }

  // step goes to the next finding after what is chosen, or to the one before.
  step(direction) {
    const { findings } = this.run;
    if (findings.length === 0) return;
    const now = this.chosen && this.chosen.type === "finding" ? findings.indexOf(this.chosen) : direction > 0 ? -1 : findings.length;
    this.choose(findings[(now + direction + findings.length) % findings.length], true);
  }

  // changed applies the filter anew.
  changed() {
    this.filter.apply();
    this.resize();
  }

  onlyNode(name) {
    this.filter.node = this.filter.node === name ? "" : name;
    document.getElementById("filter-node").value = this.filter.node;
    this.changed();
    this.details.show(this.chosen);
  }

  setTheme(theme) {
    this.theme = theme;
    this.colors = applyTheme(theme);
    document.getElementById("theme").textContent = "Theme: " + theme;
    this.redraw();
  }

  // locate is where an operation is in the chart, in pixels of the page: for tests
  // and for those who look into this page with a console.
  locate(op) {
    const lane = this.plan.byNode.get(op.node);
    const box = this.chart.getBoundingClientRect();
    return { x: box.left + this.view.x((op.call + op.end) / 2), y: box.top + lane.y + lane.height / 2 };
  }
}

// listen connects what a person does with a mouse or a finger.
function listen(app) {
  const { chart, view } = app;
  chart.addEventListener("wheel", (e) => {
    if (e.offsetX < view.left) return; // over the names the page scrolls
    e.preventDefault();
    if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) view.move(((e.deltaX || e.deltaY) / view.width) * view.length);
    else view.zoom(Math.exp(e.deltaY * 0.0018), view.t(e.offsetX));
  }, { passive: false });
  chart.addEventListener("pointerdown", (e) => drag(app, e));
  chart.addEventListener("pointermove", (e) => hover(app, e));
  chart.addEventListener("pointerleave", () => { document.getElementById("tip").hidden = true; });
  chart.addEventListener("dblclick", (e) => view.zoom(0.25, view.t(e.offsetX)));
  app.overview.addEventListener("pointerdown", (e) => brush(app, app.overview, e, (x) => ((x - view.left) / (view.width - view.left)) * view.end));
  window.addEventListener("resize", () => app.resize());
  window.addEventListener("beforeprint", () => { app.colors = applyTheme("light"); app.draw(); });
  window.addEventListener("afterprint", () => app.setTheme(app.theme));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.setTheme(app.theme));
}

// drag moves the window, or, on the ruler, chooses one; a press that does not move
// is a click.
function drag(app, down) {
  const { chart, view } = app;
  const time = view.t(down.offsetX);
  if (down.offsetY < RULER && down.offsetX > view.left && !itemAt(app.drawn, down.offsetX, down.offsetY)) {
    return brush(app, chart, down, (x) => view.t(x));
  }
  let moved = false;
  follow(chart, down, (e) => {
    moved = moved || Math.abs(e.clientX - down.clientX) > 3;
    if (!moved) return;
    chart.classList.add("moving");
    view.move(time - view.t(down.offsetX + e.clientX - down.clientX));
  }, () => {
    chart.classList.remove("moving");
    if (!moved) app.choose(itemAt(app.drawn, down.offsetX, down.offsetY));
  });
}

// brush chooses a window by a stretch; a press that does not move goes to a place.
function brush(app, canvas, down, time) {
  const scale = time; // as it was when the stretch began: the window changes meanwhile
  const from = scale(down.offsetX);
  let to = from;
  follow(canvas, down, (e) => { to = scale(down.offsetX + e.clientX - down.clientX); }, (e) => {
    if (Math.abs(e.clientX - down.clientX) > 4) app.view.set(Math.min(from, to), Math.max(from, to));
    else app.view.set(from - app.view.length / 2, from + app.view.length / 2);
  });
}

// follow follows a pointer until it is let go.
function follow(element, down, move, end) {
  element.setPointerCapture(down.pointerId);
  const up = (e) => {
    element.removeEventListener("pointermove", move);
    element.removeEventListener("pointerup", up);
    end(e);
  };
  element.addEventListener("pointermove", move);
  element.addEventListener("pointerup", up);
}

// hover shows what is under the pointer, in short.
function hover(app, e) {
  const tip = document.getElementById("tip");
  const item = app.drawn && itemAt(app.drawn, e.offsetX, e.offsetY);
  app.chart.classList.toggle("pointing", Boolean(item));
  const time = e.offsetX > app.view.left ? seconds(app.view.t(e.offsetX), 4) : "";
  tip.textContent = item ? `${brief(app.run, item)}` : time;
  tip.hidden = tip.textContent === "" || e.buttons > 0;
  const right = e.offsetX > app.view.width - 390;
  tip.style.left = right ? "" : e.offsetX + 14 + "px";
  tip.style.right = right ? app.view.width - e.offsetX + 14 + "px" : "";
  tip.style.top = e.offsetY + app.chart.offsetTop + 16 + "px";
}

// brief says in a line what something is.
function brief(run, item) {
  const name = (i) => (i >= 0 ? run.nodes[i].name : "");
  switch (item.type) {
    case "op": return `${name(item.node)}: ${item.what}${item.answer ? " → " + item.answer : ""} · ${item.outcome} · ${span(item.took)}${item.findings.length > 0 ? " · " + item.findings[0].kind : ""}`;
    case "fault": return `${item.text} · ${span(item.until - item.from)}`;
    case "reign": return `${name(item.node)} is the ${item.role}${inTerm(item)} · ${span(item.until - item.from)}`;
    case "life": return `${name(item.node)} is ${item.state} · ${item.why}`;
    case "message": return `${name(item.from)} → ${name(item.to)} · ${item.bytes} bytes · ${item.fate || item.protocol + ", " + span(item.took)}`;
    case "event": return `${item.kind} · ${item.text}`;
    case "finding": return `${item.kind}: ${item.text}`;
    default: return item.name;
  }
}

// keys connects the keyboard.
function keys(app) {
  const { view } = app;
  const actions = {
    "+": () => app.zoom(0.5), "=": () => app.zoom(0.5), "-": () => app.zoom(2), "0": () => view.set(0, view.end),
    ArrowLeft: () => view.move(-view.length / 5), ArrowRight: () => view.move(view.length / 5),
    n: () => app.step(1), p: () => app.step(-1),
    m: () => choice(document.getElementById("messages"), ["", "servers", "all"]),
    "/": () => document.getElementById("search").focus(),
    Escape: () => app.choose(null),
  };
  document.addEventListener("keydown", (e) => {
    const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(e.target.tagName) && e.target.type !== "checkbox";
    if (e.key === "Escape") e.target.blur();
    if (e.ctrlKey || e.metaKey || e.altKey || (typing && e.key !== "Escape") || !actions[e.key]) return;
    e.preventDefault();
    actions[e.key]();
  });
}

// choice goes on to the next of a list's values.
function choice(select, values) {
  select.value = values[(values.indexOf(select.value) + 1) % values.length];
  select.dispatchEvent(new Event("change"));
}

// controls connects the buttons and fields above the chart.
function controls(app) {
  const { filter, run, view } = app;
  const on = (id, event, f) => document.getElementById(id).addEventListener(event, f);
  on("zoom-in", "click", () => app.zoom(0.5));
  on("zoom-out", "click", () => app.zoom(2));
  on("zoom-fit", "click", () => view.set(0, view.end));
  on("previous", "click", () => app.step(-1));
  on("next", "click", () => app.step(1));
  on("theme", "click", () => app.setTheme(THEMES[(THEMES.indexOf(app.theme) + 1) % THEMES.length]));
  on("search", "input", (e) => { filter.search(e.target.value); app.resize(); });
  on("filter-node", "change", (e) => { filter.node = e.target.value; app.changed(); });
  on("filter-key", "change", (e) => { filter.key = e.target.value; app.changed(); });
  on("messages", "change", (e) => { filter.messages = e.target.value; app.redraw(); });
  options("filter-node", run.nodes.map((n) => n.name));
  options("filter-key", [...new Set(run.ops.map((o) => o.key))].sort());
  for (const id of ["previous", "next"]) document.getElementById(id).disabled = run.findings.length === 0;
  toggles(app, "outcomes", OUTCOMES, filter.outcomes);
  toggles(app, "kinds", KINDS, filter.kinds);
}

function options(id, values) {
  document.getElementById(id).append(...values.map((v) => make("option", { value: v }, v)));
}

// toggles are switches for what is shown.
function toggles(app, id, names, chosen) {
  document.getElementById(id).append(...names.map((name) => {
    const box = make("input", { type: "checkbox", checked: chosen.has(name), "data-show": name });
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(name);
      else chosen.delete(name);
      app.changed();
    });
    return make("label", { class: "toggle" }, box, name);
  }));
}

// writeSample says of what the page has not all.
function writeSample(app) {
  const { sample, messages, events, ops } = app.run;
  const parts = [];
  const some = (kept, all, what) => `${kept.toLocaleString("en")} of ${all.toLocaleString("en")} ${what}`;
  if (!sample.all_messages) parts.push(some(messages.length, sample.messages, `messages, of ${sample.windows.length} windows around findings, elections and faults`));
  if (!sample.all_events) parts.push(some(events.length, sample.events, "log lines and events, the gravest and those around findings first"));
  if (ops.length < sample.ops) parts.push(some(ops.length, sample.ops, "operations"));
  document.getElementById("sampled").textContent = parts.length > 0 ? `To stay small this page has ${parts.join("; ")}. trace.bin has all.` : "";
}

function main() {
  const run = load(document.getElementById("data").textContent);
  const app = new App(run);
  writeSummary(app);
  writeMore(app);
  writeSample(app);
  controls(app);
  listen(app);
  keys(app);
  app.choose(null);
  app.resize();
  window.report = app;
}

main();
