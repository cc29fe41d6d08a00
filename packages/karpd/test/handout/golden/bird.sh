#!/bin/sh
# keys for 10.0.0.7 towards 10.0.0.1 (r1.example.net, session r7, bgp), chain 1
# all times are UTC; this text holds secrets
# karp-r7.sh: run it every minute as root, and put this into the block of the protocol, on a line of its own:
# include "/etc/bird/karp-r7.conf";
# each row: sent with from, accepted from, accepted until (seconds since 1970), send id, recv id, secret, algorithm
set -eu
umask 077
file=${1:-/etc/bird/karp-r7.conf}
birdc=${BIRDC:-birdc}
now=${NOW:-$(date -u +%s)}
rows='
1795249800 1794645000 1799742600 21 11 kq7mzx2b4nrt9wcd8vfgh3jspauy cmac aes128
1799137800 1798533000 1803630600 22 12 zw5yxvt8srqp3nmk7jhgf2edcb4a cmac aes128
'
# The key to send with: the last one that has begun, the first one before that
preferred=$(echo "$rows" | awk -v now="$now" 'NF { if (!first) first = $4; if ($1 <= now) last = $4 } END { print last ? last : first }')
{
  echo "# written by karp-r7.sh"
  echo "authentication ao;"
  echo "keys {"
  echo "$rows" | awk -v now="$now" -v preferred="$preferred" 'NF && ($4 == preferred || ($2 <= now && now <= $3)) {
    use = $4 == preferred ? " preferred;" : ""
    printf "  key { send id %s; recv id %s; secret \"%s\"; algorithm %s %s;%s };\n", $4, $5, $6, $7, $8, use
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
