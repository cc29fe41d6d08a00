import { chainName, coversAll, dayMonthYear, type Form, heading, wordFor } from "./form.ts";

const algorithms = { "aes-128-cmac-96": "aes-128-cmac", "hmac-sha-1-96": "hmac-sha-1" } as const;

/** Cisco IOS XE: a key chain of kind `tcp`. Lifetimes without `local` are UTC; options are left out of the MAC unless told. */
export function formatIosXe(form: Form): string {
  const name = chainName(form);
  const keys = form.keys.map((key) =>
    [
      ` key ${key.recvId}`,
      `  send-id ${key.sendId}`,
      `  recv-id ${key.recvId}`,
      `  cryptographic-algorithm ${wordFor(key, algorithms, "IOS XE")}`,
      ...(key.coversTcpOptions ? ["  include-tcp-options"] : []),
      `  key-string ${key.secret}`,
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
