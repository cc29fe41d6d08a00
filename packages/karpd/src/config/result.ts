/** What is wrong with a piece of text and what to write instead; both are sentences without the full stop. */
export interface Complaint {
  readonly what: string;
  readonly advice: string;
}

export type Parsed<T> = { readonly ok: true; readonly value: T } | ({ readonly ok: false } & Complaint);

export function parsed<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function refused(what: string, advice: string): { readonly ok: false } & Complaint {
  return { ok: false, what, advice };
}
