"""What a model's server says, read without a server: events, refusals, reasoning; and whose turn it is."""

import asyncio
import contextlib
import json
import socket
import ssl

import dialects
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.runners.model.answer import ModelProblem
from orchestrator.runners.model.dialect import recognise
from orchestrator.runners.model.events import NotEvents, read_events
from orchestrator.runners.model.question import Stream
from orchestrator.runners.model.server import why_no_connection
from orchestrator.runners.model.slots import Slots
from orchestrator.runners.model.thinking import split_reasoning
from orchestrator.runners.model.troubles import Reply, error_of, of_refusal
from orchestrator.settings import ModelSettings

WORDS = (
    "data", "id", "models", "key", "name", "error", "message", "choices", "delta", "content", "usage", "version",
    "loaded_instances", "config", "finish_reason", "prompt_tokens", "default_generation_settings", "n_ctx",
)  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "no TLS: "),
        (ConnectionRefusedError(111, "Connect call failed"), "Connection refused"),
    ],
)
def test_why_there_is_no_connection_is_said_in_words(cause, said):
    assert why_no_connection(cause).startswith(said)


@settings(max_examples=40)
@given(st.lists(st.text()), st.integers(1, 7), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", " "]))
async def test_events_are_the_same_however_they_are_cut(texts, size, end, space):
    whole = "".join(f": ping{end}data:{space}{json.dumps({'t': text}, ensure_ascii=False)}{end}{end}" for text in texts)
    data = f"{whole}data: [DONE]{end}{end}data: what?{end}{end}".encode()

    async def pieces():
        for start in range(0, len(data), size):
            yield data[start : start + size]

    assert [event["t"] async for event in read_events(pieces())] == texts


VALUES = st.recursive(
    st.sampled_from((None, True, -1, 5, "x", "llm")),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(WORDS), inner),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@example(said={}, event={"choices": [None, {"delta": "x"}, {"delta": {"content": 5}, "finish_reason": 1}], "usage": []})
@given(said=VALUES, event=st.dictionaries(st.sampled_from(WORDS), VALUES))
async def test_nothing_that_a_server_says_is_an_error_of_ours(said, event):
    reply = Reply(200, "application/json", "", json.dumps(said))

    async def get(path):
        return reply

    for entries in (reply, Reply(200, "", "", json.dumps(dialects.listing({"id": "x"})))):
        for kind in ("auto", "llama.cpp", "lmstudio", "ollama", "vllm"):
            if (survey := await recognise(entries, get, kind)) is not None:
                with contextlib.suppress(ModelProblem):
                    survey.meant("default", ModelSettings())
    of_refusal(reply)
    error_of(event)
    stream = Stream()
    stream.take(event)
    assert stream.tokens("prompt_tokens") >= 0


async def test_a_slot_that_is_given_to_one_who_goes_in_that_moment_is_given_to_the_next():
    slots = Slots()
    held = []

    async def hold(name):
        async with slots.one(1):
            held.append(name)

    async with slots.one(1):
        waiting = [asyncio.create_task(hold(name)) for name in ("first", "second", "third")]
        await asyncio.sleep(0)
        waiting[1].cancel()
    waiting[0].cancel()  # the slot is its own since the line above, and it has not woken yet
    await asyncio.wait(waiting)
    assert held == ["third"]
    async with slots.one(1):
        pass


async def test_a_line_without_an_end_is_not_kept_for_ever():
    async def endless():
        while True:
            yield b"x" * 65_536

    with pytest.raises(NotEvents, match="longer than"):
        [event async for event in read_events(endless())]


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ("x = 1", "x = 1", ""),
        ("<think>a\nb</think>\n\nx = 1", "x = 1", "a\nb"),
        ("\n<thinking>a</thinking>x = 1", "x = 1", "a"),
        ("first I\n</think>\nx = 1", "x = 1", "first I"),
        ("<think>never ends", "", "never ends"),
        ('```js\nx = "</think>"\n```', '```js\nx = "</think>"\n```', ""),
        ("```html\n<think>\na\n</think>\n```", "```html\n<think>\na\n</think>\n```", ""),
    ],
)
def test_reasoning_is_what_comes_first(content, text, reasoning):
    assert split_reasoning(content) == (text, reasoning)
