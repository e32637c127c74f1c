"""Reads the vocabulary out of a GGUF file's header. Nothing of its weights.

Format: the GGUF specification of ggml (version 2 and 3, little endian).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

CONTROL = 3
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class Vocabulary:
    """Token by token: the bytes that it writes (none for a control token), and which tokens are special."""

    pieces: list[bytes]
    control: list[int]
    ends: list[int]


def read_vocabulary(file: str) -> Vocabulary:
    """Raises ValueError, naming the file, when it is no GGUF or its tokenizer is of an unknown kind."""
    with open(file, "rb") as source:
        fields = _read_fields(source, file)
    kind = fields.get("tokenizer.ggml.model")
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    types: list[int] = fields.get("tokenizer.ggml.token_type", [1] * len(tokens))
    if kind == "gpt2":
        letters = _byte_letters()
        pieces = [b"".join(_bytes_of(letter, letters) for letter in token) for token in tokens]
    elif kind == "llama":
        pieces = [_sentence_piece(token) for token in tokens]
    else:
        raise ValueError(f"{file} has a tokenizer of the kind {kind}; known are gpt2 and llama")
    control = [token for token, kind_of in enumerate(types) if kind_of == CONTROL]
    for token in control:
        pieces[token] = b""
    wanted = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id")
    return Vocabulary(pieces, control, [fields[name] for name in wanted if name in fields])


def _read_fields(source: BinaryIO, file: str) -> dict[str, Any]:
    if source.read(4) != b"GGUF":
        raise ValueError(f"{file} is no GGUF file")
    _version, _tensors, count = struct.unpack("<IQQ", source.read(20))
    fields: dict[str, Any] = {}
    for _ in range(count):
        name = _string(source)
        (kind,) = struct.unpack("<I", source.read(4))
        fields[name] = _value(source, kind)
    return fields


def _string(source: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", source.read(8))
    return source.read(length).decode("utf-8", "surrogateescape")


def _value(source: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(source)
    if kind == _ARRAY:
        inner, length = struct.unpack("<IQ", source.read(12))
        if inner in _SCALARS:
            form = _SCALARS[inner][1]
            return list(struct.unpack(f"<{length}{form}", source.read(length * struct.calcsize(form))))
        return [_value(source, inner) for _ in range(length)]
    form = _SCALARS[kind]
    return struct.unpack(form, source.read(struct.calcsize(form)))[0]


def _byte_letters() -> dict[str, int]:
    """The letters by which byte-level BPE writes bytes: printable ones as they are, the rest from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def _bytes_of(letter: str, letters: dict[str, int]) -> bytes:
    # A token that was added by hand stands in its own letters.
    return bytes([letters[letter]]) if letter in letters else letter.encode("utf-8", "surrogateescape")


def _sentence_piece(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("\u2581", " ").encode("utf-8", "surrogateescape")
