import { chainName, coversAll, dayMonthYear, type Form, heading, wordFor } from "./form.ts";

const algorithms = { "aes-128-cmac-96": "aes-128-cmac", "hmac-sha-1-96": "hmac-sha-1" } as const;

/**
 * Cisco IOS XE: a key chain of kind `tcp`. Lifetimes without `local` are UTC; options are left out of the MAC unless told,
 * in the key and at the neighbour. From Cisco's "IP Routing Protocol-Independent Commands" and its TCP-AO and BGP guides;
 * compared with the data model of Network as Code (words of the algorithms) and a laboratory's note of IOS XE 26.1 with
 * IOS XR 7.11.
 */
export function formatIosXe(form: Form): string {
  const name = chainName(form);
  const keys = form.keys.map((key) =>
    [
      ` key ${key.recvId}`,
      `  send-id ${key.sendId}`,
      `  recv-id ${key.recvId}`,
      `  cryptographic-algorithm ${wordFor(key, algorithms, "IOS XE")}`,
      ...(key.coversTcpOptions ? ["  include-tcp-options"] : []),
      `  key-string 0 ${key.secret}`,
      `  send-lifetime ${dayMonthYear(key.sendFrom)} ${dayMonthYear(key.sendUntil)}`,
      `  accept-lifetime ${dayMonthYear(key.acceptFrom)} ${dayMonthYear(key.acceptUntil)}`,
    ].join("\n"),
  );
  const options = coversAll(form) ? " include-tcp-options" : "";
  return `${heading(form, "!", [])}key chain ${name} tcp
${keys.join("\n")}
!
! in router bgp:
! neighbor ${form.neighbourAddress} ao ${name}${options}
`;
}
