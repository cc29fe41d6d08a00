import type { Instant, Now } from "@karp/ikev2";

/** A yes, or a no with whoever is waited for. `at`: when to ask again at the latest, if time alone can turn it. */
export type Permission =
  | { readonly isGranted: true }
  | {
      readonly isGranted: false;
      readonly whom: "peer" | "driver" | "store" | "clock" | "operator";
      readonly because: string;
      readonly at?: Instant | undefined;
    };

export interface Facts {
  readonly now: Now;
  /** The driver can observe (DESIGN section 6). */
  readonly observes: boolean;
}

export const granted: Permission = { isGranted: true };

export function refuse(
  whom: Exclude<Permission, { readonly isGranted: true }>["whom"],
  because: string,
  at?: Instant,
): Permission {
  return { isGranted: false, whom, because, at };
}
