import { equalIdentities, formatIdentity, type Identity } from "@karp/ikev2";
import type { TSchema } from "typebox";
import type { SessionConfiguration } from "../core/configuration.ts";
import type { MktAlgorithm } from "../core/keytable/row.ts";
import { checkRest } from "./checkTree.ts";
import { nearest } from "./didYouMean.ts";
import type { Report } from "./report.ts";
import { rolloverOf } from "./rollover.ts";
import { type FileWords, protocolPorts, type SessionWords, type SharedWords } from "./schema.ts";
import type { DriverAbilities, DriverSchemas } from "./settings.ts";
import { soloOf } from "./solo.ts";
import type { Path } from "./tree.ts";
import { parseHost, parseKeyIds, parsePeer } from "./words.ts";

/** The words of one session with those of `defaults:` behind them. */
export class SessionLayers {
  readonly name: string;
  readonly session: SessionWords;
  readonly #defaults: SharedWords;

  /** True when some of the session's words were left out for errors: what is missing then is no news. */
  readonly hasErrors: boolean;

  constructor(name: string, file: FileWords, report: Report) {
    this.name = name;
    const path = ["sessions", name];
    const usable = Object.entries(file.sessions[name] ?? {}).filter(([word]) => !report.hasErrorUnder([...path, word]));
    this.session = { local: "", remote: "", peer: "", ...Object.fromEntries(usable) };
    this.hasErrors = report.hasErrorUnder(path);
    this.#defaults = file.defaults ?? {};
  }

  get path(): Path {
    return ["sessions", this.name];
  }

  pick<W extends keyof SharedWords>(word: W): SharedWords[W] | undefined {
    return this.session[word] ?? this.#defaults[word];
  }

  /** Where the value that counts stands. */
  pathOf(word: string): Path {
    const isDefault = Reflect.get(this.session, word) === undefined && Reflect.get(this.#defaults, word) !== undefined;
    return isDefault ? ["defaults", word] : [...this.path, word];
  }

  /** A driver's words, those of the session first. */
  driverSettings(driver: string): Readonly<Record<string, unknown>> {
    return { ...objectOf(this.#defaults, driver), ...objectOf(this.session, driver) };
  }
}

export interface SessionContext {
  readonly drivers: DriverSchemas;
  readonly abilities: Readonly<Record<string, DriverAbilities>>;
  /** Undefined when `router` does not read. */
  readonly router: Identity | undefined;
  readonly report: Report;
}

/** The session as the cores take it; undefined when something is wrong with it (and said). */
export function sessionOf(
  layers: SessionLayers,
  file: FileWords,
  context: SessionContext,
): SessionConfiguration | undefined {
  const { report } = context;
  const driver = driverOf(layers, context.drivers, report);
  const { session } = layers;
  const [local, remote, peer] = [parseHost(session.local), parseHost(session.remote), parsePeer(session.peer)];
  if (local.ok && remote.ok) checkAddresses(layers, local.value, remote.value, report);
  const solo = soloOf(layers, report);
  if (peer.ok && peer.value !== undefined) refuseOwnIdentity(layers, peer.value, context);
  const rollover = rolloverOf(
    [
      { words: session.rollover, path: [...layers.path, "rollover"] },
      { words: file.rollover, path: ["rollover"] },
    ],
    report,
  );
  if (driver !== undefined) checkAbilities(layers, driver, context);
  if (driver === undefined || !local.ok || !remote.ok || !peer.ok) return undefined;
  const protocol = layers.pick("protocol") ?? "bgp";
  const vrf = layers.pick("vrf");
  return {
    name: layers.name,
    protocol,
    port: session.port ?? protocolPorts[protocol] ?? 179,
    driver,
    driverSettings: layers.driverSettings(driver),
    localAddress: local.value,
    remoteAddress: remote.value,
    ...(vrf === undefined ? {} : { vrf }),
    peer: peer.value === undefined ? "none" : formatIdentity(peer.value),
    ...(solo === undefined ? {} : { solo }),
    ...keyingOf(layers, context.abilities[driver]?.algorithms ?? everyAlgorithm),
    rollover,
  };
}

/** In the order in which they are offered. */
const everyAlgorithm: readonly MktAlgorithm[] = ["aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha-256-128"];

/** How it is keyed, with the defaults: `possible` are the algorithms that the driver can do, all of which are offered. */
function keyingOf(
  layers: SessionLayers,
  possible: readonly MktAlgorithm[],
): Pick<
  SessionConfiguration,
  "mode" | "start" | "algorithms" | "tcpOptions" | "pfs" | "reservedKeyIds" | "keyReaders" | "onExpiry"
> {
  return {
    mode: layers.pick("mode") ?? "observe",
    start: layers.pick("start") ?? "always",
    algorithms: layers.pick("algorithms") ?? everyAlgorithm.filter((algorithm) => possible.includes(algorithm)),
    tcpOptions: layers.pick("tcp-options") ?? ["covered"],
    pfs: layers.pick("pfs") ?? true,
    reservedKeyIds: keyIdsOf(layers.pick("reserved-key-ids") ?? []),
    keyReaders: layers.pick("key-readers") ?? [],
    onExpiry: layers.pick("on-expiry") ?? "keep-and-alarm",
  };
}

function refuseOwnIdentity(layers: SessionLayers, peer: Identity, { router, report }: SessionContext): void {
  if (router === undefined || !equalIdentities(peer, router)) return;
  const what = "`peer` is this router's own identity";
  report.add(
    "ownIdentity",
    [...layers.path, "peer"],
    what,
    "write the neighbour's name: nobody else may key the session",
  );
}

/** A key that the routing daemon cannot take must not be negotiated: every word of the list has to be in its power. */
function checkAbilities(layers: SessionLayers, driver: string, { abilities, report }: SessionContext): void {
  const able = Object.hasOwn(abilities, driver) ? abilities[driver] : undefined;
  if (able === undefined) return;
  const lists = [
    { word: "algorithms", wanted: layers.pick("algorithms") ?? [], possible: able.algorithms as readonly string[] },
    { word: "tcp-options", wanted: layers.pick("tcp-options") ?? [], possible: able.tcpOptions as readonly string[] },
  ] as const;
  for (const { word, wanted, possible } of lists) {
    for (const choice of wanted.filter((one) => !possible.includes(one))) {
      const what = `the driver ${driver} cannot do \`${choice}\``;
      report.add("driverCannot", layers.pathOf(word), what, `write one or more of: ${possible.join(", ")}`);
    }
  }
}

/** The driver's name, when there is such a driver and its words are right. */
function driverOf(layers: SessionLayers, drivers: DriverSchemas, report: Report): string | undefined {
  const driver = layers.pick("driver");
  const known = Object.keys(drivers);
  if (driver === undefined) {
    if (layers.hasErrors) return undefined;
    const advice = `add \`driver: …\`, one of: ${known.join(", ")}`;
    report.add("missingWord", layers.path, `nothing says which driver keys \`${layers.name}\``, advice, { aim: "key" });
    return undefined;
  }
  const schema = Object.hasOwn(drivers, driver) ? drivers[driver] : undefined;
  if (schema === undefined) {
    const meant = nearest(driver, known);
    const advice = meant === undefined ? `write one of: ${known.join(", ")}` : `did you mean \`${meant}\`?`;
    report.add("unknownDriver", layers.pathOf("driver"), `there is no driver \`${driver}\``, advice);
    return undefined;
  }
  for (const other of known.filter((name) => name !== driver && Reflect.get(layers.session, name) !== undefined)) {
    const advice = `write \`driver: ${other}\`, or remove the words of ${other}`;
    report.add(
      "otherDriver",
      [...layers.path, other],
      `words of the driver ${other}, but the session's driver is ${driver}`,
      advice,
      { aim: "key" },
    );
  }
  checkSettings(layers, driver, schema, report);
  return driver;
}

function checkSettings(layers: SessionLayers, driver: string, schema: TSchema, report: Report): void {
  const settings = layers.driverSettings(driver);
  const required: unknown = Reflect.get(schema, "required");
  const missing = (Array.isArray(required) ? required.map(String) : []).filter((word) => !(word in settings));
  for (const word of missing) {
    const description = String(Reflect.get(Object(Reflect.get(schema, "properties")?.[word]), "description") ?? "");
    const advice = `add \`${driver}: { ${word}: … }\`. ${description}`.trim();
    report.add("missingWord", [...layers.path, driver], `the driver ${driver} needs \`${word}\``, advice, {
      aim: "key",
    });
  }
  if (missing.length === 0) checkRest(settings, schema, [...layers.path, driver], report);
}

function checkAddresses(layers: SessionLayers, local: string, remote: string, report: Report): void {
  const at = [...layers.path, "remote"];
  if (local === remote) {
    report.add(
      "sameAddress",
      at,
      "`local` and `remote` are the same address",
      "write the neighbour's address as `remote`",
    );
  } else if (local.includes(":") !== remote.includes(":")) {
    const advice = "write two IPv4 or two IPv6 addresses: a session runs over one of the two";
    report.add("mixedFamilies", at, "`local` and `remote` are of different families", advice);
  }
}

function keyIdsOf(texts: readonly string[]): readonly number[] {
  const ids = new Set<number>();
  for (const text of texts) {
    const range = parseKeyIds(text);
    if (!range.ok) continue;
    for (let id = range.value[0]; id <= range.value[1]; id++) ids.add(id);
  }
  return [...ids].sort((a, b) => a - b);
}

function objectOf(words: object, driver: string): object {
  const block: unknown = Reflect.get(words, driver);
  return typeof block === "object" && block !== null ? block : {};
}
