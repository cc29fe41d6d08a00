import type { UdpAddress } from "@karp/ikev2";
import { ListenError, UdpTransport } from "@karp/ikev2/node";
import type { DaemonSettings } from "../config/settings.ts";
import { ControlClient, ControlError } from "../control/client.ts";
import type { Finding } from "./findings.ts";

/**
 * Whether IKE can be received where the configuration says: each address is bound for a moment, by whoever asks, and
 * those that the running daemon holds already are left alone.
 */
export async function examineListening(settings: DaemonSettings, socket?: string): Promise<readonly Finding[]> {
  const held = await heldByDaemon(socket ?? settings.control.socketPath);
  const findings: Finding[] = [];
  for (const place of settings.listen) {
    const { code, message } = (await attempt(place)) ?? {};
    if (code === undefined || message === undefined) continue;
    // Who may not ask the daemon cannot tell its ports from another program's
    if (code === "EADDRINUSE" && (held === "unknown" || held.includes(nameOf(place)))) continue;
    findings.push({ severity: code === "EACCES" ? "warning" : "error", about: "listen", text: inWords(code, message) });
  }
  if (findings.length > 0 || settings.listen.length === 0) return findings;
  return [{ severity: "ok", about: "listen", text: `IKE on UDP ${settings.listen.map(nameOf).join(", ")}` }];
}

/** Whoever checks is seldom the user that karp runs as: only the latter needs the privilege. */
function inWords(code: string, message: string): string {
  if (code === "EADDRINUSE") return `${message} (or is it systemd, with karp.socket, while karp does not run?)`;
  if (code !== "EACCES") return message;
  return `${message}: its user needs CAP_NET_BIND_SERVICE or sockets that are handed over; the user of this command has neither`;
}

async function attempt(place: UdpAddress): Promise<ListenError | undefined> {
  const transport = new UdpTransport(
    () => undefined,
    () => undefined,
  );
  try {
    await transport.listen([place]);
    return undefined;
  } catch (error) {
    if (error instanceof ListenError) return error;
    throw error;
  } finally {
    transport.close();
  }
}

async function heldByDaemon(socket: string): Promise<readonly string[] | "unknown"> {
  try {
    const { listening } = (await new ControlClient(socket).get("/v1/status")) as { readonly listening?: string[] };
    return listening ?? [];
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    return error.code === "notRunning" ? [] : "unknown";
  }
}

function nameOf({ address, port }: UdpAddress): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
