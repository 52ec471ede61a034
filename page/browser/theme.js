"use strict";

// The three ways to choose colours.
const THEMES = ["system", "light", "dark"];

// applyTheme sets the colours of the page and returns those for the canvas.
function applyTheme(choice) {
  const dark = choice === "dark" || (choice === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  const style = getComputedStyle(document.documentElement);
  const colors = {};
  for (const name of ["page", "card", "line", "grid", "ink", "soft", "accent", "good", "bad", "done", "unmet", "refused", "unknown", "leader", "leader-ink",
    "up", "paused", "down", "network", "process", "disk", "clock", "other", "tcp", "udp", "select"]) {
    colors[name] = style.getPropertyValue("--" + name).trim();
  }
  colors.hatch = {};
  return colors;
}

// hatch is a pattern of slanted lines: a state must be seen without colours, too.
function hatch(ctx, colors, name, gap = 6) {
  if (!colors.hatch[name]) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = gap * 2;
    const c = tile.getContext("2d");
    c.strokeStyle = colors[name];
    c.lineWidth = 1.6;
    c.beginPath();
    for (let i = -1; i <= 3; i++) {
      c.moveTo(i * gap - 1, gap * 2 + 1);
      c.lineTo((i + 2) * gap + 1, -1);
    }
    c.stroke();
    colors.hatch[name] = ctx.createPattern(tile, "repeat");
  }
  return colors.hatch[name];
}

// outcomeColor is the name of the colour of an outcome.
function outcomeColor(outcome) {
  return outcome === "condition not met" ? "unmet" : outcome;
}
