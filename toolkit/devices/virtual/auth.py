"""adb's public-key authentication, the phone's side.

The host signs a 20-byte token with its RSA-2048 key, PKCS#1 v1.5 with the token in the place of a SHA-1
digest. A phone that knows no key for the signature is sent the public key and asks its user.
Format of the public key: Android's libcrypto_utils/android_pubkey.
"""

from __future__ import annotations

import base64
import binascii
import struct

TOKEN_BYTES = 20
# ASN.1 DigestInfo header for a SHA-1 digest.
_SHA1_DIGEST_INFO = bytes.fromhex("3021300906052b0e03021a05000414")


def signature_matches(public_key: bytes, token: bytes, signature: bytes) -> bool:
    """Whether ``signature`` over ``token`` was made with the private half of ``public_key``.

    Args:
        public_key: as the host sends it: base64, then a space and the key's name.
        token: what the phone sent.
        signature: big-endian RSA signature.
    """
    try:
        raw = base64.b64decode(public_key.split(b" ")[0].rstrip(b"\0"), validate=True)
        (words,) = struct.unpack_from("<I", raw)
        modulus_bytes = 4 * words
        (exponent,) = struct.unpack_from("<I", raw, 8 + 2 * modulus_bytes)
    except (binascii.Error, struct.error):
        return False
    modulus = int.from_bytes(raw[8 : 8 + modulus_bytes], "little")
    if modulus == 0 or len(signature) != modulus_bytes:
        return False
    recovered: int = pow(int.from_bytes(signature, "big"), exponent, modulus)
    decoded = recovered.to_bytes(modulus_bytes, "big")
    tail = _SHA1_DIGEST_INFO + token
    expected: bytes = b"\0\1" + b"\xff" * (modulus_bytes - len(tail) - 3) + b"\0" + tail
    return bool(decoded == expected)
