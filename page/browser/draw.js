"use strict";

// A scene is all that drawing needs: { ctx, run, filter, view, plan, colors, chosen,
// hits }. What can be clicked puts its place into hits, in the order of drawing.

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

function drawChart(scene) {
  const { ctx, view, plan, colors } = scene;
  scene.hits = [];
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  ctx.fillStyle = colors.card;
  ctx.fillRect(0, 0, view.width, plan.height);
  clipped(scene, () => drawHealed(scene));
  for (const lane of plan.lanes) drawLane(scene, lane);
  drawGrid(scene);
  clipped(scene, () => {
    drawMessages(scene);
    drawFindings(scene);
    drawChosen(scene);
  });
  drawRuler(scene);
}

// clipped draws within the part of the picture that has a time.
function clipped(scene, draw) {
  const { ctx, view, plan } = scene;
  ctx.save();
  ctx.beginPath();
  ctx.rect(view.left, 0, view.width - view.left, plan.height);
  ctx.clip();
  draw();
  ctx.restore();
}

function hit(scene, x, y, width, height, item) {
  scene.hits.push({ x, y, width, height, item });
}

// itemAt is what was drawn last at a place, with a little tolerance for hands.
function itemAt(scene, x, y) {
  const near = 2;
  for (let i = scene.hits.length - 1; i >= 0; i--) {
    const h = scene.hits[i];
    if (x >= h.x - near && x <= h.x + h.width + near && y >= h.y && y <= h.y + h.height) return h.item;
  }
  return null;
}

// bar is a stretch of time in pixels, cut at the edges of the picture, wide enough
// to be seen; null if it is not in the window.
function bar(view, from, until, least = 1) {
  if (until < view.from || from > view.until) return null;
  const x = Math.max(view.x(from), view.left);
  const end = Math.min(view.x(until), view.width);
  return { x, width: Math.max(end - x, least) };
}

// label writes a text into a width, shortened or not at all.
function label(ctx, text, x, y, width) {
  if (width < 14) return;
  const letters = Math.floor(width / 5.6);
  if (letters < 3) return;
  const fits = ctx.measureText(text).width <= width;
  ctx.fillText(fits ? text : text.slice(0, letters - 1) + "…", x, y);
}

// drawHealed marks the second phase, in which nothing strikes any more.
function drawHealed(scene) {
  const { ctx, run, view, plan, colors } = scene;
  if (!run.run.healed) return;
  const b = bar(view, run.run.healed, run.end);
  if (!b) return;
  ctx.fillStyle = colors.good;
  ctx.globalAlpha = 0.07;
  ctx.fillRect(b.x, RULER, b.width, plan.height - RULER);
  ctx.globalAlpha = 1;
}

function drawLane(scene, lane) {
  const { ctx, view, colors } = scene;
  ctx.fillStyle = colors.line;
  ctx.fillRect(0, lane.y + lane.height - 0.5, view.width, 0.5);
  ctx.fillStyle = lane.node && lane.node.name === scene.filter.node ? colors.accent : colors.ink;
  ctx.textAlign = "left";
  ctx.fillText(lane.label, 8, lane.y + (lane.kind === "server" ? 14 : lane.height / 2));
  if (lane.node) hit(scene, 0, lane.y, view.left, lane.height, lane.node);
  if (lane.kind === "server") drawOffsetLabel(scene, lane);
  clipped(scene, () => {
    if (lane.kind === "faults") {
      drawFaults(scene, lane);
      return drawEvents(scene, lane, scene.run.worldEvents.filter((e) => e.shown));
    }
    if (lane.kind === "server" || lane.kind === "agent") drawMachine(scene, lane);
    drawOps(scene, lane);
    drawEvents(scene, lane, lane.node.shownEvents);
  });
}

function drawFaults(scene, lane) {
  const { ctx, run, view, colors } = scene;
  for (const f of run.faults) {
    const b = f.shown && bar(view, f.from, f.until, 2);
    if (!b) continue;
    const y = lane.y + 4 + f.row * FAULT_ROW;
    const height = FAULT_ROW - 3;
    ctx.fillStyle = colors[f.class];
    ctx.globalAlpha = 0.28;
    ctx.fillRect(b.x, y, b.width, height);
    ctx.globalAlpha = 1;
    ctx.fillRect(b.x, y, 2.5, height);
    ctx.fillStyle = colors.ink;
    label(ctx, faultLabel(scene, f, b.width - 8), b.x + 6, y + height / 2 + 0.5, b.width - 8);
    hit(scene, b.x, y, b.width, height, f);
  }
}

// faultLabel is the longest name of a fault that there is room for.
function faultLabel(scene, f, room) {
  const who = f.nodes.length < 4 ? f.nodes.map((n) => scene.run.nodes[n].name).join(" ") : "";
  return [f.text, `${f.kind} ${who}`, f.kind, who || f.kind].find((t) => scene.ctx.measureText(t).width <= room) || f.kind;
}

// drawMachine draws what a server or a client agent was: its state, the faults that
// struck it, its terms as a leader, its clock.
function drawMachine(scene, lane) {
  for (const life of lane.node.lives) drawLife(scene, lane, life);
  drawStrikes(scene, lane);
  if (scene.filter.kinds.has("leaders")) for (const reign of lane.node.reigns) drawReign(scene, lane, reign);
  if (scene.filter.kinds.has("clocks")) drawClock(scene, lane);
}

function drawLife(scene, lane, life) {
  const { ctx, view, colors } = scene;
  const b = bar(view, life.from, life.until);
  if (!b) return;
  const y = lane.y + 2;
  const height = lane.height - 4;
  ctx.fillStyle = colors.up;
  ctx.fillRect(b.x, y, b.width, height);
  if (life.state !== "up") {
    ctx.fillStyle = hatch(ctx, colors, life.state, life.state === "down" ? 3 : 6);
    ctx.fillRect(b.x, y, b.width, height);
    ctx.fillStyle = colors.ink;
    if (b.width > 60) plate(scene, life.state, b.x + 6, lane.y + lane.height / 2);
  }
  hit(scene, b.x, y, b.width, height, life);
}

// plate writes on a hatched ground so that it can be read.
function plate(scene, text, x, y) {
  const { ctx, colors } = scene;
  const width = ctx.measureText(text).width + 8;
  ctx.fillStyle = colors.card;
  ctx.fillRect(x, y - 8, width, 16);
  ctx.fillStyle = colors.ink;
  ctx.fillText(text, x + 4, y);
}

// drawStrikes tints a node for as long as faults last that strike it, one stripe a
// class at its lower edge.
function drawStrikes(scene, lane) {
  const { ctx, view, colors } = scene;
  const order = ["network", "process", "disk", "clock", "other"];
  for (const f of lane.node.faults) {
    const b = f.shown && bar(view, f.from, f.until, 2);
    if (!b) continue;
    ctx.fillStyle = colors[f.class];
    ctx.globalAlpha = 0.13;
    ctx.fillRect(b.x, lane.y + 2, b.width, lane.height - 4);
    ctx.globalAlpha = 0.9;
    const y = lane.y + lane.height - 4 - 2.5 * order.indexOf(f.class);
    ctx.fillRect(b.x, y, b.width, 2);
    ctx.globalAlpha = 1;
    hit(scene, b.x, y - 2, b.width, 5, f);
  }
}

function drawReign(scene, lane, reign) {
  const { ctx, view, colors } = scene;
  const b = bar(view, reign.from, reign.until, 2);
  if (!b) return;
  const y = lane.y + 5;
  ctx.fillStyle = colors.leader;
  ctx.beginPath();
  ctx.roundRect(b.x, y, b.width, 16, Math.min(4, b.width / 2));
  ctx.fill();
  ctx.fillStyle = colors["leader-ink"];
  label(ctx, reign.term === 0 ? reign.role : b.width > 110 ? `${reign.role}, term ${reign.term}` : `term ${reign.term}`, b.x + 6, y + 8.5, b.width - 8);
  hit(scene, b.x, y, b.width, 16, reign);
}

// drawClock draws how far a clock is off, between the least and the most that it is
// in the whole run.
function drawClock(scene, lane) {
  const { ctx, view, colors } = scene;
  const range = clockRange(scene.run, lane.node);
  if (!range) return;
  const bottom = lane.y + lane.height - 12;
  const top = lane.y + 25;
  const y = (offset) => bottom - ((offset - range.low) / (range.high - range.low)) * (bottom - top);
  const points = [view.from, ...lane.node.clocks.flatMap((c) => [c.at - 1, c.at]).filter((t) => t > view.from && t < view.until), view.until];
  ctx.strokeStyle = colors.clock;
  ctx.lineWidth = 1.4;
  ctx.beginPath();
  for (const t of points) ctx.lineTo(view.x(t), y(offsetAt(lane.node, t) ?? 0));
  ctx.stroke();
}

// clockRange is between which offsets a clock moves, null for one that is right.
function clockRange(run, node) {
  if (node.range !== undefined) return node.range;
  const offsets = node.clocks.flatMap((c, i) => {
    const until = i + 1 < node.clocks.length ? node.clocks[i + 1].at : run.end;
    return [c.offset, c.offset + (until - c.at) * (c.rate - 1)];
  });
  const low = Math.min(0, ...offsets);
  const high = Math.max(0, ...offsets);
  node.range = high - low < 1e6 ? null : { low, high };
  return node.range;
}

// drawOffsetLabel says under a server's name how far its clock is off in the middle
// of the window.
function drawOffsetLabel(scene, lane) {
  const { ctx, view, colors, run } = scene;
  if (!scene.filter.kinds.has("clocks") || !clockRange(run, lane.node)) return;
  const offset = offsetAt(lane.node, (view.from + view.until) / 2);
  ctx.fillStyle = colors.clock;
  ctx.fillText((offset > 0 ? "+" : offset < 0 ? "−" : "") + span(Math.abs(Math.round(offset))), 8, lane.y + 31);
}

// drawEvents draws log lines, errors of disks and notes as small marks. Where a pixel
// has many the gravest is on top, since it is drawn last.
function drawEvents(scene, lane, events) {
  const { ctx, view, colors } = scene;
  const first = firstFrom(events, (e) => e.at, view.from);
  const last = firstFrom(events, (e) => e.at, view.until);
  const taken = new Map();
  for (let i = first; i < last; i++) {
    const column = Math.round(view.x(events[i].at) / 3);
    const before = taken.get(column);
    if (!before || before.level <= events[i].level) taken.set(column, events[i]);
  }
  const y = lane.y + lane.height - (lane.kind === "server" ? 15 : 9);
  for (const e of taken.values()) {
    const x = view.x(e.at);
    ctx.fillStyle = eventColor(colors, e);
    ctx.beginPath();
    if (e.kind === "diskfail" || e.kind === "check") {
      ctx.moveTo(x - 5, y - 4);
      ctx.lineTo(x + 5, y - 4);
      ctx.lineTo(x, y + 5);
    } else {
      ctx.rect(x - 1, y - 3, 2, 7);
    }
    ctx.fill();
    hit(scene, x - 3, y - 4, 6, 9, e);
  }
}

function eventColor(colors, e) {
  if (e.kind === "diskfail") return colors.disk;
  return [colors.refused, colors.soft, colors.unknown, colors.bad][e.level];
}

function drawGrid(scene) {
  const { ctx, view, plan, colors } = scene;
  ctx.fillStyle = colors.soft;
  ctx.globalAlpha = 0.13;
  for (const t of ticks(view, 110).all) ctx.fillRect(Math.round(view.x(t)), RULER, 1, plan.height - RULER);
  ctx.globalAlpha = 1;
}

function drawRuler(scene) {
  const { ctx, view, run, colors } = scene;
  ctx.fillStyle = colors.card;
  ctx.fillRect(0, 0, view.width, RULER - 1);
  ctx.fillStyle = colors.line;
  ctx.fillRect(0, RULER - 1, view.width, 1);
  ctx.textAlign = "center";
  ctx.fillStyle = colors.soft;
  const { all, digits } = ticks(view, 110);
  for (const t of all) {
    const x = view.x(t);
    if (x > view.left + 24 && x < view.width - 24) ctx.fillText(seconds(t, digits), x, 9);
    ctx.fillRect(Math.round(x), RULER - 6, 1, 5);
  }
  ctx.textAlign = "left";
  for (const f of run.findings) drawFlag(scene, f);
}

// drawFlag marks a finding in the ruler.
function drawFlag(scene, f) {
  const { ctx, view, colors } = scene;
  const x = view.x(f.at);
  if (x < view.left || x > view.width) return;
  ctx.fillStyle = colors.bad;
  ctx.beginPath();
  ctx.moveTo(x - 4, RULER - 10);
  ctx.lineTo(x + 4, RULER - 10);
  ctx.lineTo(x, RULER - 2);
  ctx.fill();
  hit(scene, x - 4, RULER - 11, 8, 10, f);
}

// drawFindings rings the operations that findings begin with. They are drawn even
// where operations are shown as columns.
function drawFindings(scene) {
  const { ctx, run, view, plan, colors } = scene;
  ctx.strokeStyle = colors.bad;
  ctx.lineWidth = 2;
  const rings = new Map(); // the last ring of each lane: those that touch become one
  const ring = (r) => {
    ctx.beginPath();
    ctx.roundRect(r.x - 3, r.lane.y + 2, r.end - r.x + 6, r.lane.height - 4, 4);
    ctx.stroke();
  };
  for (const f of run.findings) {
    const op = run.ops[f.ops[0]];
    const lane = op && op.shown && plan.byNode.get(op.node);
    const b = lane && bar(view, op.call, op.end, 4);
    if (!b) continue;
    hit(scene, b.x - 3, lane.y + 2, b.width + 6, lane.height - 4, op);
    const last = rings.get(lane);
    if (last && b.x - last.end < 7) {
      last.end = Math.max(last.end, b.x + b.width);
      continue;
    }
    if (last) ring(last);
    rings.set(lane, { lane, x: b.x, end: b.x + b.width });
  }
  rings.forEach(ring);
}

// drawChosen marks what is chosen: a line through all lanes, and for a finding the
// operations that it is about, with an arc between them.
function drawChosen(scene) {
  const { ctx, run, view, plan, colors, chosen } = scene;
  if (!chosen) return;
  const finding = chosen.type === "finding" ? chosen : chosen.findings && chosen.findings[0];
  const ops = finding ? finding.ops.slice(0, 8).map((i) => run.ops[i]) : chosen.type === "op" ? [chosen] : [];
  const at = moment(chosen);
  if (at !== null) {
    ctx.fillStyle = finding ? colors.bad : colors.accent;
    ctx.globalAlpha = 0.6;
    ctx.fillRect(view.x(at) - 0.5, RULER, 1, plan.height);
    ctx.globalAlpha = 1;
  }
  ctx.strokeStyle = colors.select;
  ctx.lineWidth = 1.5;
  ops.forEach((op, i) => {
    const lane = plan.byNode.get(op.node);
    const b = lane && bar(view, op.call, op.end, 4);
    if (!b) return;
    ctx.beginPath();
    ctx.roundRect(b.x - 5, lane.y, b.width + 10, lane.height, 5);
    ctx.stroke();
    if (i > 0) drawArc(scene, ops[0], op);
  });
}

// drawArc leads from the operation that a finding begins with to another one.
function drawArc(scene, from, to) {
  const { ctx, view, plan, colors } = scene;
  const a = plan.byNode.get(from.node);
  const b = plan.byNode.get(to.node);
  if (!a || !b) return;
  const start = { x: view.x(from.call), y: a.y + a.height / 2 };
  const end = { x: view.x(to.end), y: b.y + b.height / 2 };
  ctx.save();
  ctx.strokeStyle = colors.bad;
  ctx.setLineDash([5, 4]);
  ctx.beginPath();
  ctx.moveTo(start.x, start.y);
  ctx.bezierCurveTo((start.x + end.x) / 2, start.y - 30, (start.x + end.x) / 2, end.y - 30, end.x, end.y);
  ctx.stroke();
  ctx.restore();
}

// moment is the time of what is chosen, null for what lasts.
function moment(item) {
  if (item.type === "op") return item.call;
  if (item.type === "message") return item.sent;
  if (item.type === "finding" || item.type === "event") return item.at;
  if (item.type === "fault" || item.type === "reign" || item.type === "life") return item.from;
  return null;
}

// drawOverview draws the whole run: how many operations, faults, findings, and the
// window that is shown.
function drawOverview(ctx, scene, height) {
  const { run, view, colors } = scene;
  const all = new View(run.end, () => {});
  all.width = view.width;
  ctx.fillStyle = colors.card;
  ctx.fillRect(0, 0, view.width, height);
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  ctx.fillStyle = colors.soft;
  ctx.fillText("whole run", 8, height / 2);
  const lane = { y: 6, height: height - 16 };
  drawDensity({ ...scene, ctx, view: all }, lane, scene.overviewOps, 0, scene.overviewOps.length);
  ctx.globalAlpha = 0.8;
  for (const f of run.faults) {
    const b = bar(all, f.from, f.until, 1);
    ctx.fillStyle = colors[f.class];
    ctx.fillRect(b.x, height - 10 + 2 * Math.min(f.row || 0, 3), b.width, 1.5);
  }
  ctx.globalAlpha = 1;
  ctx.fillStyle = colors.bad;
  for (const f of run.findings) ctx.fillRect(all.x(f.at) - 1, 0, 2, 7);
  ctx.fillStyle = colors.ink;
  ctx.globalAlpha = 0.1;
  ctx.fillRect(all.left, 0, all.x(view.from) - all.left, height);
  ctx.fillRect(all.x(view.until), 0, view.width - all.x(view.until), height);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = colors.accent;
  ctx.lineWidth = 1.5;
  ctx.strokeRect(all.x(view.from), 0.75, Math.max(all.x(view.until) - all.x(view.from), 3), height - 1.5);
}
