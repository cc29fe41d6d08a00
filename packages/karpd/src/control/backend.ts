import type { DaemonEvent } from "../core/events.ts";
import type { Command, CommandReply } from "../core/machine.ts";
import type { DaemonViews } from "../core/views.ts";

/** What the control interface needs of the running daemon. */
export interface ControlBackend {
  status(): DaemonStatus;
  views(): DaemonViews;
  /** The newest events, oldest first. */
  events(limit: number): readonly NumberedEvent[];
  /** Calls back for each new event until the returned function is called. */
  subscribe(listener: (event: NumberedEvent) => void): () => void;
  command(command: Command): Promise<CommandReply>;
  /** Reads the configuration again; nothing changes unless all of it is right. */
  reload(): Promise<ReloadReply>;
  /** What `reload` would change; changes nothing. */
  pendingChanges(): Promise<ReloadReply>;
  /** Facts that a driver counts beyond what it observes (the endpoint driver's segments), by session. */
  driverStatistics(): Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** An event with its place in the stream: `id` only grows while the daemon runs. */
export interface NumberedEvent extends DaemonEvent {
  readonly id: number;
}

export interface DaemonStatus {
  readonly router: string;
  readonly version: string;
  readonly pid: number;
  /** RFC 3339 UTC. */
  readonly startedAt: string;
  readonly configurationFile: string;
  readonly listening: readonly string[];
  /** Paths with a NAT, as the last IKE_SA_INIT with each peer has shown it: TCP-AO will not work there. */
  readonly natSeen: readonly { readonly at: string; readonly remote: string; readonly detail: string }[];
}

export type ReloadReply =
  | { readonly ok: true; readonly text: string; readonly changes: readonly string[] }
  | { readonly ok: false; readonly text: string };
