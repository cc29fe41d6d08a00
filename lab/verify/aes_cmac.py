"""AES-128 (FIPS 197) and AES-CMAC (RFC 4493), in plain Python: the verifier may depend on nothing but the standards."""


def _sbox():
    """FIPS 197 section 5.1.1: multiplicative inverse in GF(2^8), then an affine map."""
    box = [0] * 256
    p = q = 1
    while True:
        p ^= (p << 1) ^ (0x11B if p & 0x80 else 0)  # p times 3
        q ^= q << 1  # q divided by 3
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        if q & 0x80:
            q ^= 0x09
        rotated = [((q << n) | (q >> (8 - n))) & 0xFF for n in range(5)]
        box[p] = rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ rotated[4] ^ 0x63
        if p == 1:
            break
    box[0] = 0x63
    return box


def _times2(x):
    return (x << 1) ^ (0x11B if x & 0x80 else 0)


SBOX = _sbox()
# One table per row: SubBytes, ShiftRows and MixColumns of one octet at once, as a column of four octets.
_COLUMN = [(_times2(s) << 24) | (s << 16) | (s << 8) | (_times2(s) ^ s) for s in SBOX]
_ROWS = [[((c >> (8 * r)) | (c << (32 - 8 * r))) & 0xFFFFFFFF for c in _COLUMN] for r in range(4)]


class Aes128:
    """Encryption of single blocks under one key of 16 octets."""

    def __init__(self, key):
        if len(key) != 16:
            raise ValueError("an AES-128 key has 16 octets, not %d" % len(key))
        words = [int.from_bytes(key[i : i + 4], "big") for i in range(0, 16, 4)]
        rcon = 1
        for i in range(4, 44):
            word = words[i - 1]
            if i % 4 == 0:
                word = ((word << 8) | (word >> 24)) & 0xFFFFFFFF
                word = self._sub_word(word) ^ (rcon << 24)
                rcon = _times2(rcon)
            words.append(words[i - 4] ^ word)
        self._words = words

    @staticmethod
    def _sub_word(word):
        return (
            (SBOX[word >> 24] << 24)
            | (SBOX[(word >> 16) & 255] << 16)
            | (SBOX[(word >> 8) & 255] << 8)
            | SBOX[word & 255]
        )

    def encrypt(self, block):
        words = self._words
        t0, t1, t2, t3 = _ROWS
        s = [int.from_bytes(block[i : i + 4], "big") ^ words[i // 4] for i in range(0, 16, 4)]
        for k in range(4, 40, 4):
            s = [
                t0[s[c] >> 24]
                ^ t1[(s[(c + 1) & 3] >> 16) & 255]
                ^ t2[(s[(c + 2) & 3] >> 8) & 255]
                ^ t3[s[(c + 3) & 3] & 255]
                ^ words[k + c]
                for c in range(4)
            ]
        out = b""
        for c in range(4):
            word = (
                (SBOX[s[c] >> 24] << 24)
                | (SBOX[(s[(c + 1) & 3] >> 16) & 255] << 16)
                | (SBOX[(s[(c + 2) & 3] >> 8) & 255] << 8)
                | SBOX[s[(c + 3) & 3] & 255]
            )
            out += (word ^ words[40 + c]).to_bytes(4, "big")
        return out


def _double(block):
    """RFC 4493 section 2.3: multiplication by x in GF(2^128)."""
    value = int.from_bytes(block, "big") << 1
    if value >> 128:
        value = (value & ((1 << 128) - 1)) ^ 0x87
    return value.to_bytes(16, "big")


def aes_cmac(key, message):
    """AES-CMAC of any message under a key of 16 octets; 16 octets."""
    aes = Aes128(key)
    k1 = _double(aes.encrypt(bytes(16)))
    count = max(1, -(-len(message) // 16))
    last = message[(count - 1) * 16 :]
    if len(last) == 16:
        last = _xor(last, k1)
    else:
        padded = last + b"\x80" + bytes(15 - len(last))
        last = _xor(padded, _double(k1))
    state = bytes(16)
    for i in range(count - 1):
        state = aes.encrypt(_xor(state, message[i * 16 : i * 16 + 16]))
    return aes.encrypt(_xor(state, last))


def _xor(a, b):
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(16, "big")
