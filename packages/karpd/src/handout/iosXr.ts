import { chainName, coversAll, dayMonthYear, type Form, heading, wordFor } from "./form.ts";

const algorithms = { "aes-128-cmac-96": "AES-128-CMAC-96", "hmac-sha-1-96": "HMAC-SHA1-96" } as const;

/**
 * Cisco IOS XR: key chain, `tcp ao` with the KeyIDs, and the option of the BGP neighbour. There a key is accepted for as
 * long as it is sent with, so the two lifetimes are alike and overlap with those of the next key. From Cisco's routing
 * guide 7.6 and the data model of Network as Code (`timezone`); compared with "CiscoIOS-XR.md" of
 * TCP-AO/Configuration-examples, an interoperability test with Junos.
 */
export function formatIosXr(form: Form): string {
  const name = chainName(form);
  const keys = form.keys.map((key) => {
    const lifetime = `${dayMonthYear(key.sendFrom)} ${dayMonthYear(key.acceptUntil)}`;
    return [
      ` key ${key.recvId}`,
      `  cryptographic-algorithm ${wordFor(key, algorithms, "IOS XR")}`,
      `  key-string clear ${key.secret}`,
      `  send-lifetime ${lifetime}`,
      `  accept-lifetime ${lifetime}`,
      " !",
    ].join("\n");
  });
  const ids = form.keys.map(({ sendId, recvId }) => `  key ${recvId} sendID ${sendId} receiveID ${recvId}`);
  const options = coversAll(form) ? "enable" : "disable";
  const note = "the clock zone of a key chain is `local` unless it says gmt, as below";
  return `${heading(form, "!", [note])}key chain ${name}
 timezone gmt
${keys.join("\n")}
!
tcp ao
 keychain ${name}
${ids.join("\n")}
 !
!
! in router bgp, below the neighbor:
! neighbor ${form.neighbourAddress}
!  ao ${name} include-tcp-options ${options}
`;
}
