"use strict";

// load turns the data of the page, which docs/report.md explains, into objects that
// refer to each other. Rows of numbers become objects with names.
function load(text) {
  const raw = JSON.parse(text);
  const word = (i) => (i < 0 ? "" : raw.texts[i]);
  const run = { ...raw, end: Math.max(raw.run.virtual, 1) };
  run.nodes = raw.nodes.map((n, id) => ({ ...n, id, type: "node", lives: [], reigns: [], clocks: [], ops: [], events: [], faults: [] }));
  run.ops = objects(raw.ops, { kind: word, key: word, outcome: word, what: word, answer: word, error: word }, "op");
  run.events = objects(raw.events, { kind: word, text: word }, "event");
  run.messages = objects(raw.messages, { protocol: word, fate: word }, "message");
  run.faults = raw.faults.map((f, id) => ({ ...f, id, type: "fault", class: faultClass(f.kind) }));
  run.lives = raw.lives.map((l, id) => ({ ...l, id, type: "life" }));
  run.reigns = raw.reigns.map((r, id) => ({ ...r, id, type: "reign" }));
  run.findings = raw.verdicts.flatMap((v) => (v.findings || []).map((f) => ({ ops: [], ...f, type: "finding", check: v.check, expected: v.ok })));
  connect(run);
  return run;
}

function objects(table, decode, type) {
  return table.rows.map((row, id) => {
    const o = { id, type };
    table.columns.forEach((name, i) => { o[name] = decode[name] ? decode[name](row[i]) : row[i]; });
    return o;
  });
}

// connect gives each node what belongs to it, and operations the findings that
// speak of them.
function connect(run) {
  const give = (list, items) => items.forEach((x) => { if (x.node >= 0) run.nodes[x.node][list].push(x); });
  run.ops.forEach((o) => { o.end = o.call + o.took; o.findings = []; });
  run.messages.forEach((m) => { m.arrived = m.sent + m.took; });
  // Rows come in the order of their end; what is drawn is looked for by its beginning.
  give("ops", [...run.ops].sort((a, b) => a.call - b.call));
  give("events", run.events);
  run.worldEvents = run.events.filter((e) => e.node < 0);
  give("lives", run.lives);
  give("reigns", run.reigns);
  give("clocks", run.clocks);
  run.faults.forEach((f) => f.nodes.forEach((n) => run.nodes[n].faults.push(f)));
  run.findings.forEach((f, i) => {
    f.id = i;
    f.ops.forEach((op) => run.ops[op].findings.push(f));
  });
  run.nodes.forEach((n) => { n.longest = n.ops.reduce((most, o) => Math.max(most, o.took), 0); });
  run.findings.sort((a, b) => a.at - b.at);
}

// faultClass sorts the kinds of faults by what they strike; each class has a colour.
function faultClass(kind) {
  if (kind.startsWith("disk") || kind === "bit-rot") return "disk";
  if (kind.startsWith("clock")) return "clock";
  if (["kill", "power", "restart", "pause", "leave"].includes(kind)) return "process";
  if (["partition", "flap", "loss", "slow-link", "gray", "reset"].includes(kind)) return "network";
  return "other";
}

// offsetAt is how far a node's clock is off at a time, in nanoseconds; null if it is
// a node whose clock is right by nature.
function offsetAt(node, at) {
  let c = null;
  for (const next of node.clocks) {
    if (next.at > at) break;
    c = next;
  }
  return c && c.offset + (at - c.at) * (c.rate - 1);
}

// inTerm says in which term a node had a role, where there are terms.
function inTerm(reign) {
  return reign.term > 0 ? ` in term ${reign.term}` : "";
}

// stateAt is what a node was at a time.
function stateAt(node, at) {
  return node.lives.find((l) => l.from <= at && at < l.until);
}

// firstFrom finds the first item whose value is not below a limit, by bisection.
function firstFrom(items, value, limit) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value(items[middle]) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

const SECOND = 1e9;

// seconds writes a time as people read it.
function seconds(ns, digits = 3) {
  return (ns / SECOND).toFixed(digits) + " s";
}

// span writes a length of time in the unit that suits it.
function span(ns) {
  const size = Math.abs(ns);
  if (size >= 100 * SECOND) return (ns / SECOND).toFixed(0) + " s";
  if (size >= SECOND) return (ns / SECOND).toFixed(2) + " s";
  if (size >= 1e6) return (ns / 1e6).toFixed(size >= 1e7 ? 1 : 2) + " ms";
  if (size >= 1e3) return (ns / 1e3).toFixed(1) + " µs";
  return ns + " ns";
}
