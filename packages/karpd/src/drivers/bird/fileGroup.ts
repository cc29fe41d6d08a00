import { readFile } from "node:fs/promises";

/** Who may read the include file beside karp. */
export type FileAccess =
  | { readonly ok: true; readonly mode: number; readonly gid?: number }
  | { readonly ok: false; readonly reason: string };

const OWNER_ONLY = 0o600;
const GROUP_READS = 0o640;

/**
 * Mode and group of the include file. Without a setting: group bird where the system has it, as Debian's package makes
 * it, else the owner alone.
 */
export async function fileAccess(setting: string | undefined, groupFile = "/etc/group"): Promise<FileAccess> {
  if (setting === "none") return { ok: true, mode: OWNER_ONLY };
  const gid = await groupId(setting ?? "bird", groupFile);
  if (gid !== undefined) return { ok: true, mode: GROUP_READS, gid };
  if (setting === undefined) return { ok: true, mode: OWNER_ONLY };
  return { ok: false, reason: `there is no group ${setting}: name in \`group\` the group that BIRD runs in, or none` };
}

async function groupId(name: string, groupFile: string): Promise<number | undefined> {
  if (/^[0-9]+$/.test(name)) return Number(name);
  const text = await readFile(groupFile, "utf8").catch(() => "");
  const entry = text.split("\n").find((line) => line.startsWith(`${name}:`));
  const gid = entry?.split(":")[2];
  return gid !== undefined && /^[0-9]+$/.test(gid) ? Number(gid) : undefined;
}
