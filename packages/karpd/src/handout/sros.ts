import { chainName, coversAll, type Form, FormatRefused, type FormKey, heading, utc, wordFor } from "./form.ts";

const algorithms = { "aes-128-cmac-96": "aes-128-cmac-96", "hmac-sha-1-96": "hmac-sha-1-96" } as const;
const LAST_ENTRY = 63;

/**
 * Nokia SR OS (MD-CLI): a keychain with entries for each direction, whose numbers are the KeyIDs; the youngest entry that
 * has begun is sent with. From "Nokia.md" of TCP-AO/Configuration-examples, by an engineer of Nokia, with the
 * configuration of an interoperability test with Junos.
 */
export function formatSros(form: Form): string {
  if (!coversAll(form))
    throw new FormatRefused("SR OS is not known to leave the TCP options out: set `tcp-options: covered`");
  if (form.keys.some(({ sendId, recvId }) => Math.max(sendId, recvId) > LAST_ENTRY))
    throw new FormatRefused(`SR OS takes a KeyID for the number of an entry, 0 to ${LAST_ENTRY}`);
  const name = chainName(form);
  const prefix = `/configure system security keychains keychain "${name}"`;
  const entries = form.keys.flatMap((key) => [
    ...entry(`${prefix} receive entry ${key.recvId}`, key, key.acceptFrom),
    ...entry(`${prefix} send entry ${key.sendId}`, key, key.sendFrom),
  ]);
  const note = "entries to receive with have no end here: delete those of keys that are over";
  return `${heading(form, "#", [note])}${prefix} tcp-option-number receive tcp-ao
${prefix} tcp-option-number send tcp-ao
${entries.join("\n")}
# below the BGP neighbor:
# /configure router "Base" bgp neighbor "${form.neighbourAddress}" authentication-keychain "${name}"
`;
}

function entry(prefix: string, key: FormKey, begin: number): readonly string[] {
  const { date, time } = utc(begin);
  return [
    `${prefix} authentication-key "${key.secret}"`,
    `${prefix} algorithm ${wordFor(key, algorithms, "SR OS")}`,
    `${prefix} begin-time ${date}T${time}.0Z`,
  ];
}
