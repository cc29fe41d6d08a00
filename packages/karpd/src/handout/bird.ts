import { chainName, coversAll, type Form, FormatRefused, heading, wordFor } from "./form.ts";

const algorithms = { "aes-128-cmac-96": "cmac aes128", "hmac-sha-1-96": "hmac sha1" } as const;

/**
 * BIRD: its BGP keys have no dates, so this is a script that writes the file which `protocol bgp` includes, and has BIRD
 * read it when that changed. Run it once a minute (cron, a systemd timer); it writes by its own clock, UTC.
 */
export function formatBird(form: Form): string {
  if (!coversAll(form)) throw new FormatRefused("BIRD always covers the TCP options: set `tcp-options: covered`");
  const rows = form.keys.map((key) => {
    const times = [key.sendFrom, key.acceptFrom, key.acceptUntil].map((at) => Math.floor(at / 1000));
    return `${[...times, key.sendId, key.recvId].join(" ")} ${key.secret} ${wordFor(key, algorithms, "BIRD")}`;
  });
  const name = chainName(form);
  const notes = [
    `${name}.sh: run it every minute as root, and put this into the block of the protocol, on a line of its own:`,
    `include "/etc/bird/${name}.conf";`,
    "each row: sent with from, accepted from, accepted until (seconds since 1970), send id, recv id, secret, algorithm",
  ];
  return `#!/bin/sh
${heading(form, "#", notes)}set -eu
umask 077
file=\${1:-/etc/bird/${name}.conf}
birdc=\${BIRDC:-birdc}
now=\${NOW:-$(date -u +%s)}
rows='
${rows.join("\n")}
'
# The key to send with: the last one that has begun, the first one before that
preferred=$(echo "$rows" | awk -v now="$now" 'NF { if (!first) first = $4; if ($1 <= now) last = $4 } END { print last ? last : first }')
{
  echo "# written by ${name}.sh"
  echo "authentication ao;"
  echo "keys {"
  echo "$rows" | awk -v now="$now" -v preferred="$preferred" 'NF && ($4 == preferred || ($2 <= now && now <= $3)) {
    use = $4 == preferred ? " preferred;" : ""
    printf "  key { send id %s; recv id %s; secret \\"%s\\"; algorithm %s %s;%s };\\n", $4, $5, $6, $7, $8, use
  }'
  echo "};"
} > "$file.new"
if [ -f "$file" ] && cmp -s "$file.new" "$file"; then
  rm "$file.new"
  exit 0
fi
# BIRD may run as another user
if [ -f "$file" ]; then chown --reference="$file" "$file.new"; chmod --reference="$file" "$file.new"; fi
mv "$file.new" "$file"
$birdc configure
`;
}
