"use strict";

// With so many, the timeline begins on the first screen of a small display.
const FIRST_FINDINGS = 3;

// writeSummary fills in what stands above the picture.
function writeSummary(app) {
  const { run } = app;
  const r = run.run;
  const failed = run.verdicts.filter((v) => !v.ok).length;
  document.getElementById("scenario").append(r.scenario + " ", make("small", {}, "seed " + r.seed));
  const pill = document.getElementById("outcome");
  pill.textContent = run.died ? "the run died" : r.ok ? "all as expected" : failed === 0 ? "nothing was judged" : `${failed} of ${run.verdicts.length} checks failed`;
  pill.className = "pill " + (r.ok ? "good" : "bad");
  document.getElementById("about").textContent = r.about;
  const pairs = [
    ["virtual time", seconds(r.virtual, 1)],
    ["real time", seconds(r.took, 1)],
    ["speed", r.took > 0 ? `${(r.virtual / r.took).toFixed(0)} × real time` : ""],
    ["operations done", r.done.toLocaleString("en")],
    ["refused", r.refused.toLocaleString("en")],
    ["outcome unknown", r.unknown.toLocaleString("en")],
    ["faults", String(run.faults.length)],
    ["elections", run.reigns.some((r) => r.term > 0) ? String(run.reigns.length) : ""],
    ["healed at", r.healed > 0 ? seconds(r.healed, 1) : ""],
    ["memory", r.memory > 0 ? `${(r.memory / 1048576).toFixed(0)} MB` : ""],
    ["fingerprint", r.fingerprint ? make("code", { title: r.fingerprint }, r.fingerprint.slice(0, 16) + "…") : ""],
  ];
  document.getElementById("facts").append(...pairs.filter(([, v]) => v !== "").map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  const telling = run.verdicts.filter((v) => !v.ok || run.findings.some((f) => f.check === v.check));
  const quiet = run.verdicts.filter((v) => !telling.includes(v));
  document.getElementById("verdicts").append(...telling.map((v) => verdictCard(app, v)), ...quietVerdicts(app, quiet, telling.length === 0));
}

// quietVerdicts are those that nobody has to read to know what went wrong: a line, and
// all of them when asked.
function quietVerdicts(app, verdicts, open) {
  if (verdicts.length === 0) return [];
  const names = verdicts.map((v) => v.check).join(", ");
  const title = verdicts.length === 1 ? "1 check is" : `${verdicts.length} checks are`;
  return [make("details", { class: "quiet", open },
    make("summary", {}, make("span", { class: "mark" }, "✓"), make("b", {}, `${title} as expected`), make("span", { class: "text" }, ` · ${names}`)),
    make("div", { class: "cards" }, ...verdicts.map((v) => verdictCard(app, v))))];
}

function verdictCard(app, v) {
  const asExpected = v.got === "violated" ? "violated, as expected" : v.got;
  const said = v.ok ? asExpected : `${v.got}, expected ${v.expected}`;
  const findings = app.run.findings.filter((f) => f.check === v.check);
  return make("div", { class: "verdict" + (v.ok ? "" : " bad") + (findings.length > 0 ? " long" : "") },
    make("div", {}, make("span", { class: "mark" }, v.ok ? "✓" : "✗"), make("span", { class: "name" }, v.check), ` ${said}`, v.text ? make("span", { class: "text" }, " · " + v.text) : ""),
    make("div", { class: "means" }, v.means),
    findings.length > 0 ? findingList(app, findings) : "");
}

// findingList shows the first findings, and the rest when asked.
function findingList(app, findings) {
  const groups = grouped(findings);
  const list = make("ul", { class: "findings" });
  const add = (some) => list.append(...some.map((g) => make("li", {}, findingGroup(app, g))));
  add(groups.slice(0, FIRST_FINDINGS));
  const shown = groups.slice(0, FIRST_FINDINGS).reduce((n, g) => n + g.length, 0);
  if (shown === findings.length) return list;
  const rest = make("button", { class: "link more-findings" }, `and ${findings.length - shown} more`);
  rest.addEventListener("click", () => {
    add(groups.slice(FIRST_FINDINGS));
    rest.remove();
  });
  return make("div", {}, list, rest);
}

// grouped puts findings together that have one cause, such as all reads that missed
// the same write.
function grouped(findings) {
  const groups = new Map();
  for (const f of findings) {
    const cause = f.ops.length > 1 ? `${f.kind} ${f.ops[1]}` : `one ${f.id}`;
    groups.set(cause, [...(groups.get(cause) || []), f]);
  }
  return [...groups.values()];
}

// findingGroup shows the first of a group, and the others when asked.
function findingGroup(app, group) {
  const first = findingButton(app, group[0]);
  if (group.length === 1) return first;
  const others = make("button", { class: "link like-it" }, `and ${group.length - 1} more like it`);
  const box = make("div", { class: "alike" }, first, others);
  others.addEventListener("click", () => {
    others.remove();
    box.append(...group.slice(1).map((f) => findingButton(app, f)));
  });
  return box;
}

function findingButton(app, f) {
  return make("button", { "data-finding": f.id, onclick: () => app.choose(f, true) },
    make("span", { class: "at" }, seconds(f.at)), make("span", { class: "kind" }, f.kind), make("span", {}, f.text));
}

// writeMore fills in what stands below the picture.
function writeMore(app) {
  const { run } = app;
  const more = document.getElementById("more");
  const fold = (title, open, ...content) => more.append(make("details", { open }, make("summary", {}, title), ...content));
  if (run.died) fold("What the process said when it died", true,
    make("p", {}, `${run.died.end}. The timeline above is from the trace, as far as it goes. died.txt, in the same folder, has all that was said.`),
    make("pre", { class: "output" }, run.died.output));
  if (run.picture) fold("Porcupine's picture of the operations that no order makes sense of", false,
    make("p", {}, "Clients from top to bottom, operations in the order of time, and the longest order of them that makes sense. A picture of a key ends where its history becomes impossible; reads long before that are left out."),
    pictureFrame(run.picture));
  if (run.picture_file) fold("Porcupine's picture", false, make("p", {}, `It is too large for this page: ${run.picture_file}, in the same folder.`));
  fold("Replay", true, make("div", { class: "commands" }, ...run.replay.map((c) => make("div", {}, make("code", {}, c.line), make("span", {}, c.about))),
    run.run.fingerprint ? make("div", {}, "Fingerprint ", make("code", {}, run.run.fingerprint)) : ""));
  if (run.faults.length > 0) fold(`Faults (${run.faults.length})`, false, faultTable(app));
  if (run.reigns.length > 0) fold(`Roles, and who had them (${run.reigns.length})`, false, reignTable(app));
  fold("Settings, with everything that the seed has drawn", false, make("pre", {}, run.settings));
  if (run.plan) fold("The plan in words", false, make("pre", {}, run.plan));
}

// pictureFrame shows porcupine's page in a frame of its own. It can run its script,
// and reach nothing: not this page, and no network. It is loaded once it is wanted.
function pictureFrame(html) {
  const frame = make("iframe", { sandbox: "allow-scripts", title: "porcupine", loading: "lazy" });
  const observer = new IntersectionObserver((seen) => {
    if (!seen.some((s) => s.isIntersecting)) return;
    observer.disconnect();
    frame.srcdoc = html;
  });
  observer.observe(frame);
  return frame;
}

function table(head, rows) {
  const cell = (tag) => (text, i) => make(tag, { class: head[i].startsWith("#") ? "number" : undefined }, typeof text === "string" ? text.replace(/^#/, "") : text);
  return make("table", {}, make("thead", {}, make("tr", {}, ...head.map(cell("th")))), make("tbody", {}, ...rows.map((r) => make("tr", {}, ...r.map(cell("td"))))));
}

function faultTable(app) {
  return table(["#from", "#until", "#lasted", "kind", "what"], app.run.faults.map((f) => [
    seconds(f.from), seconds(f.until), span(f.until - f.from), f.kind, make("button", { class: "link", onclick: () => app.choose(f, true) }, f.text)]));
}

function reignTable(app) {
  return table(["#first seen", "#last seen", "#for", "role", "#term", "node"], app.run.reigns.map((r) => [
    seconds(r.from), seconds(r.until), span(r.until - r.from), r.role, r.term > 0 ? String(r.term) : "", make("button", { class: "link", onclick: () => app.choose(r, true) }, app.run.nodes[r.node].name)]));
}
