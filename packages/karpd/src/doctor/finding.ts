import type { DriverFinding } from "../ports/routingDriver.ts";

/** One line of the doctor's: what was found, and what to do about it. */
export interface DoctorFinding extends DriverFinding {
  /** What it is about: "kernel", "path", "clock". */
  readonly about: string;
  /** An order to the reader, "nothing to do" where all is well. */
  readonly todo: string;
}

/** Lines about one thing: each that is not well needs what to do. */
export function linesAbout(about: string): {
  ok(text: string, todo?: string): DoctorFinding;
  warning(text: string, todo: string): DoctorFinding;
  error(text: string, todo: string): DoctorFinding;
} {
  return {
    ok: (text, todo = "nothing to do") => ({ severity: "ok", about, text, todo }),
    warning: (text, todo) => ({ severity: "warning", about, text, todo }),
    error: (text, todo) => ({ severity: "error", about, text, todo }),
  };
}
