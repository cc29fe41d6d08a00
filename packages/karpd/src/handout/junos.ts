import { chainName, coversAll, type Form, heading, requireWholeMinutes, utc, wordFor } from "./form.ts";

const algorithms = { "aes-128-cmac-96": "aes-128-cmac-96", "hmac-sha-1-96": "hmac-sha-1-96" } as const;

/**
 * Junos: a key chain of algorithm `ao`. A key ends when the next one starts; its clock zone is said in the time. From
 * Juniper's statement "authentication-key-chains (TCP-AO)" and "Configure a Keychain (TCP-AO)"; the level `ao-attribute`
 * and the zone behind the time from "JuniperNetworks.md" and "Arista EOS.md" of TCP-AO/Configuration-examples.
 */
export function formatJunos(form: Form): string {
  requireWholeMinutes(form, "Junos");
  const name = chainName(form);
  const options = coversAll(form) ? "enabled" : "disabled";
  const keys = form.keys.map((key) => {
    const { date, time } = utc(key.sendFrom);
    const start = `"${date}.${time.slice(0, 5)}:00 +0000"`;
    const prefix = `set security authentication-key-chains key-chain ${name} key ${key.recvId}`;
    return [
      `${prefix} secret "${key.secret}"`,
      `${prefix} start-time ${start}`,
      `${prefix} algorithm ao`,
      `${prefix} ao-attribute send-id ${key.sendId}`,
      `${prefix} ao-attribute recv-id ${key.recvId}`,
      `${prefix} ao-attribute cryptographic-algorithm ${wordFor(key, algorithms, "Junos")}`,
      `${prefix} ao-attribute tcp-ao-option ${options}`,
    ].join("\n");
  });
  return `${heading(form, "#", [])}${keys.join("\n")}
# in the group of the neighbor:
# set protocols bgp group GROUP neighbor ${form.neighbourAddress} authentication-algorithm ao
# set protocols bgp group GROUP neighbor ${form.neighbourAddress} authentication-key-chain ${name}
`;
}
