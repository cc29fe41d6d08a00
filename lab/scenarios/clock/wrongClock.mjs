// Loaded before karp (node --import): the wall clock is off by as many milliseconds as stand in the file LAB_CLOCK names.
import { readFileSync } from "node:fs";

const RealDate = Date;
const file = process.env.LAB_CLOCK;
let offset = 0;
let readAt = Number.NEGATIVE_INFINITY;

function now() {
  if (performance.now() - readAt > 200) {
    offset = Number(readFileSync(file, "utf8"));
    readAt = performance.now();
  }
  return RealDate.now() + offset;
}

globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(now());
    else super(...args);
  }

  static now() {
    return now();
  }
};
