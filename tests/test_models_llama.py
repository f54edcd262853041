"""Questions to a real server: llama.cpp's, with a model whose answers are known."""

import asyncio
import json
import os
import signal

import pytest
from conftest import until
from model_server import TABLE

from orchestrator.runners.model.answer import ModelProblem, Question
from orchestrator.runners.model.models import Models
from orchestrator.settings import ModelSettings, Settings


@pytest.fixture
async def models():
    """Makes a Models of servers by name; closes them."""
    made = []

    def make(**settings):
        config = Settings(models={name: ModelSettings(**values) for name, values in settings.items()})
        made.append(Models(lambda: config))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
def ask(models, llama):
    """One question to the shared server."""
    return models(default={"base_url": llama.base_url, "slots": 2}).ask


async def trouble(asking):
    with pytest.raises(ModelProblem) as caught:
        await asking
    return caught.value.trouble, str(caught.value)


@pytest.mark.parametrize("keyword", [word for word in TABLE if word not in ("T-THINK", "T-ENDLESS")])
async def test_the_answer_is_the_model_s_word_for_word(ask, keyword):
    answer = await ask("default", Question(f"Do {keyword}, please.", system="You write code."))
    assert (answer.text, answer.reasoning, answer.complete) == (TABLE[keyword].first, "", True)
    assert (answer.model, answer.served, answer.dialect) == ("default", "scripted", "llama.cpp")


async def test_a_prompt_with_the_marker_gets_the_second_answer(ask):
    answer = await ask("default", Question("T-ADD\nPrevious attempt failed: 2 + 2 was 0"))
    assert answer.text == TABLE["T-ADD"].again


async def test_the_server_counts_the_tokens(ask):
    short, long = [await ask("default", Question(f"T-GOOD {'#' * size}")) for size in (10, 510)]
    assert short.measured
    assert long.prompt_tokens == short.prompt_tokens + 500
    assert long.completion_tokens == short.completion_tokens > 0


async def test_reasoning_is_no_part_of_the_answer(ask):
    answer = await ask("default", Question("T-THINK"))
    assert answer.text == "```python\nright = True\n```"
    assert "wrong()" in answer.reasoning


async def test_an_answer_that_ran_into_its_limit_says_so(ask):
    answer = await ask("default", Question("T-ENDLESS", max_tokens=50))
    assert (answer.complete, answer.completion_tokens) == (False, 50)


async def test_an_answer_fits_the_schema_that_was_given(ask):
    schema = {"type": "object", "properties": {"verdict": {"enum": ["local", "escalate"]}}, "required": ["verdict"]}
    answer = await ask("default", Question("T-PROSE", schema=schema | {"additionalProperties": False}))
    assert json.loads(answer.text)["verdict"] in ("local", "escalate")


async def test_too_long_a_question_is_told_with_both_numbers(ask):
    kind, said = await trouble(ask("default", Question("#" * 8000)))
    assert kind == "overflow"
    assert "8010 tokens" in said
    assert "4096" in said


async def test_what_the_server_is_and_has_is_known_without_a_question(models, llama):
    asked = models(default={"base_url": llama.base_url}, narrow={"base_url": llama.base_url, "context": 1000})
    state = await asked.inspect("default")
    assert (state.health, state.dialect, state.models, state.model) == ("ready", "llama.cpp", ("scripted",), "scripted")
    assert (state.context, state.slots, state.problem) == (4096, 2, None)
    assert await asked.context_of("narrow") == 1000
    count = await asked.count("default", "T-GOOD is one token")
    assert (count.tokens, count.measured) == (14, True)


async def test_one_slot_is_held_by_one_question_and_the_names_of_a_server_share_it(models, llama):
    asked = models(default={"base_url": llama.base_url}, other={"base_url": llama.base_url, "temperature": 0.9})
    names = ["default", "other"] * 2
    most = 0

    async def watch():
        nonlocal most
        while True:
            most = max(most, await asyncio.to_thread(llama.busy))

    watching = asyncio.create_task(watch())
    answers = await asyncio.gather(*(asked.ask(name, Question("T-ENDLESS", max_tokens=200)) for name in names))
    watching.cancel()
    assert [answer.model for answer in answers] == names
    assert most == 1


async def test_a_cancelled_question_ends_at_once_and_the_server_stops_working(models, own_llama):
    server = own_llama(slots=1, context=60_000)
    asked = models(default={"base_url": server.base_url})
    cancelled = asyncio.Event()
    asking = asyncio.create_task(asked.ask("default", Question("T-ENDLESS", max_tokens=59_000), cancelled=cancelled))
    await asyncio.to_thread(until, server.busy, "the server to begin")
    waiting = asyncio.create_task(asked.ask("default", Question("T-GOOD")))
    cancelled.set()
    assert (await trouble(asking))[0] == "cancelled"
    assert (await waiting).text == TABLE["T-GOOD"].first
    await asyncio.to_thread(until, lambda: not server.busy(), "the server to stop")


async def test_a_server_killed_in_mid_answer_is_broken_then_unreachable_and_when_it_is_back_answers(models, own_llama):
    server = own_llama(slots=1, context=60_000)
    asked = models(default={"base_url": server.base_url})
    asking = asyncio.create_task(asked.ask("default", Question("T-ENDLESS", max_tokens=59_000)))
    await asyncio.to_thread(until, server.busy, "the server to begin")
    server.kill()
    assert (await trouble(asking))[0] == "broken"
    kind, said = await trouble(asked.ask("default", Question("T-GOOD")))
    assert kind == "unreachable"
    assert server.base_url in said
    assert "[models.default]" in said
    assert await asked.context_of("default") is None
    server.start()
    assert (await asked.ask("default", Question("T-GOOD"))).text == TABLE["T-GOOD"].first


async def test_a_server_that_was_started_with_another_context_is_seen_to_have_it(models, own_llama):
    server = own_llama(slots=1)
    asked = models(default={"base_url": server.base_url})
    assert await asked.context_of("default") == 4096
    server.kill()
    server.restart_with("--ctx-size", "8192")
    assert await asked.context_of("default") == 8192


async def test_a_server_that_stops_in_mid_answer_has_stalled(models, own_llama):
    server = own_llama(slots=1, context=60_000)
    asked = models(default={"base_url": server.base_url, "idle_timeout": 300})
    asking = asyncio.create_task(asked.ask("default", Question("T-ENDLESS", max_tokens=59_000)))
    await asyncio.to_thread(until, lambda: server.decoded() > 50, "tokens")
    os.kill(server.process.pid, signal.SIGSTOP)
    assert (await trouble(asking))[0] == "stalled"


async def test_closing_ends_what_is_asked(models, own_llama):
    server = own_llama(slots=1, context=60_000)
    asked = models(default={"base_url": server.base_url})
    asking = asyncio.create_task(asked.ask("default", Question("T-ENDLESS", max_tokens=59_000)))
    await asyncio.to_thread(until, server.busy, "the server to begin")
    await asked.close()
    assert (await trouble(asking))[0] == "cancelled"


async def test_an_unknown_name_is_told_with_the_nearest(ask):
    kind, said = await trouble(ask("defualt", Question("T-GOOD")))
    assert kind == "no_model"
    assert "did you mean 'default'?" in said
