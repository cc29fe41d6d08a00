// Verifying captures with the lab's independent verifier (Python, from the RFCs).
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec } from "./exec.ts";
import type { Lab } from "./lab.ts";

/** A master key tuple as lab/verify/verify_capture.py wants it. */
export interface VerifierMkt {
  readonly name: string;
  readonly algorithm: string;
  readonly keyHex: string;
  readonly tcpOptions: boolean;
  readonly macLength?: number;
  readonly ends: readonly { readonly address: string; readonly sendId: number; readonly recvId: number }[];
}

export interface VerifiedDirection {
  readonly segments: number;
  readonly verified: number;
  readonly failed: number;
  readonly unsigned: number;
  /** In order of first appearance. */
  readonly keyIds: readonly { readonly keyId: number; readonly count: number }[];
  readonly runs: readonly { readonly keyId: number; readonly count: number }[];
  readonly mkts: readonly string[];
}

export interface VerifiedConnection {
  readonly client: string;
  readonly server: string;
  readonly beginningCaptured: boolean;
  readonly established: boolean;
  readonly fromClient: VerifiedDirection;
  readonly fromServer: VerifiedDirection;
}

export interface Verification {
  readonly totals: Readonly<Record<"segments" | "verified" | "failed" | "unsigned" | "malformed", number>>;
  readonly connections: readonly VerifiedConnection[];
  readonly details: readonly { readonly frame: number; readonly segment: string; readonly problem: string }[];
}

/** Runs the verifier; its report stays in `<capture>.verified.json`, the keys in `<capture>.mkts.json`. */
export async function verifyCapture(lab: Lab, capture: string, mkts: readonly VerifierMkt[]): Promise<Verification> {
  const keys = `${capture}.mkts.json`;
  writeFileSync(keys, JSON.stringify({ mkts }, undefined, 1), { mode: 0o600 });
  const program = join(lab.repo, "lab/verify/verify_capture.py");
  const { code, stdout, stderr } = await exec(["python3", "-B", program, capture, keys], { timeoutSeconds: 300 });
  if (code !== 0 && code !== 1) throw new Error(`the verifier ended with ${code}: ${stderr}`);
  writeFileSync(`${capture}.verified.json`, stdout);
  return JSON.parse(readFileSync(`${capture}.verified.json`, "utf8")) as Verification;
}

/** Two ends that connect at once make two connections, and one is closed after the OPENs (RFC 4271 section 6.8): so few segments. */
const COLLISION_SEGMENTS = 20;

/**
 * The connection that carried the session, with the assertions that hold for every capture of a keyed session:
 * one connection carried it, all segments of established ones are signed and verify, and no signed segment anywhere fails.
 */
export function assertSessionVerified(lab: Lab, { connections, totals, details }: Verification): VerifiedConnection {
  const bySize = connections
    .filter(({ established }) => established)
    .sort((one, other) => segmentsOf(other) - segmentsOf(one));
  const [session, ...collided] = bySize;
  if (session === undefined) throw new Error("no connection was established in the capture");
  const others = collided.filter((connection) => segmentsOf(connection) > COLLISION_SEGMENTS);
  lab.equal("capture: connections that carried the session", 1 + others.length, 1);
  const directions = bySize.flatMap(({ fromClient, fromServer }) => [fromClient, fromServer]);
  const isClean = directions.every(({ failed, unsigned }) => failed + unsigned === 0);
  const shown = isClean ? [] : details.slice(0, 10);
  const trouble = shown.map(({ frame, segment, problem }) => `frame ${frame} ${segment}: ${problem}`);
  const counted = session.fromClient.verified + session.fromServer.verified;
  lab.check(
    "capture: every segment of the session is signed and verifies",
    counted > 0 && isClean,
    `${counted} verified${trouble.length > 0 ? `; ${trouble.join("; ")}` : ""}`,
  );
  lab.equal("capture: signed segments that fail, malformed ones", [totals.failed, totals.malformed], [0, 0]);
  return session;
}

/**
 * For sessions that were up without a key first: what the neighbour tried before there was one, the first key has ended. Of
 * one that must be signed from its first SYN everything counts.
 */
export function fromFirstSigned({ connections, ...rest }: Verification): Verification {
  const first = connections.findIndex(({ fromClient, fromServer }) => fromClient.verified + fromServer.verified > 0);
  return { ...rest, connections: connections.slice(Math.max(0, first)) };
}

function segmentsOf({ fromClient, fromServer }: VerifiedConnection): number {
  return fromClient.segments + fromServer.segments;
}

/** What `address` sent in a connection. */
export function sentBy(connection: VerifiedConnection, address: string): VerifiedDirection {
  return connection.client.startsWith(`${address} `) ? connection.fromClient : connection.fromServer;
}
