"use strict";

// What an operation can come to, and what else can be shown or left out.
const OUTCOMES = ["done", "condition not met", "refused", "unknown"];
const KINDS = ["faults", "leaders", "clocks", "disk errors", "logs", "notes"];

// A Filter says what is shown. What is chosen by words is looked up once, when the
// words change, and not for every picture.
class Filter {
  constructor(run) {
    this.run = run;
    this.node = "";
    this.key = "";
    this.words = [];
    this.outcomes = new Set(OUTCOMES);
    this.kinds = new Set(KINDS.filter((k) => k !== "logs"));
    this.apply();
  }

  search(text) {
    this.words = text.toLowerCase().split(/\s+/).filter(Boolean);
    this.apply();
  }

  matches(...texts) {
    if (this.words.length === 0) return true;
    const all = texts.join(" ").toLowerCase();
    return this.words.every((w) => all.includes(w));
  }

  // apply sorts out what is shown.
  apply() {
    const name = (i) => (i >= 0 ? this.run.nodes[i].name : "");
    this.found = 0;
    this.run.ops.forEach((o) => {
      o.shown = this.outcomes.has(o.outcome) && (!this.key || o.key === this.key) &&
        (!this.node || name(o.node) === this.node || name(o.server) === this.node) &&
        this.matches(o.what, o.answer, o.error, o.outcome, name(o.node), name(o.server));
      this.found += o.shown;
    });
    // Words that no fault has are about something else, of which faults are the context.
    const meant = this.run.faults.some((f) => this.matches(f.text, f.kind));
    this.run.faults.forEach((f) => {
      f.shown = this.kinds.has("faults") && (!meant || this.matches(f.text, f.kind)) && (!this.node || f.nodes.some((n) => name(n) === this.node));
    });
    this.run.events.forEach((e) => {
      e.shown = this.kinds.has(eventGroup(e)) && this.matches(e.text, e.kind, name(e.node)) && (!this.node || name(e.node) === this.node);
    });
    this.run.nodes.forEach((n) => { n.shownOps = n.ops.filter((o) => o.shown); n.shownEvents = n.events.filter((e) => e.shown); });
  }

  // lane reports whether a node has a lane: with a node chosen, it and those that it
  // has to do with.
  lane(node) {
    if (!this.node || node.name === this.node || node.role === "server") return true;
    return node.shownOps.length > 0;
  }

  get narrow() { return this.words.length > 0 || this.key !== "" || this.node !== "" || this.outcomes.size < OUTCOMES.length; }
}

// eventGroup is the kind under which an event can be shown or left out.
function eventGroup(e) {
  if (e.kind === "log") return "logs";
  if (e.kind === "diskfail") return "disk errors";
  return "notes";
}
