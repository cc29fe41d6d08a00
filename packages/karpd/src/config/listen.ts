import type { UdpAddress } from "@karp/ikev2";
import type { Report } from "./report.ts";
import type { FileWords } from "./schema.ts";
import type { SessionLayers } from "./sessions.ts";
import { ikePort, type Listen, natTraversalPort, parseHost, parseListen } from "./words.ts";

/** Where to listen, and from which of these addresses each peer is talked to. */
export class ListenPlan {
  readonly #places: readonly Listen[];
  readonly #report: Report;
  readonly #used = new Map<string, UdpAddress>();

  constructor(file: FileWords, report: Report) {
    // A peer that finds a NAT, or does as MOBIKE does, goes on at port 4500 (RFC 7296 section 2.23): it has to be open.
    const texts = file.listen === undefined ? [String(ikePort), String(natTraversalPort)] : [file.listen].flat();
    this.#places = texts.flatMap((text) => {
      const place = parseListen(text);
      return place.ok ? [place.value] : [];
    });
    this.#report = report;
    this.#refuseRepeated(texts.length);
  }

  /** All sockets to open: the addresses named, and those of the sessions. */
  get addresses(): readonly UdpAddress[] {
    const named = this.#places.flatMap(({ address, port }) => (address === undefined ? [] : [{ address, port }]));
    const all = new Map([...named, ...this.#used.values()].map((place) => [`${place.address} ${place.port}`, place]));
    return [...all.values()];
  }

  /**
   * The session's `local`, or else the only place of its family; undefined when the report has been told. In a VRF,
   * where karp's own packets do not go, `local` is no place: then that of the peer's other sessions will do.
   */
  localFor(layers: SessionLayers, ofOtherSessions: UdpAddress | undefined): UdpAddress | undefined {
    const local = parseHost(layers.session.local);
    if (!local.ok) return undefined;
    const vrf = layers.pick("vrf");
    if (vrf !== undefined) return this.#named(local.value) ?? ofOtherSessions ?? this.#refuseVrf(layers, vrf);
    const place = this.#placeFor(local.value);
    if (place === undefined) {
      const what = `karp does not listen on ${local.value}, the session's \`local\``;
      this.#report.add("notListening", ["listen"], what, `add ${local.value} to \`listen\``);
      return undefined;
    }
    for (const used of [place, ...this.#elsewhere(local.value)]) this.#used.set(`${used.address} ${used.port}`, used);
    return place;
  }

  /** A port alone is opened on each session's `local`. */
  #elsewhere(local: string): readonly UdpAddress[] {
    return this.#places.flatMap(({ address, port }) => (address === undefined ? [{ address: local, port }] : []));
  }

  #placeFor(local: string): UdpAddress | undefined {
    const exact = this.#places.find(({ address }) => address === local);
    if (exact !== undefined) return { address: local, port: exact.port };
    const anywhere = this.#places.find(({ address }) => address === undefined);
    return anywhere === undefined ? this.#named(local) : { address: local, port: anywhere.port };
  }

  #refuseVrf({ session, path }: SessionLayers, vrf: string): undefined {
    const what = `${session.local} is in VRF ${vrf}, and karp's own packets take the default VRF`;
    const advice = "name our address there in `listen`, and the peer's in `peer-address`";
    this.#report.add("notListening", [...path, "vrf"], what, advice);
  }

  /** The only address of this family that `listen` names. */
  #named(local: string): UdpAddress | undefined {
    const family = this.#places.filter(({ address }) => address?.includes(":") === local.includes(":"));
    const [only] = family;
    return family.length === 1 && only?.address !== undefined ? { address: only.address, port: only.port } : undefined;
  }

  #refuseRepeated(count: number): void {
    const seen = new Set<string>();
    for (const [index, { address = "each session's `local`", port }] of this.#places.entries()) {
      const key = `${address} ${port}`;
      const path = count === 1 ? ["listen"] : ["listen", index];
      if (seen.has(key))
        this.#report.add("duplicateValue", path, `port ${port} of ${address} stands here twice`, "keep one of the two");
      seen.add(key);
    }
  }
}
