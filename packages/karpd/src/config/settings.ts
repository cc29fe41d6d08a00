import type { UdpAddress } from "@karp/ikev2";
import type { TSchema } from "typebox";
import type { Configuration, SessionConfiguration } from "../core/configuration.ts";
import type { MktAlgorithm } from "../core/keytable/row.ts";
import type { Claim } from "../ports/claim.ts";
import type { ConfigProblem } from "./problem.ts";

/** What the runtime needs to know of the configuration file and the cores do not. */
export interface DaemonSettings {
  /** Where to listen for IKE: one UDP socket each; never a wildcard address. */
  readonly listen: readonly UdpAddress[];
  readonly store: StoreSettings;
  readonly control: { readonly socketPath: string };
  readonly keyer: { readonly socketPath: string };
  /** Trust anchors, DER; empty when no session relies on certificates. */
  readonly trustAnchors: readonly Uint8Array[];
}

export interface StoreSettings {
  readonly path: string;
  /** File of the key-encryption key, already resolved (a systemd credential is a path like any other). */
  readonly keyEncryptionKeyPath: string;
  /** True for a systemd credential: it is never created by karp. */
  readonly keyEncryptionKeyIsCredential: boolean;
}

/** Settings schema (a TypeBox object) of each driver by the driver's name. */
export type DriverSchemas = Readonly<Record<string, TSchema>>;

/** What a kind of driver can put into its routing daemon; what it cannot is refused before a peer hears of it. */
export interface DriverAbilities {
  readonly algorithms: readonly MktAlgorithm[];
  readonly tcpOptions: readonly ("covered" | "omitted")[];
  /** Absent: sessions of this driver have nothing that they could take from one another. */
  claims?(session: SessionConfiguration): readonly Claim[];
}

export interface LoadOptions {
  readonly driverSchemas: DriverSchemas;
  /** By the driver's name; one that is not named here can do everything. */
  readonly driverAbilities?: Readonly<Record<string, DriverAbilities>>;
  /** Wall clock for "expired"; the moment of the call when absent. */
  readonly nowMilliseconds?: number;
  /** For `systemd:` names and nothing else; process.env when absent. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export type LoadResult =
  | {
      readonly ok: true;
      readonly configuration: Configuration;
      readonly daemon: DaemonSettings;
      /** Every file that was read, the YAML first: what a reload has to watch. */
      readonly files: readonly string[];
      readonly warnings: readonly ConfigProblem[];
    }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };
