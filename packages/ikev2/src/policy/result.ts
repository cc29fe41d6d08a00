/** A value, or an expected negative answer with its reason. */
export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E };

export interface NegotiationFailure {
  /** `noProposalChosen`: nothing in the offer suits us. `invalidAnswer`: the answer is not within our offer. */
  readonly reason: "noProposalChosen" | "invalidAnswer";
  /** A sentence for people; no secrets. */
  readonly detail: string;
}
