import { chainName, coversAll, type Form, FormatRefused, heading, requireOneKeyId, utc, wordFor } from "./form.ts";

const algorithms = { "aes-128-cmac-96": "aes-128-cmac-96", "hmac-sha-1-96": "hmac-sha1-96" } as const;

/**
 * Arista EOS: a shared-secret profile, whose secret ids are SendID and RecvID alike; its MAC covers the options. From
 * "Arista EOS.md" of TCP-AO/Configuration-examples, with the configurations of interoperability tests with Junos (there
 * `show management security session shared-secret profile` has the times in UTC), and from the data model of Arista AVD,
 * which has `local-time` behind the lifetimes for another zone.
 */
export function formatEos(form: Form): string {
  requireOneKeyId(form, "EOS");
  if (!coversAll(form))
    throw new FormatRefused("EOS is not known to leave the TCP options out: set `tcp-options: covered`");
  const name = chainName(form);
  const [first] = form.keys;
  const algorithm = first === undefined ? "" : wordFor(first, algorithms, "EOS");
  const secrets = form.keys.map(
    (key) =>
      `      secret ${key.sendId} 0 ${key.secret} receive-lifetime ${moment(key.acceptFrom)} ${moment(key.acceptUntil)} ` +
      `transmit-lifetime ${moment(key.sendFrom)} ${moment(key.sendUntil)}`,
  );
  return `${heading(form, "!", [
    "lifetimes of a profile are UTC unless it says local-time",
    "needs: service routing protocols model multi-agent",
  ])}management security
   session shared-secret profile ${name}
${secrets.join("\n")}
!
! in router bgp:
! neighbor ${form.neighbourAddress} password shared-secret profile ${name} algorithm ${algorithm}
`;
}

function moment(at: number): string {
  const { date, time } = utc(at);
  return `${date} ${time}`;
}
