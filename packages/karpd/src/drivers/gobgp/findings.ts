import type { SessionConfiguration } from "../../core/configuration.ts";
import type { DriverFinding } from "../../ports/routingDriver.ts";

/** What an operator should know; `neighbor` is the JSON of `gobgp -j neighbor ADDRESS`, with its secrets. */
export function findingsOf(session: SessionConfiguration, version: string, neighbor: string): readonly DriverFinding[] {
  const name = `GoBGP ${/version (\d[\w.]*)/.exec(version)?.[1] ?? "of unknown version"}`;
  const found: DriverFinding[] = [];
  const conf = words(parse(neighbor), ["conf", "state"]);
  const transport = words(parse(neighbor), ["transport"]);
  if (conf.some((one) => isSet(one, "auth_password") || isSet(one, "authPassword"))) {
    const text = `GoBGP has an auth-password (MD5) for ${session.remoteAddress}, and the kernel takes no TCP-AO key beside it: take it out when both ends are ready (the session restarts)`;
    found.push({ severity: "error", text });
  }
  if (!transport.some((one) => isSet(one, "passive_mode") || isSet(one, "passiveMode"))) {
    const text = `GoBGP may open the connection with ${session.remoteAddress} itself, unsigned, which a keyed neighbour refuses: start gobgpd with \`karp wrap\`, or set passive-mode and let the neighbour connect`;
    found.push({ severity: "warning", text });
  }
  if (found.every(({ severity }) => severity !== "error")) {
    found.push({ severity: "ok", text: `${name} is keyed from outside: it never sees a key` });
  }
  return found;
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value[0] : value;
  } catch {
    return undefined;
  }
}

function words(value: unknown, names: readonly string[]): readonly object[] {
  const parts = names.map((name): unknown =>
    typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined,
  );
  return parts.filter((part): part is object => typeof part === "object" && part !== null);
}

function isSet(part: object, name: string): boolean {
  const value: unknown = Reflect.get(part, name);
  return value !== undefined && value !== "" && value !== false;
}
