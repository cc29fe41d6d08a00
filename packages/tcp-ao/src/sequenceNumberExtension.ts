import { TcpAoUsageError } from "./errors.ts";

const HALF = 0x80000000;

interface SneState {
  /** RCV_SNE: the extension that belongs to the highest sequence number seen. */
  readonly sne: number;
  /** RCV_SNE_FLAG: set from a roll-over until the first half of the number space is left. */
  readonly hasRolledOver: boolean;
  /** RCV_PREV_SEQ: the highest sequence number seen. */
  readonly previousSequenceNumber: number;
}

/**
 * The upper 32 bits of a 64-bit sequence number, inferred from the lower 32 (RFC 9187 section 5; RFC 5925
 * section 6.2). One per direction. It starts at the connection's ISN, which both ends know (RFC 9187 section 2).
 *
 * `peek` changes nothing: a segment moves the window only through `accept`, after its MAC was found valid.
 */
export class SequenceNumberExtension {
  #state: SneState;

  constructor(initialSequenceNumber = 0) {
    assertSequenceNumber(initialSequenceNumber);
    this.#state = {
      sne: 0,
      hasRolledOver: initialSequenceNumber < HALF,
      previousSequenceNumber: initialSequenceNumber,
    };
  }

  /** The SNE of a segment with this sequence number; no state changes. */
  peek(sequenceNumber: number): number {
    return computeSne(this.#state, sequenceNumber).sne;
  }

  /** The SNE of a segment with this sequence number; remembers that the segment was seen. */
  accept(sequenceNumber: number): number {
    const computed = computeSne(this.#state, sequenceNumber);
    this.#state = computed.next;
    return computed.sne;
  }
}

/** compute_sne(), RFC 9187 section 5. */
function computeSne(state: SneState, sequenceNumber: number): { readonly sne: number; readonly next: SneState } {
  assertSequenceNumber(sequenceNumber);
  const { sne, previousSequenceNumber: previous } = state;
  if (Math.abs(sequenceNumber - previous) < HALF) {
    // the same range: leaving the first half re-arms the roll-over
    const isPastTheMiddle = sequenceNumber >= HALF && previous < HALF;
    const next = {
      sne,
      hasRolledOver: isPastTheMiddle ? false : state.hasRolledOver,
      previousSequenceNumber: Math.max(sequenceNumber, previous),
    };
    return { sne, next };
  }
  // backward over zero: the value from before the roll-over
  if (sequenceNumber >= HALF) return { sne: (sne - 1) >>> 0, next: state };
  // forward over zero: counted once
  const rolled = state.hasRolledOver ? sne : (sne + 1) >>> 0;
  return { sne: rolled, next: { sne: rolled, hasRolledOver: true, previousSequenceNumber: sequenceNumber } };
}

function assertSequenceNumber(value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new TcpAoUsageError("badSequenceNumber", `a sequence number is an unsigned 32-bit integer, not ${value}`);
  }
}
