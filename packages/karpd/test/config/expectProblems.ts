import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { ConfigProblem } from "../../src/config/problem.ts";
import { Project, type ProjectOptions } from "./project.ts";

export interface Expected {
  readonly code: string;
  readonly what: string | RegExp;
  readonly advice: string | RegExp;
}

/**
 * Loads `marked` with its marks taken out and asserts that there are exactly these problems, in the order of the file,
 * each underlining exactly one «marked» place. `<dir>` in an expected text stands for the project's directory.
 */
export async function problemsOf(
  t: TestContext,
  marked: string,
  expected: readonly Expected[],
  prepare: (project: Project) => ProjectOptions | undefined = () => undefined,
): Promise<readonly ConfigProblem[]> {
  const project = new Project(t);
  const { text, places } = unmark(marked);
  const result = await project.load(text, prepare(project) ?? {});
  const problems = result.ok ? result.warnings : result.problems;
  const summary = problems.map(({ line, column, length, code, what, advice }) => ({
    line,
    column,
    length,
    code,
    what,
    advice,
  }));
  assert.deepEqual(
    summary.map(({ line, column, length, code }) => ({ line, column, length, code })),
    places.map((place, index) => ({ ...place, code: expected[index]?.code })),
    JSON.stringify(summary, undefined, 2),
  );
  expected.forEach(({ what, advice }, index) => {
    matches(summary[index]?.what ?? "", what, project.directory);
    matches(summary[index]?.advice ?? "", advice, project.directory);
  });
  return problems;
}

function matches(actual: string, expected: string | RegExp, directory: string): void {
  const text = actual.replaceAll(directory, "<dir>");
  if (typeof expected === "string") assert.equal(text, expected);
  else assert.match(text, expected);
}

/** As problemsOf, for those who need nothing more of them. */
export async function expectProblems(...parameters: Parameters<typeof problemsOf>): Promise<void> {
  await problemsOf(...parameters);
}

interface Place {
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

function unmark(marked: string): { readonly text: string; readonly places: readonly Place[] } {
  const places: Place[] = [];
  const lines = marked.split("\n").map((line, index) => {
    let text = "";
    for (const [position, part] of line.split(/[«»]/).entries()) {
      if (position % 2 === 1)
        places.push({ line: index + 1, column: text.length + 1, length: Math.max(1, part.length) });
      text += part;
    }
    return text;
  });
  return { text: lines.join("\n"), places };
}
