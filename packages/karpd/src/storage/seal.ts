import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import { Secret } from "@karp/ikev2";
import type { KeyTableRow } from "../core/keytable/row.ts";
import { decodeRow, encodeRow, type SqlValue, type StoredRow, sealedColumns } from "./columns.ts";

const cipherName = "aes-256-gcm";
const nonceLength = 12;
const tagLength = 16;
/** The version under which new rows are sealed. */
const sealVersion = 1;

/**
 * Seals key columns. The cipher key is derived from the key-encryption key for this one store:
 *
 *     row key   = HKDF-SHA-256(key-encryption key, salt = store uuid, info = "karp store row key 1")
 *     sealed    = nonce (12, random) | AES-256-GCM(row key, nonce, AAD, key) | tag (16)
 *     AAD       = JSON [store uuid, schema version, value of each other column]
 *
 * The columns include row name, session, SendID, RecvID and generation, so a sealed key fits no other row, and a row
 * whose open columns were altered does not open. A removed MKT's tombstone seals the empty string.
 */
export class RowSeal {
  readonly uuid: string;
  readonly #rowKey: Secret;
  readonly checkValue: string;

  constructor(keyEncryptionKey: Secret, uuid: string) {
    this.uuid = uuid;
    this.#rowKey = keyEncryptionKey.expose(
      (key) => new Secret(new Uint8Array(hkdfSync("sha256", key, uuid, "karp store row key 1", 32))),
    );
    this.checkValue = keyEncryptionKey.expose((key) =>
      createHmac("sha256", key).update(`karp store check value 1\0${uuid}`).digest("hex"),
    );
  }

  /** True when the store was made with this key-encryption key. */
  matches(checkValue: string): boolean {
    const [ours, theirs] = [Buffer.from(this.checkValue), Buffer.from(checkValue)];
    return ours.length === theirs.length && timingSafeEqual(ours, theirs);
  }

  seal(row: KeyTableRow): StoredRow {
    const open = encodeRow(row);
    const nonce = randomBytes(nonceLength);
    const sealed = this.#rowKey.expose((rowKey) => {
      const cipher = createCipheriv(cipherName, rowKey, nonce, { authTagLength: tagLength });
      cipher.setAAD(this.#associatedData(open, sealVersion));
      const body = row.key === undefined ? cipher.update("") : row.key.expose((key) => cipher.update(key));
      return Buffer.concat([nonce, body, cipher.final(), cipher.getAuthTag()]);
    });
    return { ...open, sealed_schema: sealVersion, sealed_key: new Uint8Array(sealed) };
  }

  /** The row, or undefined when the seal does not fit: another row's key, an altered column, a flipped bit. */
  open(stored: StoredRow): KeyTableRow | undefined {
    const sealed = stored["sealed_key"];
    const version = stored["sealed_schema"];
    if (!(sealed instanceof Uint8Array) || sealed.length < nonceLength + tagLength || typeof version !== "number") {
      return undefined;
    }
    try {
      const key = this.#decrypt(sealed, this.#associatedData(stored, version));
      return decodeRow(stored, key.length === 0 ? undefined : new Secret(key));
    } catch {
      return undefined;
    }
  }

  erase(): void {
    this.#rowKey.erase();
  }

  #decrypt(sealed: Uint8Array, associatedData: Uint8Array): Uint8Array {
    return this.#rowKey.expose((rowKey) => {
      const decipher = createDecipheriv(cipherName, rowKey, sealed.subarray(0, nonceLength), {
        authTagLength: tagLength,
      });
      decipher.setAAD(associatedData);
      decipher.setAuthTag(sealed.subarray(sealed.length - tagLength));
      const body = decipher.update(sealed.subarray(nonceLength, sealed.length - tagLength));
      decipher.final();
      return new Uint8Array(body);
    });
  }

  #associatedData(stored: StoredRow, version: number): Uint8Array {
    const names = sealedColumns.get(version);
    if (names === undefined) throw new TypeError(`rows of schema ${version} are not known`);
    const values = names.map((name): SqlValue => stored[name] ?? null);
    return Buffer.from(JSON.stringify([this.uuid, version, ...values]), "utf8");
  }
}
