/**
 * People do write secrets where only file names belong. A line that is about to be shown keeps its length (the caret must
 * still point at the right place), but not what may be a secret: the value of a word that sounds like one, and long runs
 * of base64 or hexadecimal digits that are no fingerprint.
 */
export function maskSecrets(line: string): string {
  return line
    .replace(suspiciousWord, (_, before: string, value: string) => before + "*".repeat(value.length))
    .replace(longRun, (run, offset: number) => (isFingerprint(line, offset) ? run : "*".repeat(run.length)));
}

const suspiciousWord =
  /((?:^|[\s{,])["']?(?:psk|secret|password|passphrase|key|master-key|shared-key)["']?\s*:\s*)(\S.*)$/i;
const longRun = /[A-Za-z0-9+=]{32,}/g;

function isFingerprint(line: string, offset: number): boolean {
  return line.slice(0, offset).endsWith("sha256:");
}
