import { equalBytes } from "../bytes/bytes.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { IkeSa } from "./ikeSa.ts";

/** All IKE SAs by the SPI that we chose, and those that we respond to by what began them. */
export class IkeSaTable {
  readonly #bySpi = new Map<bigint, IkeSa>();
  readonly #bySaInit = new Map<bigint, IkeSa>();
  readonly #unauthenticated = new Set<IkeSa>();
  /** How many of those there are from each address. */
  readonly #unauthenticatedFrom = new Map<string, number>();

  get size(): number {
    return this.#bySpi.size;
  }

  /** IKE SAs that somebody began with us and nobody has authenticated yet. */
  get halfOpen(): number {
    return this.#unauthenticated.size;
  }

  halfOpenFrom(remoteAddress: string): number {
    return this.#unauthenticatedFrom.get(remoteAddress) ?? 0;
  }

  all(): Iterable<IkeSa> {
    return this.#bySpi.values();
  }

  find(localSpi: bigint): IkeSa | undefined {
    return this.#bySpi.get(localSpi);
  }

  add(sa: IkeSa): void {
    this.#bySpi.set(sa.localSpi, sa);
  }

  /** RFC 7296 section 2.1: repeated IKE_SA_INIT requests are known by SPI and nonce, not by address. */
  addHalfOpen(sa: IkeSa, ni: Uint8Array): void {
    this.add(sa);
    sa.saInitNonce = ni;
    this.#bySaInit.set(saInitKey(sa.initiatorSpi, ni), sa);
    this.#unauthenticated.add(sa);
    this.#unauthenticatedFrom.set(sa.remote.address, this.halfOpenFrom(sa.remote.address) + 1);
  }

  findBySaInit(initiatorSpi: bigint, ni: Uint8Array): IkeSa | undefined {
    const sa = this.#bySaInit.get(saInitKey(initiatorSpi, ni));
    return sa?.saInitNonce !== undefined && equalBytes(sa.saInitNonce, ni) ? sa : undefined;
  }

  authenticated(sa: IkeSa): void {
    if (!this.#unauthenticated.delete(sa)) return;
    const { address } = sa.remote;
    const rest = this.halfOpenFrom(address) - 1;
    if (rest > 0) this.#unauthenticatedFrom.set(address, rest);
    else this.#unauthenticatedFrom.delete(address);
  }

  remove(sa: IkeSa): void {
    this.#bySpi.delete(sa.localSpi);
    this.authenticated(sa);
    if (sa.saInitNonce === undefined) return;
    const key = saInitKey(sa.initiatorSpi, sa.saInitNonce);
    if (this.#bySaInit.get(key) === sa) this.#bySaInit.delete(key);
  }

  /** RFC 7296 section 2.6: unique, and never zero. */
  freshSpi(crypto: CryptoProvider): bigint {
    for (;;) {
      const octets = crypto.random(8);
      const spi = new DataView(octets.buffer, octets.byteOffset, 8).getBigUint64(0);
      if (spi !== 0n && !this.#bySpi.has(spi)) return spi;
    }
  }
}

/**
 * The initiator's SPI and the first eight octets of its nonce, which has sixteen at least (RFC 7296 section 2.10): a key
 * that costs little. Who makes two nonces with one beginning is found out when the whole nonce is compared.
 */
function saInitKey(initiatorSpi: bigint, ni: Uint8Array): bigint {
  return (initiatorSpi << 64n) | new DataView(ni.buffer, ni.byteOffset, 8).getBigUint64(0);
}
