import { chown, readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { isAbsolute } from "node:path";
import { parseIdentity } from "@karp/ikev2";
import { type InitialValues, initialConfiguration } from "../config/initialConfiguration.ts";
import { writeNewFile } from "./commands.ts";
import { CommandFailure } from "./text.ts";

const BIRD_FOLDER = "/var/lib/karp/bird";
const EMPTY_INCLUDE =
  "# Written by karp: the keys of one session come here. BIRD includes this file: never remove it while it does.\n";

/** `karp init`: a configuration in mode observe and the empty file that BIRD includes. What exists is never touched. */
export async function init(
  options: InitialValues & { readonly config: string; readonly include?: string; readonly groupFile?: string },
): Promise<string> {
  const { config, ...values } = options;
  const { session = "r2", include } = values;
  refuse(options);
  if (!(await writeNewFile(config, initialConfiguration(values), 0o644))) {
    throw new CommandFailure(`${config} exists and stays as it is; edit it, or name another file with --config`);
  }
  const includeFile = include ?? `${BIRD_FOLDER}/${session}.conf`;
  const made = await writeNewFile(includeFile, EMPTY_INCLUDE, 0o640);
  const group = made ? await giveToBird(includeFile, options.groupFile) : "";
  return `wrote ${config} (mode observe: karp will negotiate and roll keys, and touch nothing)
${made ? "wrote" : "kept "} ${includeFile}${group}

Next:
  1. put the certificate, its key and the authority where ${config} names them;
     the key belongs to the user that karp runs as, mode 0600
  2. in bird.conf, inside \`protocol bgp ${session} { ... }\` and alone on its line:
         include "${includeFile}";
     then \`birdc configure\` (the file is empty: nothing changes)
  3. karp check
  4. karp run, here and on the other router; then karp show rollovers`;
}

/** BIRD reads its include files as its own user: in a group that the file has to have. Says what is left to do. */
async function giveToBird(path: string, groupFile = "/etc/group"): Promise<string> {
  const groups = await readFile(groupFile, "utf8").catch(() => "");
  const gid = /^bird:[^:]*:(\d+):/m.exec(groups)?.[1];
  if (gid === undefined) return " (there is no group bird here: let the group that BIRD runs in read it)";
  const { uid } = await stat(path);
  return await chown(path, uid, Number(gid)).then(
    () => " (group bird)",
    () => ` (BIRD may not read it yet: chgrp bird ${path})`,
  );
}

/** What was said has to fit before anything is written. */
function refuse({ router, session, local, remote, peer, include }: InitialValues): void {
  const faults = [
    session !== undefined &&
      !/^[a-z0-9._-]{1,63}$/.test(session) &&
      `--session ${session}: write 1 to 63 of a-z, 0-9, dot, dash, underscore`,
    local !== undefined && isIP(local) === 0 && `--local ${local}: write an IP address such as 10.0.0.1`,
    remote !== undefined && isIP(remote) === 0 && `--remote ${remote}: write an IP address such as 10.0.0.2`,
    router !== undefined &&
      parseIdentity(router) === undefined &&
      `--router ${router}: write a name such as r1.example.net`,
    peer !== undefined && parseIdentity(peer) === undefined && `--peer ${peer}: write a name such as r2.example.net`,
    include !== undefined && !isAbsolute(include) && `--include ${include}: write an absolute path`,
  ].filter((fault) => fault !== false);
  if (faults.length > 0) throw new CommandFailure(`nothing was written\n  ${faults.join("\n  ")}`);
}
