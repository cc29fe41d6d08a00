import { chainName, coversAll, type Form, FormatRefused, heading, requireOneKeyId, utc, wordFor } from "./form.ts";

const algorithms = { "aes-128-cmac-96": "aes-128-cmac-96", "hmac-sha-1-96": "hmac-sha-1-96" } as const;

/** Nokia SR OS: a keychain for both directions; the youngest key that has begun is sent with, others are tolerated. */
export function formatSros(form: Form): string {
  requireOneKeyId(form, "SR OS");
  if (!coversAll(form))
    throw new FormatRefused("SR OS is not known to leave the TCP options out: set `tcp-options: covered`");
  const name = chainName(form);
  const prefix = `/configure system security keychains keychain "${name}"`;
  const entries = form.keys.flatMap((key) => {
    const entry = `${prefix} bidirectional entry ${key.sendId}`;
    const tolerance = Math.floor((key.sendFrom - key.acceptFrom) / 1000);
    const { date, time } = utc(key.sendFrom);
    return [
      `${entry} authentication-key "${key.secret}"`,
      `${entry} algorithm ${wordFor(key, algorithms, "SR OS")}`,
      `${entry} begin-time ${date}T${time}.0Z`,
      `${entry} tolerance ${tolerance}`,
      `${entry} admin-state enable`,
    ];
  });
  return `${heading(form, "#", [])}${prefix} tcp-option-number send tcp-ao
${prefix} tcp-option-number receive tcp-ao
${entries.join("\n")}
${prefix} admin-state enable
# below the BGP neighbor:
# /configure router "Base" bgp neighbor "${form.neighbourAddress}" authentication-keychain "${name}"
`;
}
