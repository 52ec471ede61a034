"use strict";

// drawOps draws the operations of a client: one by one where there is room, else as
// columns of how many there were.
function drawOps(scene, lane) {
  const { view } = scene;
  const ops = lane.node.shownOps;
  if (ops.length === 0) return;
  const first = firstFrom(ops, (o) => o.call, view.from - lane.node.longest);
  const last = firstFrom(ops, (o) => o.call, view.until);
  if ((last - first) * 5 > view.width) drawDensity(scene, lane, ops, first, last);
  else for (let i = first; i < last; i++) drawOp(scene, lane, ops[i]);
}

// drawDensity draws columns. What is rare is what matters, so that an operation that
// is not done is seen however many are.
function drawDensity(scene, lane, ops, first, last) {
  const { ctx, view, colors } = scene;
  const pixels = 3;
  const columns = Math.ceil((view.width - view.left) / pixels) + 1;
  const counts = OUTCOMES.map(() => new Uint16Array(columns));
  let most = 1;
  for (let i = first; i < last; i++) {
    const column = Math.floor((view.x(ops[i].call) - view.left) / pixels);
    if (column < 0 || column >= columns) continue;
    const kind = OUTCOMES.indexOf(ops[i].outcome);
    most = Math.max(most, ++counts[kind][column]);
  }
  const room = lane.height - 6;
  for (let column = 0; column < columns; column++) {
    let y = lane.y + lane.height - 3;
    OUTCOMES.forEach((outcome, kind) => {
      const n = counts[kind][column];
      if (n === 0) return;
      const height = Math.max((n / most) * room * 0.75, kind === 0 ? 1.5 : 4);
      y -= height;
      ctx.fillStyle = colors[outcomeColor(outcome)];
      ctx.fillRect(view.left + column * pixels, Math.max(y, lane.y + 2), pixels - 0.6, height);
    });
  }
}

// drawOp draws an operation from its call to its return. The outcome has a colour and
// a shape: full, hollow, a diamond, an open end with a cross.
function drawOp(scene, lane, op) {
  const { ctx, view, colors } = scene;
  const x = view.x(op.call);
  const end = Math.max(view.x(op.end), x + 3);
  if (end < view.left || x > view.width) return;
  const middle = lane.y + lane.height / 2;
  const height = 9;
  const color = colors[outcomeColor(op.outcome)];
  ctx.fillStyle = ctx.strokeStyle = color;
  ctx.lineWidth = 1.4;
  const body = { x, y: middle - height / 2, width: end - x, height };
  if (op.outcome === "done") ctx.fillRect(body.x, body.y, body.width, body.height);
  else if (op.outcome === "condition not met") ctx.strokeRect(body.x + 0.7, body.y + 0.7, Math.max(body.width - 1.4, 2), body.height - 1.4);
  else if (op.outcome === "refused") diamond(ctx, x, end, middle);
  else openEnd(ctx, x, end, middle);
  if (body.width > 40) {
    ctx.fillStyle = op.outcome === "done" ? colors.card : colors.ink;
    const from = Math.max(x, view.left);
    const text = op.answer ? `${op.what} → ${op.answer}` : op.what;
    if (op.outcome === "done") label(ctx, text, from + 4, middle + 0.5, end - from - 8);
  }
  hit(scene, x, lane.y + 1, body.width, lane.height - 2, op);
}

function diamond(ctx, x, end, y) {
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(end, y);
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(end - 4, y);
  ctx.lineTo(end, y - 4);
  ctx.lineTo(end + 4, y);
  ctx.lineTo(end, y + 4);
  ctx.closePath();
  ctx.fill();
}

function openEnd(ctx, x, end, y) {
  ctx.save();
  ctx.setLineDash([4, 3]);
  ctx.strokeRect(x, y - 3.5, end - x, 7);
  ctx.restore();
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.moveTo(end - 3.5, y - 3.5);
  ctx.lineTo(end + 3.5, y + 3.5);
  ctx.moveTo(end + 3.5, y - 3.5);
  ctx.lineTo(end - 3.5, y + 3.5);
  ctx.stroke();
}
