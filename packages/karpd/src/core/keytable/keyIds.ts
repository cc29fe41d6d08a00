const KEY_ID_COUNT = 256;

/**
 * The KeyIDs of one scope: the SendIDs towards one IKE peer identity, or the RecvIDs of one (VRF, peer address).
 * An id is taken by one owner at a time; a freed one goes to the end of the queue (least recently retired first).
 */
export class KeyIdSpace<Owner> {
  readonly #owners = new Map<number, Owner>();
  /** Insertion order is the order of retirement. */
  readonly #retired = new Set<number>();
  #newest = 0;

  get size(): number {
    return this.#owners.size;
  }

  owner(keyId: number): Owner | undefined {
    return this.#owners.get(keyId);
  }

  take(keyId: number, owner: Owner): void {
    this.#owners.set(keyId, owner);
    this.#newest = keyId;
  }

  /** Frees the id, if it is this owner's. */
  release(keyId: number, owner: Owner): void {
    if (this.#owners.get(keyId) !== owner) return;
    this.#owners.delete(keyId);
    this.#retired.delete(keyId);
    this.#retired.add(keyId);
  }

  taken(): Iterable<number> {
    return this.#owners.keys();
  }

  /**
   * A free id: one that was never used, counted on from the newest (after a restart that is what keeps an id from coming
   * back early), else the least recently retired. Undefined when none is left (RFC 5925 section 3.1: all of 0-255 are legal).
   */
  choose(isExcluded: (keyId: number) => boolean): number | undefined {
    for (let step = 1; step <= KEY_ID_COUNT; step++) {
      const keyId = (this.#newest + step) % KEY_ID_COUNT;
      if (!this.#owners.has(keyId) && !this.#retired.has(keyId) && !isExcluded(keyId)) return keyId;
    }
    for (const keyId of this.#retired) {
      if (!this.#owners.has(keyId) && !isExcluded(keyId)) return keyId;
    }
    return undefined;
  }
}
