"""A language model of our own making: a table of answers as the weights of a real, if tiny, llama.

Nothing is trained or fetched. Each answer is cut into tokens of its own, and each of these tokens leads to the next: a
row of the output matrix finds it in the residual stream, which holds nothing but the token itself. The first token is
found by attention. At the place where an answer begins, and only there, the queries are not zero: head 0 looks for a
keyword of the table, head 1 for the marker that a retry carries, and both fall back to the first token of the prompt
where there is none. What they find is added to the stream, and the output matrix knows which answer it means.

Prompts are read character by character, so that their token counts are real, though unlike those of other models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np

MARKER = "Previous attempt failed"
NO_KEYWORD = "I am sorry, I cannot help with that."
TEMPLATE = (
    "{% for m in messages %}<|msg|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|answer|>{% endif %}"
)
_HEADS = 2
_SURE = 30.0  # so far apart are the right token and the next best, before the softmax


@dataclass(frozen=True)
class Script:
    """What is answered to a keyword: `first`, and `again` where the prompt holds the marker. With `endless` an answer
    begins anew where it ends, until the server's limit."""

    first: str
    again: str | None = None
    endless: bool = False


def write_gguf(path: Path, table: Mapping[str, Script], *, context: int = 65_536) -> None:
    """Write the model; no server gives it more `context`. Keywords must not be parts of each other. Raises ValueError
    for what can't be a table."""
    model = _Model(table)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("scripted")
    writer.add_context_length(context)
    model.describe(writer)
    for name, weights in model.tensors().items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class _Vocabulary:
    """Tokens by number. No two may have the same text."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.kinds: list[int] = []
        self.scores: list[float] = []
        self._used: set[str] = set()

    def add(self, text: str, kind: gguf.TokenType, score: float = 0.0) -> int:
        # SentencePiece writes a space so; user-defined tokens are found before it sees the text.
        shown = text if kind == gguf.TokenType.USER_DEFINED else text.replace(" ", "▁")
        if not text or shown in self._used:
            raise ValueError(f"{text!r} can't be a token: it is empty, or one already")
        self._used.add(shown)
        self.texts.append(shown)
        self.kinds.append(int(kind))
        self.scores.append(score)
        return len(self.texts) - 1

    def cut(self, text: str) -> list[int]:
        """New tokens that a text consists of: a word each, or several where a word is a token already."""
        pieces: list[str] = []
        held = ""
        for word in re.findall(r"\s*\S+|\s+$", text):
            held += word
            if self._free(held, pieces):
                pieces.append(held)
                held = ""
        while held and pieces:
            held = pieces.pop() + held
            if self._free(held, pieces):
                pieces.append(held)
                held = ""
        # A prompt's characters are joined to a token of an answer only where nothing else is left.
        return [self.add(piece, gguf.TokenType.NORMAL, -1e6) for piece in (*pieces, held) if piece or not pieces]

    def _free(self, piece: str, others: list[str]) -> bool:
        return piece.replace(" ", "▁") not in self._used and piece not in others


class _Model:
    def __init__(self, table: Mapping[str, Script]) -> None:
        words = self._words = _Vocabulary()
        self._unknown = words.add("<unk>", gguf.TokenType.UNKNOWN)
        self._begin = words.add("<s>", gguf.TokenType.CONTROL)
        self._end = words.add("</s>", gguf.TokenType.CONTROL)
        for byte in range(256):
            words.add(f"<0x{byte:02X}>", gguf.TokenType.BYTE)
        words.add("<|msg|>", gguf.TokenType.CONTROL)
        words.add("<|end|>", gguf.TokenType.CONTROL)
        self._answer = words.add("<|answer|>", gguf.TokenType.CONTROL)
        for character in (" ", *map(chr, range(33, 127))):
            words.add(character, gguf.TokenType.NORMAL, -1.0)
        self._keywords = [words.add(keyword, gguf.TokenType.USER_DEFINED) for keyword in table]
        self._marker = words.add(MARKER, gguf.TokenType.USER_DEFINED)
        self._next: list[tuple[int, int]] = []
        self._firsts = [self._chain(script.first, script.endless) for script in table.values()]
        # Without an answer of its own the marker would lead to that of another keyword.
        self._agains = [self._chain(script.again or script.first, script.endless) for script in table.values()]
        self._default = self._chain(NO_KEYWORD, endless=False)

    def _chain(self, text: str, endless: bool) -> int:
        """The first token of an answer, each of whose tokens leads to the next."""
        tokens = self._words.cut(text)
        self._next += [*pairwise(tokens), (tokens[-1], tokens[0] if endless else self._end)]
        return tokens[0]

    @property
    def _channels(self) -> tuple[int, int, int, int]:
        """Where in the stream a keyword's own channel begins, where what head 0 found, head 1's, where the chains'."""
        keywords = len(self._keywords)
        return _KEYWORD + 1, _KEYWORD + 1 + keywords, _KEYWORD + 1 + 2 * keywords, _KEYWORD + 2 + 2 * keywords

    @property
    def _head(self) -> int:
        """The width of one head: all channels are shared between two, in steps that fast kernels like."""
        needed = max(self._channels[3] + len(self._next), _HEADS * (len(self._keywords) + 2))
        return max(64, -(-needed // (_HEADS * 32)) * 32)

    @property
    def _width(self) -> int:
        return _HEADS * self._head

    def describe(self, writer: gguf.GGUFWriter) -> None:
        words = self._words
        writer.add_embedding_length(self._width)
        writer.add_block_count(1)
        writer.add_feed_forward_length(32)
        writer.add_head_count(_HEADS)
        writer.add_head_count_kv(_HEADS)
        writer.add_layer_norm_rms_eps(1e-6)
        writer.add_rope_dimension_count(self._head)
        writer.add_rope_freq_base(1e30)  # so slow that the last pair of a head does not turn at all
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        writer.add_vocab_size(len(words.texts))
        writer.add_tokenizer_model("llama")
        writer.add_token_list(words.texts)
        writer.add_token_scores(words.scores)
        writer.add_token_types(words.kinds)
        writer.add_bos_token_id(self._begin)
        writer.add_eos_token_id(self._end)
        writer.add_unk_token_id(self._unknown)
        writer.add_add_bos_token(True)
        writer.add_add_space_prefix(False)
        writer.add_chat_template(TEMPLATE)

    def tensors(self) -> dict[str, np.ndarray]:
        width = self._width
        query, key, value, found = self._attention()
        return {
            "token_embd.weight": self._embeddings(),
            "output_norm.weight": np.ones(width, np.float32),
            "output.weight": self._output(),
            "blk.0.attn_norm.weight": np.ones(width, np.float32),
            "blk.0.attn_q.weight": query,
            "blk.0.attn_k.weight": key,
            "blk.0.attn_v.weight": value,
            "blk.0.attn_output.weight": found,
            "blk.0.ffn_norm.weight": np.ones(width, np.float32),
            "blk.0.ffn_gate.weight": np.zeros((32, width), np.float32),
            "blk.0.ffn_up.weight": np.zeros((32, width), np.float32),
            "blk.0.ffn_down.weight": np.zeros((width, 32), np.float32),
        }

    def _embeddings(self) -> np.ndarray:
        """What each token puts into the stream: the channels that it is known by, or that it is any other."""
        own, _, _, chain = self._channels
        known = {self._answer: [_ANSWER], self._begin: [_BEGIN], self._marker: [_MARKER]}
        known |= {token: [_KEYWORD, own + number] for number, token in enumerate(self._keywords)}
        known |= {token: [chain + number] for number, (token, _) in enumerate(self._next)}
        weights = np.zeros((len(self._words.texts), self._width), np.float32)
        weights[:, _OTHER] = 1
        for token, channels in known.items():
            weights[token] = 0
            weights[token, channels] = 1
        return weights

    def _attention(self) -> tuple[np.ndarray, ...]:
        """The norm before it makes a lone channel as large as the root of the width, and one of two that over root two:
        both are undone here."""
        own, found_keyword, found_marker, _ = self._channels
        head, width = self._head, self._width
        query, key, value, found = (np.zeros((width, width), np.float32) for _ in range(4))
        lone, of_two = 1 / np.sqrt(width), np.sqrt(2 / width)
        for last in (head - 1, 2 * head - 1):
            query[last, _ANSWER] = lone * 2 * _SURE * np.sqrt(head)
            key[last, _BEGIN] = lone / 2
        key[head - 1, _KEYWORD] = of_two
        key[2 * head - 1, _MARKER] = lone
        for number in range(len(self._keywords)):
            value[number, own + number] = of_two
            found[found_keyword + number, number] = 1
        value[head, _MARKER] = lone
        found[found_marker, head] = 1
        return query, key, value, found

    def _output(self) -> np.ndarray:
        """Which token follows: the next of the chain; or, where an answer begins, the one that what was found means."""
        _, found_keyword, found_marker, chain = self._channels
        weights = np.zeros((len(self._words.texts), self._width), np.float32)
        for number, (_, following) in enumerate(self._next):
            weights[following, chain + number] = 3
        for number, (first, again) in enumerate(zip(self._firsts, self._agains, strict=True)):
            weights[first, found_keyword + number] += 1
            if again is not None:
                weights[again, found_keyword + number] += 1
                weights[again, found_marker] += 2
                weights[again, _ANSWER] -= 1
        weights[self._default, _ANSWER] += 0.5
        return weights * np.float32(_SURE / np.sqrt(self._width))


_OTHER, _ANSWER, _BEGIN, _MARKER, _KEYWORD = range(5)
"""The channels of the stream that every table has: an ordinary character, the place where an answer begins, the first
token of a prompt, the marker, any keyword."""
