"use strict";

// make builds an element. Texts of a run are only ever set as text, never as HTML:
// a key may be called anything.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return element;
}

// facts is a list of names and values; those without a value are left out.
function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return make("dl", {}, ...shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

// heading names what is shown, and what sort of thing it is.
function heading(text, sort) {
  return make("h2", {}, text, make("small", {}, sort));
}

// Details shows what is chosen, at the side.
class Details {
  constructor(element, app) {
    this.element = element;
    this.app = app;
  }

  show(item) {
    const form = { op: "operation", fault: "fault", life: "life", reign: "reign", message: "message", event: "event", node: "node", finding: "finding" };
    const content = item ? this[form[item.type]](item) : this.legend();
    this.element.replaceChildren(...content);
    this.element.dataset.type = item ? item.type : "";
  }

  name(i) { return i >= 0 ? this.app.run.nodes[i].name : ""; }

  // link is a button that chooses something else.
  link(text, item) {
    return make("button", { class: "link", onclick: () => this.app.choose(item, true) }, text);
  }

  node_(i) { return i >= 0 ? this.link(this.name(i), this.app.run.nodes[i]) : ""; }

  operation(op) {
    return [
      heading(op.what, "operation"),
      ...op.findings.slice(0, 5).map((f) => this.wrong(f)),
      facts([
        ["client", this.node_(op.node)],
        ["asked", this.node_(op.server)],
        ["key", op.key],
        ["outcome", op.outcome],
        ["answer", op.answer],
        ["error", op.error],
        ["called", seconds(op.call, 6)],
        [op.outcome === "unknown" ? "given up" : "returned", seconds(op.end, 6)],
        ["took", span(op.took)],
      ]),
      ...this.around(op),
      this.trace(op.call - 0.05 * SECOND, op.end + 0.05 * SECOND),
    ];
  }

  wrong(finding) {
    return make("div", { class: "wrong" }, make("b", {}, finding.kind), ": " + finding.text, " ", this.link("show it", finding));
  }

  // around lists what happened to the key at that time.
  around(op) {
    const same = this.app.run.ops.filter((o) => o.key === op.key && o !== op && o.call < op.end + 0.5 * SECOND && o.end > op.call - 0.5 * SECOND && !o.what.startsWith("get"));
    if (same.length === 0) return [];
    return [make("h3", {}, `Writes to ${op.key} at that time`), this.list(same.slice(0, 12).map((o) => [o.call, `${this.name(o.node)}: ${o.what} (${o.outcome})`, o, 0]))];
  }

  // list is one of moments: [time, text, item, level].
  list(rows) {
    return make("ul", { class: "lines" }, ...rows.map(([at, text, item, level]) => make("li", {},
      make("button", { class: "level" + level, onclick: () => this.app.choose(item, true) }, make("time", {}, seconds(at, 4)), text))));
  }

  trace(from, until) {
    const command = (name) => this.app.run.replay.map((c) => c.line).find((line) => line.startsWith("simctl " + name));
    const at = (t) => `${Math.max(t / SECOND, 0).toFixed(3)}s`;
    const section = (title, line) => (line ? [make("h3", {}, title), make("code", {}, line)] : []);
    const debug = command("debug");
    return make("div", {},
      ...section("Every event at that time", command("trace") && `${command("trace")} -from ${at(from)} -to ${at(until)}`),
      ...section("Look into the nodes then", debug && debug.replace("simctl debug", `simctl debug -until 'at>=${at((from + until) / 2)}'`)));
  }

  finding(f) {
    return [
      heading(f.kind, "finding of the check " + f.check),
      make("div", { class: "wrong" }, f.text),
      f.expected ? make("p", {}, "The scenario expects this check to fail.") : null,
      make("h3", {}, f.ops.length > 0 ? "The operations in question" : ""),
      this.list(f.ops.slice(0, 20).map((i) => this.app.run.ops[i]).map((o) => [o.call, `${this.name(o.node)}: ${o.what}${o.answer ? " → " + o.answer : ""}${o.server >= 0 ? ", asked " + this.name(o.server) : ""}`, o, 0])),
      make("h3", {}, "What was the matter then"),
      this.list(this.at(f.at)),
      this.trace(f.at - 0.2 * SECOND, f.at + 0.2 * SECOND),
    ].filter(Boolean);
  }

  // at lists faults that lasted at a time, who led, and who was not up.
  at(time) {
    const { faults, reigns, lives, nodes } = this.app.run;
    return [
      ...reigns.filter((r) => r.from <= time && time <= r.until).map((r) => [r.from, `${this.name(r.node)} was the ${r.role}${inTerm(r)}`, r, 0]),
      ...faults.filter((f) => f.from <= time && time <= f.until).map((f) => [f.from, f.text, f, 2]),
      ...lives.filter((l) => l.state !== "up" && l.from <= time && time < l.until && nodes[l.node].role !== "client").map((l) => [l.from, `${this.name(l.node)} is ${l.state} (${l.why})`, l, 2]),
    ];
  }

  fault(f) {
    return [
      heading(f.text, f.kind),
      facts([
        ["began", seconds(f.from)], ["ended", seconds(f.until)], ["lasted", span(f.until - f.from)],
        ["struck", make("span", {}, ...f.nodes.flatMap((n, i) => [i > 0 ? ", " : "", this.node_(n)]))],
      ]),
      this.zoomTo(f.from, f.until),
      this.trace(f.from - 0.05 * SECOND, f.until + 0.05 * SECOND),
    ];
  }

  life(l) {
    return [
      heading(`${this.name(l.node)} is ${l.state}`, "state"),
      facts([["node", this.node_(l.node)], ["from", seconds(l.from)], ["until", seconds(l.until)], ["for", span(l.until - l.from)], ["since", l.why]]),
      this.zoomTo(l.from, l.until),
      ...this.logs(this.app.run.nodes[l.node]),
    ];
  }

  reign(r) {
    return [
      heading(`${this.name(r.node)} is the ${r.role}`, r.term > 0 ? `term ${r.term}` : "role"),
      facts([["first seen", seconds(r.from)], ["last seen", seconds(r.until)], ["for", span(r.until - r.from)], ["server", this.node_(r.node)]]),
      make("p", {}, "Nodes are looked at twenty times a second. One that is paused does not know that it is deposed."),
      this.zoomTo(r.from, r.until),
      ...this.logs(this.app.run.nodes[r.node]),
    ];
  }

  message(m) {
    return [
      heading(`${this.name(m.from)} → ${this.name(m.to)}`, "message"),
      facts([
        ["sent", seconds(m.sent, 6)], [m.fate ? "lost" : "arrived", m.fate || seconds(m.arrived, 6)], ["on its way", m.fate ? "" : span(m.took)],
        ["bytes", m.bytes.toLocaleString("en")], ["protocol", m.protocol], ["from", this.node_(m.from)], ["to", this.node_(m.to)],
      ]),
      this.trace(m.sent - 0.01 * SECOND, m.arrived + 0.01 * SECOND),
    ];
  }

  event(e) {
    return [
      heading(e.kind === "log" ? ["debug", "info", "warning", "error"][e.level] : e.kind, "event"),
      make("p", {}, e.text),
      facts([["at", seconds(e.at, 6)], ["node", this.node_(e.node)]]),
      ...(e.node >= 0 ? this.logs(this.app.run.nodes[e.node], e) : []),
    ];
  }

  node(n) {
    const { view } = this.app;
    const middle = (view.from + view.until) / 2;
    const state = stateAt(n, middle);
    const offset = offsetAt(n, middle);
    return [
      heading(n.name, n.role),
      facts([
        ["at", `${seconds(middle)} (the middle of the window)`],
        ["state", state ? `${state.state} (${state.why})` : ""],
        ["clock", n.role === "server" && offset !== null ? (Math.round(offset) === 0 ? "right" : `off by ${span(Math.round(offset))}`) : ""],
        ["terms led", n.reigns.map((r) => r.term).filter((t) => t > 0).join(", ")],
        ["operations", n.ops.length > 0 ? n.ops.length.toLocaleString("en") : ""],
        ["faults", n.faults.length > 0 ? String(n.faults.length) : ""],
      ]),
      make("button", { class: "only", onclick: () => this.app.onlyNode(n.name) }, this.app.filter.node === n.name ? "show all nodes" : "only this node"),
      ...this.logs(n),
    ];
  }

  zoomTo(from, until) {
    return make("p", {}, make("button", { onclick: () => this.app.view.reveal(from, until) }, "zoom to it"));
  }

  // logs lists what a node logged in the window, those around an event if one is
  // given.
  logs(node, event) {
    const { view } = this.app;
    const [from, until] = event ? [event.at - 2 * SECOND, event.at + 2 * SECOND] : [view.from, view.until];
    const lines = node.events.filter((e) => e.at >= from && e.at <= until);
    if (lines.length === 0) return [];
    const shown = 300;
    const range = `${seconds(Math.max(from, 0), 2)} to ${seconds(Math.min(until, this.app.run.end), 2)}`;
    return [
      make("h3", {}, `What ${node.name} logged and met, ${range}` + (lines.length > shown ? ` (the first ${shown} of ${lines.length})` : "")),
      this.list(lines.slice(0, shown).map((e) => [e.at, e.text, e, e.level])),
    ];
  }

  // legend explains the picture while nothing is chosen.
  legend() {
    const swatch = (paint) => {
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("viewBox", "0 0 28 14");
      for (const [tag, attributes] of paint) {
        const shape = document.createElementNS("http://www.w3.org/2000/svg", tag);
        Object.entries(attributes).forEach(([k, v]) => shape.setAttribute(k, v));
        svg.append(shape);
      }
      return svg;
    };
    const rows = [...OUTCOMES.map((o) => [outcomeShape(o), "operation: " + o]),
      [[["rect", { x: 2, y: 1, width: 24, height: 12, rx: 4, fill: "none", stroke: "var(--bad)", "stroke-width": 2 }]], "an operation that cannot be"],
      [[["rect", { x: 0, y: 1, width: 28, height: 12, rx: 3, fill: "var(--leader)" }]], "leads, with its term"],
      [[["rect", { x: 0, y: 0, width: 28, height: 14, fill: "var(--up)" }], ["path", { d: "M0 14L14 0M7 14L21 0M14 14L28 0M21 14L28 7M0 7L7 0", stroke: "var(--paused)", "stroke-width": 1.6 }]], "paused"],
      [[["rect", { x: 0, y: 0, width: 28, height: 14, fill: "var(--up)" }], ["path", { d: "M0 14L14 0M4 14L18 0M8 14L22 0M12 14L26 0M16 14L28 2M20 14L28 6M0 10L10 0M0 6L6 0", stroke: "var(--down)", "stroke-width": 1.6 }]], "down"],
      ...["network", "process", "disk", "clock"].map((c) => [[["rect", { x: 0, y: 1, width: 28, height: 12, fill: `var(--${c})`, opacity: 0.3 }], ["rect", { x: 0, y: 1, width: 3, height: 12, fill: `var(--${c})` }]], `fault of the ${c}`]),
      [[["path", { d: "M0 12L10 4L28 8", stroke: "var(--clock)", "stroke-width": 1.6, fill: "none" }]], "how far a server's clock is off"],
      [[["path", { d: "M9 2L19 2L14 12Z", fill: "var(--disk)" }]], "error of a disk"],
    ];
    return [
      heading("Nothing is chosen", ""),
      make("p", {}, "Click an operation, a fault, a server's name, a message: its details appear here."),
      make("h3", {}, "Legend"),
      make("div", { class: "legend" }, ...rows.flatMap(([shapes, text]) => [swatch(shapes), make("span", {}, text)])),
    ];
  }
}

// outcomeShape is the form of an outcome in the legend, as drawOp draws it.
function outcomeShape(outcome) {
  const color = `var(--${outcomeColor(outcome)})`;
  if (outcome === "done") return [["rect", { x: 2, y: 3, width: 24, height: 8, fill: color }]];
  if (outcome === "condition not met") return [["rect", { x: 3, y: 3.5, width: 22, height: 7, fill: "none", stroke: color, "stroke-width": 1.4 }]];
  if (outcome === "refused") return [["path", { d: "M2 7H22", stroke: color, "stroke-width": 1.4 }], ["path", { d: "M18 7L22 3L26 7L22 11Z", fill: color }]];
  return [["rect", { x: 2, y: 4, width: 18, height: 6, fill: "none", stroke: color, "stroke-dasharray": "4 3" }], ["path", { d: "M18 4L25 11M25 4L18 11", stroke: color, "stroke-width": 2 }]];
}
