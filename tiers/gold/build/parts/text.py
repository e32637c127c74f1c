"""The checkpoint's own tokenizer for the Python parts of the repository, out of the files beside it.

What a player says is tokenised as plain text: control tokens are read only out of texts that are said to hold them.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer


class Text:
    """Texts to token ids and back. `pieces` are the bytes that each token writes (none for control tokens)."""

    def __init__(self, folder: Path) -> None:
        self._with_control = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.pieces, self.control = _pieces(json.loads((folder / "tokenizer.json").read_text("utf8")))
        self._plain = self._without_control(folder)
        self.ends = _ends(folder) or self.control[:1]

    def encode(self, text: str, control: bool) -> list[int]:
        """Token ids of a text; nothing is put before or behind it."""
        tokenizer = self._with_control if control else self._plain
        return tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> bytes:
        """The bytes that tokens write, with a character that is cut at the end left as it is."""
        return b"".join(self.pieces[token] for token in ids if 0 <= token < len(self.pieces))

    @staticmethod
    def _without_control(folder: Path) -> Tokenizer:
        # The library has no switch for it: the same tokenizer without its added tokens.
        raw = json.loads((folder / "tokenizer.json").read_text("utf8"))
        raw["added_tokens"] = []
        raw["post_processor"] = None
        return Tokenizer.from_str(json.dumps(raw))


def whole(data: bytes) -> str:
    """The text of bytes without the beginning of a character that is not there in full yet."""
    for cut in range(min(4, len(data) + 1)):
        try:
            return data[: len(data) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace")


def _pieces(raw: dict) -> tuple[list[bytes], list[int]]:
    """Bytes by token id, and the ids of control tokens."""
    alphabet = _alphabet()
    vocabulary = raw["model"]["vocab"]
    added = {token["id"]: token for token in raw.get("added_tokens", [])}
    size = max([*vocabulary.values(), *added]) + 1
    pieces = [b""] * size
    for piece, token in vocabulary.items():
        pieces[token] = bytes(alphabet[letter] for letter in piece) if set(piece) <= set(alphabet) else piece.encode()
    for token, about in added.items():
        pieces[token] = b"" if about.get("special") else about["content"].encode()
    return pieces, sorted(token for token, about in added.items() if about.get("special"))


def _alphabet() -> dict[str, int]:
    """The letters that byte-level tokenizers write bytes with: printable ones stand for themselves, the others follow from
    256 on in the order of their bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


def _ends(folder: Path) -> list[int]:
    for name in ("generation_config.json", "config.json"):
        file = folder / name
        ids = json.loads(file.read_text("utf8")).get("eos_token_id") if file.is_file() else None
        if ids is not None:
            return ids if isinstance(ids, list) else [ids]
    return []
