import type { MktAlgorithm } from "../core/keytable/row.ts";

/** What a neighbour without karp configures, as seen from the neighbour. Instants in milliseconds since 1970, UTC. */
export interface Form {
  /** Our name of the session; the key chain at the neighbour is called `karp-SESSION`. */
  readonly session: string;
  /** Our router's name. */
  readonly router: string;
  readonly protocol: string;
  readonly port: number;
  /** The neighbour's own address, and ours: whom it calls its neighbour. */
  readonly ownAddress: string;
  readonly neighbourAddress: string;
  readonly chain: number;
  /** In the order of their dates. */
  readonly keys: readonly FormKey[];
}

export interface FormKey {
  /** The neighbour's: our RecvID. */
  readonly sendId: number;
  /** The neighbour's: our SendID. */
  readonly recvId: number;
  readonly algorithm: MktAlgorithm;
  readonly coversTcpOptions: boolean;
  /** Printable ASCII, letters and digits only. */
  readonly secret: string;
  readonly sendFrom: number;
  readonly sendUntil: number;
  readonly acceptFrom: number;
  readonly acceptUntil: number;
}

/** One vendor's way to write it. @throws FormatRefused for what that vendor's routers cannot do */
export type Formatter = (form: Form) => string;

/** The neighbour cannot be configured with these keys: a sentence that says what to change. */
export class FormatRefused extends Error {
  override readonly name = "FormatRefused";
}

/** The handout as the control interface gives it. */
export interface HandoutJson {
  readonly session: string;
  readonly protocol: string;
  readonly port: number;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly chain: number;
  readonly keys: readonly (Omit<FormKey, "secret"> & { readonly masterKey: string })[];
}

/** Mirrored: what is ours of KeyIDs and addresses is the other end's there. */
export function formOf(handout: HandoutJson, router: string): Form {
  const { session, protocol, port, localAddress, remoteAddress, chain, keys } = handout;
  return {
    session,
    router,
    protocol,
    port,
    ownAddress: remoteAddress,
    neighbourAddress: localAddress,
    chain,
    keys: keys.map(({ sendId, recvId, masterKey, ...rest }) => ({
      ...rest,
      sendId: recvId,
      recvId: sendId,
      secret: masterKey,
    })),
  };
}

/** The vendor's word for the algorithm. @throws FormatRefused */
export function wordFor(
  { algorithm }: FormKey,
  words: Readonly<Partial<Record<MktAlgorithm, string>>>,
  vendor: string,
): string {
  const word = words[algorithm];
  if (word !== undefined) return word;
  const possible = Object.keys(words).join(" or ");
  throw new FormatRefused(`${vendor} has no ${algorithm}: set \`algorithms\` of the session to ${possible}`);
}

export function chainName({ session }: Form): string {
  return `karp-${session}`;
}

/** Lines of a comment at the top, each behind the vendor's mark. */
export function heading(form: Form, mark: string, notes: readonly string[]): string {
  const { session, router, chain, protocol, ownAddress, neighbourAddress } = form;
  return [
    `keys for ${ownAddress} towards ${neighbourAddress} (${router}, session ${session}, ${protocol}), chain ${chain}`,
    "all times are UTC; this text holds secrets",
    ...notes,
  ]
    .map((line) => `${mark} ${line}\n`)
    .join("");
}

/** 2026-11-21, 08:30:00 and their parts, UTC. */
export function utc(at: number): {
  readonly date: string;
  readonly time: string;
  readonly year: string;
  readonly month: number;
  readonly day: string;
} {
  const [date = "", rest = ""] = new Date(at).toISOString().split("T");
  const [year = "", month = "", day = ""] = date.split("-");
  return { date, time: rest.slice(0, 8), year, month: Number(month), day };
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"] as const;

/** `08:30:00 21 nov 2026`, as routers of Cisco's kind take it. */
export function dayMonthYear(at: number): string {
  const { time, day, month, year } = utc(at);
  return `${time} ${Number(day)} ${months[month - 1]} ${year}`;
}

export function coversAll({ keys }: Form): boolean {
  return keys.every(({ coversTcpOptions }) => coversTcpOptions);
}

/** @throws FormatRefused where a router takes one number for both directions */
export function requireOneKeyId({ keys }: Form, vendor: string): void {
  if (keys.every(({ sendId, recvId }) => sendId === recvId)) return;
  throw new FormatRefused(`${vendor} uses one KeyID for both directions, and these keys have two`);
}

/** @throws FormatRefused where a router's clock shows minutes only */
export function requireWholeMinutes({ keys }: Form, vendor: string): void {
  if (keys.every(({ sendFrom }) => sendFrom % 60_000 === 0)) return;
  throw new FormatRefused(`${vendor} takes whole minutes: write a \`solo: { every: … }\` of whole minutes`);
}
