"use strict";

// A View is the window of time that is shown, and the way from time to pixels.
class View {
  constructor(end, changed) {
    this.end = end;
    this.changed = changed;
    this.left = 78; // where the labels of lanes end
    this.width = 800;
    this.from = 0;
    this.until = end;
  }

  get length() { return this.until - this.from; }

  x(t) { return this.left + ((t - this.from) / this.length) * (this.width - this.left); }

  t(x) { return this.from + ((x - this.left) / (this.width - this.left)) * this.length; }

  // set shows a window, within the run and not shorter than what a pixel can mean.
  set(from, until) {
    const shortest = 2000;
    const length = Math.min(Math.max(until - from, shortest), this.end);
    const middle = (from + until) / 2;
    this.from = Math.min(Math.max(middle - length / 2, 0), this.end - length);
    this.until = this.from + length;
    this.changed();
  }

  // zoom changes the length of the window; what is at a time stays where it is.
  zoom(factor, at = (this.from + this.until) / 2) {
    const length = Math.min(this.length * factor, this.end);
    const share = (at - this.from) / this.length;
    this.set(at - share * length, at + (1 - share) * length);
  }

  move(by) {
    const shift = Math.min(Math.max(by, -this.from), this.end - this.until);
    this.set(this.from + shift, this.until + shift);
  }

  // reveal shows a stretch of time with something around it.
  reveal(from, until) {
    const margin = Math.max((until - from) * 1.2, 0.04 * SECOND);
    this.set(from - margin, until + margin);
  }
}

// ticks are the round times within a window, about one every so many pixels.
function ticks(view, pixels) {
  const step = roundStep((view.length / (view.width - view.left)) * pixels);
  const all = [];
  for (let t = Math.ceil(view.from / step) * step; t <= view.until; t += step) all.push(t);
  const digits = Math.max(0, Math.ceil(Math.log10(SECOND / step) - 1e-9));
  return { all, digits };
}

// roundStep is the next step that people count in: 1, 2 or 5 of a power of ten.
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= least);
}
