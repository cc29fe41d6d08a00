// Daemons of several processes: which of them is which.
import { readdirSync, readFileSync } from "node:fs";

/**
 * The process below `pid`, a child of it or of one of its children, that was started with this word.
 * @throws Error when there is none (yet)
 */
export function processBelow(pid: number, word: string): number {
  const found = descendantsOf(pid).find((one) =>
    readFileSync(`/proc/${one}/cmdline`, "utf8").split("\0").includes(word),
  );
  if (found === undefined) throw new Error(`process ${pid} has started none with ${word}`);
  return found;
}

function descendantsOf(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

/** Any thread may have started it. */
function childrenOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
}
