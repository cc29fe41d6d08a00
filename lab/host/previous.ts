// The karp before this one, as people install it: the tarball that `npm run build` makes of the last release (tag v*),
// or of the last commit while there is no release; of the working tree where there is no git.
import { existsSync, globSync, mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { run } from "./exec.ts";
import { MissingError } from "./need.ts";

/** Below the output folder, for the guest sees nothing but the working tree; bin/karp.js is in it. */
const FOLDER = "lab/.out/previous";

/** Scenarios that need it find it at {@link previousProgram}. @throws MissingError */
export async function ensurePrevious(repo: string, say: (line: string) => void): Promise<void> {
  const revision = await lastRevision(repo);
  const stamp = join(repo, FOLDER, `made-of-${revision ?? "the-working-tree"}`);
  if (revision !== undefined && existsSync(stamp)) return;
  say(`building the karp of ${revision ?? "the working tree"}`);
  const draft = join(repo, `${FOLDER}.building`);
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  try {
    const source = revision === undefined ? repo : await checkOut(repo, revision, join(draft, "source"));
    await build(source, draft);
  } catch (error) {
    throw new MissingError("karp's tarball could not be built", error instanceof Error ? error.message : String(error));
  }
  const target = join(repo, FOLDER);
  rmSync(target, { recursive: true, force: true });
  renameSync(join(draft, "package"), target);
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(stamp);
}

async function lastRevision(repo: string): Promise<string | undefined> {
  const git = (...words: string[]): Promise<string> => run("git", ["-C", repo, ...words]);
  const tag = git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD");
  const found = await tag.catch(() => git("rev-parse", "HEAD")).catch(() => undefined);
  return found?.trim();
}

async function checkOut(repo: string, revision: string, folder: string): Promise<string> {
  mkdirSync(folder);
  const archive = `${folder}.tar`;
  await run("git", ["-C", repo, "archive", "-o", archive, revision]);
  await run("tar", ["-xf", archive, "-C", folder]);
  // the workspaces' links in node_modules lead to the working tree: the build must find its own packages there
  mkdirSync(join(folder, "node_modules"));
  for (const entry of globSync("node_modules/*", { cwd: repo })) {
    if (!entry.endsWith("/@karp") && !entry.endsWith("/karp")) symlinkSync(join(repo, entry), join(folder, entry));
  }
  symlinkSync(join(repo, "node_modules/.bin"), join(folder, "node_modules/.bin"));
  mkdirSync(join(folder, "node_modules/@karp"));
  for (const name of ["ikev2", "tcp-ao"]) {
    symlinkSync(join(folder, "packages", name), join(folder, "node_modules/@karp", name));
  }
  return folder;
}

async function build(source: string, draft: string): Promise<void> {
  const out = join(source, "dist");
  await run(process.execPath, ["scripts/build.js"], { cwd: source });
  const [tarball] = globSync(join(out, "karp-[0-9]*.tgz"));
  if (tarball === undefined) throw new Error(`scripts/build.js left no dist/karp-*.tgz in ${source}`);
  await run("tar", ["-xf", tarball, "-C", draft]);
}
