import type { ConfigProblem } from "./problem.ts";

/**
 * As a compiler prints them:
 *
 *     /etc/karp/karp.yaml:12:5: error: `remte` is not a word that belongs here
 *       12 |     remte: 10.0.0.2
 *          |     ^^^^^
 *          = did you mean `remote`?
 */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems.map(formatProblem).join("\n\n");
}

function formatProblem(problem: ConfigProblem): string {
  const { file, line, column, length, severity, what, advice, excerpt } = problem;
  const number = String(line);
  const gutter = " ".repeat(number.length);
  // Tabs in front of the caret stay tabs, so that it stands under the right place.
  const indent = excerpt.slice(0, column - 1).replace(/[^\t]/g, " ");
  return [
    `${file}:${line}:${column}: ${severity}: ${what}`,
    `  ${number} | ${excerpt}`,
    `  ${gutter} | ${indent}${"^".repeat(length)}`,
    `  ${gutter} = ${advice}`,
  ].join("\n");
}
