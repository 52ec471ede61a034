"use strict";

// How high things are, in pixels.
const RULER = 26;
const HEIGHTS = { server: 46, agent: 30, client: 22, other: 20 };
const FAULT_ROW = 15;
const FAULT_ROWS = 9;

// layout decides where each lane is. Faults come first, each in a row in which none
// overlaps another; then the nodes.
function layout(run, filter) {
  const rows = packFaults(run.faults.filter((f) => f.shown));
  const lanes = [];
  let y = RULER;
  const add = (lane, height) => {
    lanes.push({ ...lane, y, height });
    y += height;
  };
  const notes = run.worldEvents.some((e) => e.shown);
  if (rows > 0 || notes) add({ kind: "faults", label: "faults" }, rows * FAULT_ROW + 8 + (notes ? 12 : 0));
  for (const node of run.nodes) {
    if (filter.lane(node) && (node.role !== "other" || node.shownEvents.length > 0)) add({ kind: node.role, label: node.name, node }, HEIGHTS[node.role]);
  }
  return { lanes, height: y + 4, byNode: new Map(lanes.filter((l) => l.node).map((l) => [l.node.id, l])) };
}

// packFaults gives each fault a row, and returns how many there are. When too many
// last at one time the last row takes the rest.
function packFaults(faults) {
  const free = [];
  for (const f of faults) {
    let row = free.findIndex((until) => until <= f.from);
    if (row < 0) row = Math.min(free.length, FAULT_ROWS - 1);
    free[row] = Math.max(f.until, free[row] || 0);
    f.row = row;
  }
  return free.length;
}

// laneAt is the lane at a height.
function laneAt(plan, y) {
  return plan.lanes.find((l) => y >= l.y && y < l.y + l.height);
}
