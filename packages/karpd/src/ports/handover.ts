import type { SessionConfiguration } from "../core/configuration.ts";
import type { ReleaseOutcome } from "./routingDriver.ts";

/**
 * How one kind of routing daemon is handed over between people and karp, by a command that a person runs: it works
 * without the running karp, and may change what people wrote, since they ask for it.
 */
export interface Handover {
  /** Leaves the session's keys to people (see RoutingDriver.release). Never rejects. */
  release(session: SessionConfiguration, at: string): Promise<ReleaseOutcome>;
  /** How the session is protected, and what has to change for karp to key it. Changes nothing. */
  survey(session: SessionConfiguration): Promise<Survey>;
  /**
   * Makes the changes of the survey and puts them into effect, or leaves that to a person: then the next survey shows when
   * it is done. @throws HandoverFailure: then nothing is changed
   */
  takeOver(session: SessionConfiguration): Promise<void>;
  /** All that `takeOver` and the driver may change, as it is now: for the way back. */
  remember(session: SessionConfiguration): Promise<Undo>;
  /** All is done, or back: what `takeOver` kept for a way back by hand, should the command be killed, goes. Never rejects. */
  settle?(session: SessionConfiguration): Promise<void>;
}

export interface Survey {
  /** `static`: TCP-AO with keys that people wrote. `karp`: its own keys are in place. */
  readonly protection: "none" | "md5" | "static" | "karp";
  /** What is there now, in a sentence. */
  readonly now: string;
  /** Changes of the daemon's own configuration, one sentence each, with the place: file and line, or command. */
  readonly changes: readonly string[];
  /** What stands in the way of the session with karp's key, and is nobody's business but people's. */
  readonly warnings: readonly string[];
  /** KeyIDs of people's keys: karp must not choose them. */
  readonly staticKeyIds: readonly number[];
  /** karp's keys are where the daemon will read them. */
  readonly isPrepared: boolean;
  /** The session is up, whatever protects it. */
  readonly isUp: boolean;
  /** What a person may clean up afterwards. */
  readonly leftOver: readonly string[];
}

/** Puts back what was there, and has the daemon read it. @throws HandoverFailure */
export type Undo = () => Promise<void>;

/** It cannot be done; a sentence that says what to do. */
export class HandoverFailure extends Error {
  override readonly name = "HandoverFailure";
}
