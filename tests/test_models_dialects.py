"""Servers of other kinds, and every way in which one gives no answer: each has its own name, and says what to do."""

import dialects
import pytest
from conftest import no_descriptor_left, smoke

from orchestrator.runners.model.answer import UNAVAILABLE, ModelProblem, Question
from orchestrator.runners.model.models import Models
from orchestrator.settings import ModelSettings, Settings

NOTHING = {"object": "list", "data": None}  # as Ollama writes it
LONG = "\n".join(f"line {number} of a long file" for number in range(2000))


@pytest.fixture
def serve():
    """Keeps servers until the test is over."""
    servers = []

    def keep(server, chat=None):
        servers.append(server)
        server.chat = chat or server.chat
        return server

    yield keep
    for server in servers:
        server.close()


@pytest.fixture
async def models():
    """Makes a Models with one server by the name `default`."""
    made = []

    def make(server, **settings):
        config = Settings(models={"default": ModelSettings(**{"base_url": server.base_url} | settings)})
        made.append(Models(lambda: config))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def trouble(asked, question="x", **options):
    with pytest.raises(ModelProblem) as caught:
        await asked.ask("default", Question(question), **options)
    return caught.value


@pytest.mark.parametrize(
    ("make", "dialect", "version", "model", "context"),
    [
        (dialects.lm_studio, "lmstudio", "", "coder", 4096),
        (dialects.older_lm_studio, "lmstudio", "", "coder", 4096),
        (dialects.ollama, "ollama", "0.12.6", "coder:latest", 4096),
        (dialects.vllm, "vllm", "0.16.0", "org/coder", 4096),
        (dialects.llama_cpp, "llama.cpp", "", "coder", 4096),
        (dialects.plain, "openai", "", "coder", None),
    ],
)
async def test_a_server_is_recognised_by_what_it_answers(serve, models, make, dialect, version, model, context):
    server = serve(make())
    asked = models(server)
    state = await asked.inspect("default")
    assert (state.dialect, state.version, state.model, state.context) == (dialect, version, model, context)
    assert (state.health, state.problem) == ("ready", None)
    assert "nomic" not in state.models
    answer = await asked.ask("default", Question("x"))
    assert (answer.text, answer.dialect, answer.served) == ("Hello.", dialect, "served")
    assert server.asked[0]["model"] == model


async def test_what_is_configured_goes_before_what_is_recognised(serve, models):
    server = serve(dialects.ollama())
    state = await models(server, kind="openai", context=1000).inspect("default")
    assert (state.dialect, state.context) == ("openai", 1000)


@pytest.mark.parametrize(
    ("make", "wanted", "said"),
    [
        (lambda: dialects.lm_studio(("a", "b"), loaded=("b",)), "", None),
        (lambda: dialects.ollama(("b:latest", "c:7b"), running=()), "b", None),
        (lambda: dialects.lm_studio(("aa", "bb"), loaded=()), "", "which of its models is meant: it has aa, bb"),
        (lambda: dialects.vllm(("coder",)), "codr", "has no model 'codr' (did you mean 'coder'?)"),
        (lambda: dialects.plain(()), "", "has no model: load one there"),
        (lambda: dialects.Server({"/v1/models": (200, NOTHING)}), "", "has no model: load one there"),
    ],
)  # fmt: skip
async def test_which_model_is_meant_is_clear_or_is_asked_for(serve, models, make, wanted, said):
    server = serve(make())
    asked = models(server, model=wanted)
    if said is None:
        await asked.ask("default", Question("x"))
        assert server.asked[0]["model"].startswith("b")
    else:
        problem = await trouble(asked)
        assert problem.trouble == "no_model"
        assert said in str(problem)
        assert (await asked.inspect("default")).problem == str(problem)


async def test_a_model_that_has_come_since_is_found(serve, models):
    server = serve(dialects.plain(("other",)))
    asked = models(server, model="coder")
    assert (await trouble(asked)).trouble == "no_model"
    server.pages["/v1/models"] = (200, dialects.listing({"id": "other"}, {"id": "coder"}))
    assert (await asked.ask("default", Question("x"))).text == "Hello."


VLLM_ONCE = "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens"
VLLM_NOW = "You passed 9000 input tokens. However, the model's context length is only 4096 tokens"
LM_STUDIO = "The number of tokens to keep from the initial prompt is greater than the context length"
OVERFLOWS = [
    (dialects.vllm, dialects.refuses(400, {"object": "error", "message": VLLM_ONCE, "code": 400})),
    (dialects.vllm, dialects.objects(400, VLLM_NOW)),
    (dialects.lm_studio, dialects.refuses(400, {"error": "Context size has been exceeded."})),
    (dialects.lm_studio, dialects.breaks_off({"error": {"message": LM_STUDIO}, "message": LM_STUDIO})),
    (dialects.lm_studio, dialects.says("", prompt=9000, completion=0)),
    (dialects.lm_studio, dialects.sends(b"data: [DONE]\n\n")),
]


@pytest.mark.parametrize(("make", "chat"), OVERFLOWS)
async def test_too_long_a_question_is_told_however_the_server_puts_it(serve, models, make, chat):
    problem = await trouble(models(serve(make(), chat)), LONG)
    assert problem.trouble == "overflow"
    assert "larger context" in str(problem)
    assert not problem.unavailable


PULL = 'model "coder" not found, try pulling it first'
NO_ANSWER = {
    "a key is missing": ("unauthorized", "set `api_key` in [models.default]", dialects.objects(401, "Invalid API Key")),
    "a key is not enough": ("unauthorized", "api_key", dialects.refuses(403, "")),
    "another path": ("wrong_url", "mostly ends in /v1", dialects.refuses(404, "404 page not found")),
    "a web page": ("wrong_url", "Welcome to nginx", dialects.refuses(200, "<html><h1>Welcome to nginx</h1></html>")),
    "no such path": ("wrong_url", "Unexpected endpoint", dialects.refuses(200, {"error": "Unexpected endpoint"})),
    "elsewhere": ("wrong_url", "302", dialects.refuses(302, "", location="http://127.0.0.1:9/v1")),
    "a model that went": ("no_model", "`orchestrator models`", dialects.objects(404, PULL)),
    "none in memory": ("no_model", "load a model", dialects.objects(400, "No models loaded. Please load a model")),
    "a crash inside": ("broken", "500", dialects.objects(500, "CUDA error: out of memory")),
    "too many": ("broken", "429", dialects.objects(429, "slow down")),
    "an option": ("refused", "does not take this question", dialects.objects(400, "response_format is not supported")),
    "nothing": ("empty", "answered nothing at all", dialects.says("")),
    "blanks": ("empty", "answered nothing at all", dialects.says(" \n ")),
    "reasoning alone": ("empty", "raise `max_tokens`", dialects.says("", reasoning="Let me see", finish="length")),
    "reasoning without end": ("empty", "raise `max_tokens`", dialects.says("<think>Let me see", finish="length")),
    "the end of the process": ("broken", "look into its log", dialects.dies("def ")),
    "the end before a word": ("broken", "look into its log", dialects.dies("")),
    "half an answer": ("broken", "in the middle", dialects.ends_early("def f(")),
    "an error in the stream": ("broken", "out of memory", dialects.breaks_off({"error": {"message": "out of memory"}})),
    "no JSON": ("broken", "no JSON", dialects.sends(b"data: what?\n\n")),
    "another JSON": ("broken", "no JSON object", dialects.sends(b"data: [1]\n\n")),
    "a stall": ("stalled", "silent for 0.2 s", dialects.stalls("def ")),
    "silence": ("timed_out", "sent no token within 0.2 s", dialects.stalls("")),
    "loading, still": ("loading", "still loads its model", dialects.LOADING),
}
PATIENCE = {
    "a stall": {"idle_timeout": 200},
    "silence": {"first_token_timeout": 200},
    "loading, still": {"first_token_timeout": 1000},  # a busy machine needs some of it to begin
}


@pytest.mark.parametrize("case", NO_ANSWER)
async def test_each_way_to_give_no_answer_is_told_apart(serve, models, case):
    kind, said, chat = NO_ANSWER[case]
    server = serve(dialects.plain(), chat)
    problem = await trouble(models(server, **PATIENCE.get(case, {})))
    assert (problem.trouble, problem.model) == (kind, "default")
    assert said in str(problem)
    assert server.base_url in str(problem)
    assert "\n" not in str(problem)
    assert problem.unavailable == (kind in UNAVAILABLE)


async def test_all_the_time_that_a_question_has_is_one_limit_whatever_the_server_sends(serve, models):
    problem = await trouble(models(serve(dialects.plain(), dialects.stalls("def "))), timeout_ms=200)
    assert problem.trouble == "timed_out"
    assert "0.2 s" in str(problem)


async def test_a_model_that_loads_is_waited_for(serve, models):
    server = serve(dialects.llama_cpp(), dialects.after(2, dialects.LOADING, dialects.says("Here.")))
    assert (await models(server).ask("default", Question("x"))).text == "Here."
    assert len(server.asked) == 3


async def test_a_server_that_loads_is_called_so_and_no_guess_is_kept(serve, models):
    server = serve(dialects.llama_cpp())
    ready, server.pages["/props"] = server.pages["/props"], (503, {"error": {"message": "Loading model"}})
    asked = models(server)
    assert (await asked.inspect("default")).health == "loading"
    server.pages["/props"] = ready
    assert (await asked.inspect("default")).context == 4096


@pytest.mark.parametrize("prefix", ["", "/v1/chat", "/api/v1"])
@pytest.mark.parametrize("make", [dialects.lm_studio, dialects.vllm, dialects.ollama])
async def test_a_base_url_that_is_nearly_right_is_put_right_in_the_message(serve, models, make, prefix):
    server = serve(make())
    problem = await trouble(models(server, base_url=server.root + prefix))
    assert problem.trouble == "wrong_url"
    assert f'set base_url = "{server.base_url}" in [models.default]' in str(problem)


async def test_the_key_is_sent_with_every_request_and_told_by_none(serve, models):
    server = serve(dialects.vllm())
    asked = models(server, api_key="sk-very-secret")
    await asked.ask("default", Question("x"))
    assert server.keys == {"Bearer sk-very-secret"}
    server.chat = dialects.refuses(401, {"error": {"message": "the key sk-very-secret is not known"}})
    problem = await trouble(asked)
    assert "the key *** is not known" in str(problem)
    server.chat = dialects.breaks_off({"error": "sk-very-secret is used up"})
    assert "*** is used up" in str(await trouble(asked))


def test_the_daemon_finds_a_key_among_the_secrets(house, serve):
    server = serve(dialects.vllm())
    config = f'[models.default]\nbase_url = "{server.base_url}"\napi_key = "${{MODEL_KEY}}"\n'
    (house.root / "config/local.toml").write_text(config)
    secrets = house.root / "config/secrets.env"
    secrets.write_text("MODEL_KEY=very-secret\n")
    secrets.chmod(0o600)
    house.start()
    steps = [{"skill": "local_model", "with": {"prompt": "Say hello."}}]
    house.drop(smoke("tsk_ask", skills=["local_model"], steps=steps))
    assert house.result("tsk_ask")["results"][0]["stdout"] == "Hello.\n"
    assert server.keys == {"Bearer very-secret"}


async def test_no_proxy_stands_between_this_machine_and_itself(serve, models, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await models(serve(dialects.vllm())).ask("default", Question("x"))).text == "Hello."


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
async def test_reasoning_is_told_apart_wherever_the_server_puts_it(serve, models, key):
    server = serve(dialects.plain(), dialects.says("Yes.", reasoning="Is it?", key=key))
    answer = await models(server).ask("default", Question("x"))
    assert (answer.text, answer.reasoning) == ("Yes.", "Is it?")


async def test_a_question_that_the_server_cut_without_a_word_is_no_answer(serve, models):
    asked = models(serve(dialects.ollama(), dialects.says("Sure.", prompt=4096)))
    problem = await trouble(asked, LONG[:24_000])  # as many characters a token as there may be: the context tells
    assert problem.trouble == "prompt_cut"
    assert "4096 tokens" in str(problem)
    kind = (await trouble(models(serve(dialects.plain(), dialects.says("Sure.", prompt=300))), LONG)).trouble
    assert kind == "prompt_cut"


@pytest.mark.parametrize("text", ["x", "def f(x): return x\n" * 16, " " * 60_000, "=" * 60_000])
async def test_a_question_that_was_read_whole_is_not_called_cut(serve, models, text):
    asked = models(serve(dialects.ollama(context=100_000), dialects.says("Sure.", prompt=max(1, len(text) // 16))))
    assert (await asked.ask("default", Question(text))).text == "Sure."


async def test_tokens_that_nobody_counted_are_estimated_and_said_to_be(serve, models):
    server = serve(dialects.plain(), dialects.says("x" * 40, counted=False))
    asked = models(server)
    answer = await asked.ask("default", Question("y" * 80))
    assert (answer.prompt_tokens, answer.completion_tokens, answer.measured) == (20, 10, False)
    assert not (await asked.ask("default", Question(LONG))).measured
    count = await asked.count("default", "z" * 9)
    assert (count.tokens, count.measured) == (3, False)
    count = await models(serve(dialects.vllm())).count("default", "z" * 9)
    assert (count.tokens, count.measured) == (3, True)


async def test_a_question_says_all_that_the_config_and_it_say(serve, models):
    server = serve(dialects.plain())
    asked = models(server, max_tokens=99, temperature=0.5)
    await asked.ask("default", Question("u", system="s"))
    await asked.ask("default", Question("u", max_tokens=11, temperature=0.0, schema={"type": "object"}))
    first, second = server.asked
    assert first["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert (first["max_tokens"], first["temperature"], "response_format" in first) == (99, 0.5, False)
    assert (second["max_tokens"], second["temperature"]) == (11, 0.0)
    assert second["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert first["stream_options"] == {"include_usage": True}


async def test_where_this_machine_can_open_nothing_more_no_server_is_blamed(serve, models):
    asked = models(serve(dialects.plain()))
    await asked.ask("default", Question("x"))
    with no_descriptor_left(), pytest.raises(OSError, match="Too many open files"):
        await asked.ask("default", Question("x"))
    assert (await asked.ask("default", Question("x"))).text == "Hello."
