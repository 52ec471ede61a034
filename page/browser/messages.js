"use strict";

// So many arrows a person can tell apart.
const MOST_ARROWS = 1500;

// drawMessages draws packets as arrows from who sent to who got them, when they are
// asked for and few enough are in the window; else it says why there are none.
function drawMessages(scene) {
  const { view, run, filter } = scene;
  if (!filter.messages) return;
  drawGaps(scene);
  const messages = visibleMessages(scene);
  if (messages.length > MOST_ARROWS) {
    return notice(scene, `${messages.length.toLocaleString("en")} messages in this window: zoom in to see them`);
  }
  if (messages.length === 0) notice(scene, "no messages here");
  for (const m of messages) drawArrow(scene, m);
}

// visibleMessages are those in the window, between nodes that have lanes.
function visibleMessages(scene) {
  const { view, run, plan, filter } = scene;
  const last = firstFrom(run.messages, (m) => m.arrived, view.until + scene.longestFlight);
  const all = [];
  for (let i = firstFrom(run.messages, (m) => m.arrived, view.from); i < last; i++) {
    const m = run.messages[i];
    if (m.sent < view.until && wantedMessage(run, plan, filter, m)) all.push(m);
  }
  return all;
}

function wantedMessage(run, plan, filter, m) {
  if (!plan.byNode.has(m.from) || !plan.byNode.has(m.to)) return false;
  const from = run.nodes[m.from];
  const to = run.nodes[m.to];
  if (filter.messages === "servers" && (from.role !== "server" || to.role !== "server")) return false;
  return !filter.node || from.name === filter.node || to.name === filter.node;
}

// drawArrow draws a packet. One that was lost ends half way, with a cross; datagrams
// are dashed.
function drawArrow(scene, m) {
  const { ctx, view, plan, colors } = scene;
  const a = plan.byNode.get(m.from);
  const b = plan.byNode.get(m.to);
  const down = b.y > a.y;
  const start = { x: view.x(m.sent), y: down ? a.y + a.height - 8 : a.y + 8 };
  let end = { x: view.x(m.arrived), y: down ? b.y + 8 : b.y + b.height - 8 };
  if (m.fate) end = { x: (start.x + end.x) / 2 + 6, y: (start.y + end.y) / 2 };
  ctx.strokeStyle = ctx.fillStyle = m.fate ? colors.bad : colors[m.protocol === "udp" ? "udp" : "tcp"];
  ctx.lineWidth = scene.chosen === m ? 2.5 : 1;
  ctx.setLineDash(m.protocol === "udp" ? [3, 2] : []);
  ctx.beginPath();
  ctx.moveTo(start.x, start.y);
  ctx.lineTo(end.x, end.y);
  ctx.stroke();
  ctx.setLineDash([]);
  if (m.fate) cross(ctx, end);
  else head(ctx, start, end);
  hit(scene, end.x - 4, end.y - 5, 8, 10, m);
}

function head(ctx, from, to) {
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  ctx.beginPath();
  for (const turn of [0, 2.65, -2.65]) {
    const length = turn === 0 ? 0 : 7;
    ctx.lineTo(to.x + length * Math.cos(angle + turn), to.y + length * Math.sin(angle + turn));
  }
  ctx.fill();
}

function cross(ctx, at) {
  ctx.lineWidth = 1.6;
  ctx.beginPath();
  ctx.moveTo(at.x - 3, at.y - 3);
  ctx.lineTo(at.x + 3, at.y + 3);
  ctx.moveTo(at.x + 3, at.y - 3);
  ctx.lineTo(at.x - 3, at.y + 3);
  ctx.stroke();
}

// drawGaps greys out the stretches of time from which the page has no messages.
function drawGaps(scene) {
  const { ctx, view, run, plan, colors } = scene;
  if (run.sample.all_messages) return;
  let from = 0;
  const gap = (until) => {
    const b = until > from && bar(view, from, until);
    if (!b) return;
    ctx.fillStyle = colors.soft;
    ctx.globalAlpha = 0.12;
    ctx.fillRect(b.x, RULER, b.width, plan.height - RULER);
    ctx.globalAlpha = 1;
  };
  for (const w of run.sample.windows) {
    gap(w.from);
    from = w.until;
  }
  gap(run.end);
}

function notice(scene, text) {
  const { ctx, view, colors } = scene;
  const width = ctx.measureText(text).width + 20;
  const x = (view.left + view.width - width) / 2;
  ctx.fillStyle = colors.ink;
  ctx.beginPath();
  ctx.roundRect(x, RULER + 8, width, 24, 6);
  ctx.fill();
  ctx.fillStyle = colors.card;
  ctx.fillText(text, x + 10, RULER + 20);
}
