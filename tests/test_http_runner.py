"""The http runner against real servers: what it asks, what it answers, and what it never does."""

import asyncio
import gzip
import json
import logging
import os
import socket
import ssl
import sys
import threading
import tracemalloc
import zlib

import pytest
from conftest import no_descriptor_left, require_program
from http_calls import Caller, make_certificate, response, serving

from orchestrator.errors import TaskError
from orchestrator.runners.http.exchange import MAX_REDIRECTS
from orchestrator.runners.http.failure import Code
from orchestrator.runners.http.workspace import SavedFile
from orchestrator.settings import HttpSettings


@pytest.fixture
def caller(tmp_path):
    return Caller(tmp_path)


@pytest.fixture
def names(monkeypatch):
    """A name server: `names["a.test"] = [[first answer's addresses], [second's], …]`; `names["asked"]` in order."""
    answers, asked = {}, []
    real = socket.getaddrinfo

    def look_up(host, port, *args, **kwargs):
        if host not in answers:
            return real(host, port, *args, **kwargs)
        asked.append(host)
        now = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        if not now:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in now]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    answers["asked"] = asked
    return answers


def redirect(location, status="302 Found"):
    return response(b"moved", status, Location=location)


# --- what is asked and answered ---


async def test_the_body_is_the_output_and_the_exchange_is_told_beside_it(caller):
    async with serving(response(b"hello\n", Content_Type="text/plain", Set_Cookie="s=geheim")) as server:
        finished = await caller.get(server.url("/a?b=c"), headers={"X-Key": "geheim"})
    assert (finished.status, finished.code, finished.error) == ("ok", 0, None)
    assert (finished.stdout_tail, caller.out.read_text()) == ("hello\n", "hello\n")
    told = finished.stderr_tail.splitlines()
    assert told[0] == f"> GET {server.url('/a?b=c')} (127.0.0.1)"
    assert "> with headers: x-key" in told
    assert "< 200 OK" in told
    assert "< content-type: text/plain" in told
    assert "< other headers: set-cookie" in told
    assert "geheim" not in finished.stderr_tail
    assert caller.out.stat().st_mode & 0o777 == 0o600


async def test_method_query_headers_and_json_arrive_as_they_were_given(caller):
    async with serving(response()) as server:
        await caller.get(
            server.url("/x?a=1"), method="POST", query={"q": "a b&", "n": 2, "t": True}, json={"k": ["ä", None]},
            headers={"X-One": "1", "accept": "text/plain"},
        )  # fmt: skip
    (request,) = server.requests
    assert (request["method"], request["target"]) == ("POST", "/x?a=1&q=a+b%26&n=2&t=true")
    assert json.loads(request["body"]) == {"k": ["ä", None]}
    sent = request["headers"]
    assert (sent["x-one"], sent["accept"], sent["content-type"]) == ("1", "text/plain", "application/json")
    assert (sent["host"], sent["connection"]) == (f"127.0.0.1:{server.port}", "close")
    assert set(sent) == {"host", "user-agent", "accept", "accept-encoding", "connection", "content-length",
                         "content-type", "x-one"}  # fmt: skip


@pytest.mark.parametrize(
    "target", ["//a.example/b", "/a/../b/./c", "/%2e%2e/%zz?x=%20+&y=[1]", "/?a=http://b.example/"]
)
async def test_path_and_query_are_sent_as_the_gate_saw_them(caller, target):
    async with serving(response()) as server:
        call = caller.call(server.url(target))
        await caller.run(call)
    assert server.requests[0]["target"] == target
    assert call.argv[2] == server.url(target)


async def test_text_and_files_are_sent_whole(caller):
    data = os.urandom(300_000)
    (caller.workspace / "sub").mkdir()
    (caller.workspace / "sub" / "data.bin").write_bytes(data)
    async with serving(response()) as server:
        await caller.get(server.url(), method="PUT", body="grüße")
        finished = await caller.get(server.url(), method="PUT", body_file="sub/data.bin")
    assert finished.status == "ok"
    assert [request["body"] for request in server.requests] == ["grüße".encode(), data]
    assert "transfer-encoding" not in server.requests[1]["headers"]


@pytest.mark.parametrize(
    ("expected", "status", "ok"),
    [
        (None, "204 No Content", True),
        (None, "404 Not Found", False),
        (None, "503 Busy", False),
        (None, "429 Too Many", False),
        (404, "404 Not Found", True),
        (404, "200 OK", False),
        ("4xx", "418 Teapot", True),
        (["2xx", "400-404"], "403 Forbidden", True),
        ([301], "301 Moved", True),
    ],
)
async def test_the_status_decides(caller, expected, status, ok):
    inputs = {} if expected is None else {"expect_status": expected}
    async with serving(response(b"" if "204" in status else b"body", status, Location="http://evil.test/")) as server:
        finished = await caller.get(server.url(), **inputs)
    if ok:
        assert (finished.status, finished.code) == ("ok", 0)
        return
    assert (finished.status, finished.code) == ("failed", Code.STATUS)
    assert finished.failure == ("server_error" if status[:3] in ("503", "429") else "bad_answer")
    assert finished.stdout_tail == "body"
    assert f"the server answered {status}, and not " in finished.error
    assert finished.stderr_tail.endswith(f"http: {finished.error}\n")


async def test_no_cookie_and_no_connection_outlives_a_call(caller):
    async with serving(response(Set_Cookie="s=1; Path=/", Connection="keep-alive")) as server:
        await caller.get(server.url())
        await asyncio.wait_for(server.closed.wait(), 20)
        await caller.get(server.url())
    assert ["cookie" in request["headers"] for request in server.requests] == [False, False]


async def test_the_environment_has_no_say(caller, monkeypatch):
    async with serving(response(b"proxy")) as proxy, serving(response(b"direct")) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        finished = await caller.get(server.url())
    assert finished.stdout_tail == "direct"
    assert proxy.requests == []


async def test_no_library_logs_what_was_asked(caller, caplog):
    caplog.set_level(logging.DEBUG)
    async with serving(response(b"x")) as server:
        await caller.get(server.url("/?token=geheim"), headers={"Authorization": "geheim"})
    for record in caplog.records:
        if record.levelno >= logging.WARNING:
            assert "geheim" not in record.getMessage()


async def test_what_a_server_says_cannot_steer_a_terminal(caller):
    async with serving(response(b"", "404 \x1b[2J", Content_Type="text/\x1b[31mplain")) as server:
        finished = await caller.get(server.url())
    assert "\x1b" not in finished.stderr_tail + finished.error


# --- what is refused ---


async def test_an_untrusted_host_is_refused_before_anything_starts(caller):
    with pytest.raises(TaskError, match="trusted_hosts in section") as refused:
        caller.call("https://api.example.com/")
    assert refused.value.reason == "invalid"


async def test_a_host_that_is_trusted_no_more_is_refused_by_the_runner(caller, names):
    names["api.test"] = [["127.0.0.1"]]
    async with serving(response()) as server:
        caller.trust(f"api.test:{server.port}", "127.0.0.1")
        call = caller.call(server.url(host="api.test"))
        caller.trust()
        finished = await caller.run(call)
    assert (finished.status, finished.code) == ("failed", Code.BAD_URL)
    assert names["asked"] == []
    assert server.requests == []


async def test_a_name_is_looked_up_once_and_the_checked_address_is_used(caller, names):
    """DNS rebinding: the second answer would lead elsewhere."""
    names["api.test"] = [["127.0.0.1"], ["127.0.0.2"]]
    async with (
        serving(response(b"checked")) as server,
        serving(response(b"rebound"), host="127.0.0.2", port=server.port) as other,
    ):
        caller.trust(f"api.test:{server.port}", "127.0.0.1")
        finished = await caller.get(server.url(host="api.test"))
    assert finished.stdout_tail == "checked"
    assert names["asked"] == ["api.test"]
    assert server.requests[0]["headers"]["host"] == f"api.test:{server.port}"
    assert other.requests == []


@pytest.mark.parametrize("addresses", [["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["10.0.0.1"], ["0.0.0.0"]])
async def test_a_name_that_leads_to_an_unlisted_address_is_not_connected_to(caller, names, addresses):
    names["api.test"] = [addresses]
    async with serving(response()) as server:
        caller.trust(f"api.test:{server.port}", "127.0.0.1")
        finished = await caller.get(server.url(host="api.test"))
    assert (finished.status, finished.code) == ("failed", Code.BAD_URL)
    assert f"leads to {addresses[-1]}" in finished.error
    assert server.requests == []


async def test_localhost_is_this_machine_whatever_a_name_server_says(caller, names):
    names["localhost"] = names["x.localhost"] = [["10.0.0.1"]]
    async with serving(response(b"here")) as server:
        assert (await caller.get(server.url(host="localhost"))).stdout_tail == "here"
        assert (await caller.get(server.url(host="x.localhost"))).stdout_tail == "here"
    assert names["asked"] == []


async def test_the_next_address_is_tried_where_nobody_listens(caller, names):
    names["api.test"] = [["127.0.0.2", "127.0.0.1"]]
    async with serving(response(b"second")) as server:
        caller.trust(f"api.test:{server.port}", "127.0.0.0/8")
        finished = await caller.get(server.url(host="api.test"))
    assert (finished.status, finished.stdout_tail) == ("ok", "second")
    assert "* no connection to api.test" in finished.stderr_tail


async def test_a_name_without_address_and_a_closed_port_are_told(caller, names):
    names["gone.test"] = [[]]
    caller.trust("gone.test")
    finished = await caller.get("http://gone.test/")
    assert (finished.code, finished.error) == (
        Code.NO_ADDRESS, "no address is known of `gone.test`: Name or service not known",
    )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        finished = await caller.get(f"http://localhost:{port}/")
    assert (finished.code, finished.failure) == (Code.NOT_CONNECTED, "connection_failed")
    assert finished.error == f"no connection to localhost:{port}: Connection refused"


# --- redirects ---


async def test_redirects_are_followed_and_a_post_becomes_a_get(caller):
    def answer(request):
        return redirect("/b?c") if request["target"] == "/a" else response(b"end")

    async with serving(answer) as server:
        finished = await caller.get(server.url("/a"), method="POST", json={"x": 1})
    assert finished.stdout_tail == "end"
    assert [(request["method"], request["body"]) for request in server.requests] == [("POST", b'{"x":1}'), ("GET", b"")]
    assert "content-type" not in server.requests[1]["headers"]


async def test_307_sends_the_same_again_on_the_same_host(caller):
    (caller.workspace / "f").write_text("from a file")

    def answer(request):
        return redirect("/b", "307 Temporary Redirect") if request["target"] == "/a" else response()

    async with serving(answer) as server:
        await caller.get(server.url("/a"), method="PUT", body_file="f", headers={"Authorization": "s"})
    assert [(request["method"], request["body"]) for request in server.requests] == [("PUT", b"from a file")] * 2
    assert [request["headers"]["authorization"] for request in server.requests] == ["s", "s"]


async def test_across_hosts_only_harmless_headers_go_along(caller):
    async with serving(response(b"end")) as second, serving(lambda _: redirect(second.url())) as first:
        headers = {"Authorization": "s", "Cookie": "s", "X-Api-Key": "s", "Accept": "text/plain"}
        finished = await caller.get(first.url(), headers=headers)
    assert finished.stdout_tail == "end"
    assert first.requests[0]["headers"]["authorization"] == "s"
    sent = second.requests[0]["headers"]
    assert "s" not in sent.values()
    assert sent["accept"] == "text/plain"


async def test_a_body_is_not_sent_on_to_another_host(caller):
    async with (
        serving(response()) as second,
        serving(lambda _: redirect(second.url(), "308 Permanent Redirect")) as first,
    ):
        finished = await caller.get(first.url(), method="POST", body="x")
    assert (finished.status, finished.code) == ("failed", Code.UNSUPPORTED)
    assert "would send the body to another host" in finished.error
    assert second.requests == []


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://evil.test/", "trusted host"),
        ("//evil.test/", "trusted host"),
        ("http://169.254.169.254/latest/", "trusted host"),
        ("http://0x7f000001/", "four decimal numbers"),
        ("http://[::ffff:127.0.0.1]/", "one form"),
        ("http://x@localhost/", "user or password"),
        ("file:///etc/passwd", "only http and https"),
        ("http://localhost\\.evil.test/", "backslash"),
    ],
)
async def test_a_redirect_is_judged_like_the_first_url(caller, location, said):
    async with serving(redirect(location)) as server:
        finished = await caller.get(server.url())
    assert (finished.status, finished.code) == ("failed", Code.BAD_URL)
    assert finished.error.startswith("the redirect to ")
    assert said in finished.error
    assert len(server.requests) == 1


async def test_a_redirect_to_a_name_is_looked_up_and_checked(caller, names):
    names["api.test"] = [["10.0.0.1"]]
    caller.trust("api.test")
    async with serving(redirect("http://api.test/")) as server:
        finished = await caller.get(server.url())
    assert finished.code == Code.BAD_URL
    assert "leads to 10.0.0.1" in finished.error


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_another_machine_cannot_send_us_to_this_one(caller, names, host):
    names["api.test"] = [["127.0.0.1"]]
    async with serving(response()) as inner, serving(lambda _: redirect(inner.url(host=host))) as server:
        caller.trust(f"api.test:{server.port}", "127.0.0.1")
        finished = await caller.get(server.url(host="api.test"))
    assert (finished.status, finished.code) == ("failed", Code.BAD_URL)
    assert "may not send us to this one" in finished.error
    assert inner.requests == []


async def test_redirects_in_a_circle_come_to_an_end(caller):
    async with serving(redirect("/")) as server:
        finished = await caller.get(server.url())
    assert finished.code == Code.TOO_MANY_REDIRECTS
    assert len(server.requests) == MAX_REDIRECTS + 1


# --- TLS ---


@pytest.fixture
def tls(tmp_path):
    require_program("openssl")
    key, certificate = make_certificate(tmp_path, "DNS:localhost", "DNS:api.test", "IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.names = []
    context.sni_callback = lambda _socket, name, _context: context.names.append(name)
    context.authority = str(certificate)
    return context


async def test_tls_verifies_the_name_and_not_the_address(caller, names, tls):
    names["api.test"] = names["other.test"] = [["127.0.0.1"]]
    async with serving(response(b"safe"), tls=tls) as server:
        hosts = [f"{name}:{server.port}" for name in ("api.test", "other.test")]
        caller.trust(*hosts, "127.0.0.1", ca_file=tls.authority)
        for host in ("api.test", "localhost", "127.0.0.1"):
            assert (await caller.get(server.url(scheme="https", host=host))).stdout_tail == "safe"
        wrong = await caller.get(server.url(scheme="https", host="other.test"))
    assert (wrong.status, wrong.code) == ("failed", Code.NOT_VERIFIED)
    assert "other.test" in wrong.error
    assert tls.names == ["api.test", "localhost", None, "other.test"]


async def test_an_unknown_authority_is_not_believed_even_on_this_machine(caller, tls, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", tls.authority)
    async with serving(response(), tls=tls) as server:
        finished = await caller.get(server.url(scheme="https", host="localhost"))
    assert finished.code == Code.NOT_VERIFIED
    assert finished.error.endswith("self-signed certificate")
    assert server.requests == []


async def test_a_redirect_does_not_leave_tls(caller, tls):
    async with serving(response(b"plain")) as plain, serving(lambda _: redirect(plain.url()), tls=tls) as server:
        caller.trust(ca_file=tls.authority)
        finished = await caller.get(server.url(scheme="https", host="localhost"))
    assert finished.code == Code.UNSUPPORTED
    assert "would leave TLS" in finished.error
    assert plain.requests == []


async def test_a_server_without_tls_and_a_missing_authority_are_told(caller):
    async with serving(response()) as server:
        listener = await asyncio.start_server(lambda _, writer: writer.write(b"HTTP/1.1 200 OK\r\n\r\n"), "127.0.0.1")
        port = listener.sockets[0].getsockname()[1]
        finished = await caller.get(f"https://localhost:{port}/")
        listener.close()
        assert finished.code == Code.TLS
        caller.trust(ca_file="missing.pem")
        finished = await caller.get(server.url(scheme="https", host="localhost"))
    assert finished.code == Code.TLS
    assert "ca_file" in finished.error
    assert "missing.pem" in finished.error


# --- sizes ---


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate", "two members", ""])
async def test_packed_answers_are_unpacked(caller, encoding):
    text = bytes(range(256)) * 1000
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(text), "deflate": zlib.compress(text), "raw deflate": raw.compress(text) + raw.flush(),
        "two members": gzip.compress(text[:1000]) + gzip.compress(text[1000:]), "": text,
    }[encoding]  # fmt: skip
    name = {"two members": "gzip", "raw deflate": "deflate", "": None}.get(encoding, encoding)
    async with serving(response(packed, Content_Encoding=name)) as server:
        finished = await caller.get(server.url())
    assert (finished.status, finished.error) == ("ok", None)
    assert caller.out.read_bytes() == text
    assert server.requests[0]["headers"]["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [
        (gzip.compress(b"x" * 100)[:-4], "gzip", "ends before"),
        (b"not packed", "gzip", "can't be unpacked"),
        (b"x", "br", "encoded as `br`"),
        (gzip.compress(gzip.compress(b"x")), "gzip, gzip", "encoded as `gzip, gzip`"),
    ],
    ids=["cut", "not packed", "another encoding", "packed twice"],
)
async def test_a_body_that_cannot_be_unpacked_is_told(caller, body, encoding, said):
    async with serving(response(body, Content_Encoding=encoding)) as server:
        finished = await caller.get(server.url())
    assert (finished.status, finished.code) == ("failed", Code.BAD_ENCODING)
    assert said in finished.error


async def test_a_bomb_stops_at_the_limit_and_never_fills_memory(caller):
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 20)
    bomb = b"".join(packer.compress(block) for _ in range(64)) + packer.flush()  # 64 MiB in 64 KiB
    limit = 16 << 20
    async with serving(response(bomb, Content_Encoding="gzip")) as server:
        await caller.get(server.url(), max_bytes=10)  # what the first request imports is not the bomb's
        call = caller.call(server.url(), max_bytes=limit)
        tracemalloc.start()
        try:
            finished = await caller.run(call)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (finished.status, finished.code) == ("failed", Code.TOO_LARGE)
    assert limit - (64 << 10) <= finished.stdout_bytes <= limit
    assert peak < 3 << 20
    assert caller.out.stat().st_size <= 1 << 20


async def test_an_answer_without_a_length_stops_at_the_limit(caller):
    async def answer(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    async with serving(lambda _: answer) as server:
        finished = await caller.get(server.url(), max_bytes=100_000)
        await asyncio.wait_for(server.closed.wait(), 20)
    assert finished.code == Code.TOO_LARGE
    assert finished.stdout_bytes <= 100_000


async def test_a_length_that_is_too_large_is_enough_to_stop(caller):
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n") as server:
        finished = await caller.get(server.url(), max_bytes=100)
    assert (finished.code, finished.stdout_bytes) == (Code.TOO_LARGE, 0)


async def test_a_step_cannot_ask_for_more_than_the_config_allows(caller):
    caller.settings = HttpSettings(max_bytes=2048)
    with pytest.raises(TaskError, match="more than `max_bytes`"):
        caller.call("http://localhost/", max_bytes=2049)
    async with serving(response(b"x" * 2049)) as server:
        assert (await caller.get(server.url())).code == Code.TOO_LARGE


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(20_000)) + b"\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_endless_headers_and_other_protocols_are_not_proper_http(caller, head):
    async with serving(head) as server:
        finished = await caller.get(server.url())
    assert (finished.status, finished.code) == ("failed", Code.BAD_ANSWER)
    assert "no proper HTTP" in finished.error


@pytest.mark.skipif(sys.platform != "linux", reason="the limit counts otherwise elsewhere")
async def test_without_a_descriptor_left_nothing_is_sent_and_it_can_be_tried_again(caller):
    (caller.workspace / "body").write_text("x")
    async with serving(response(b"hello")) as server:
        assert (await caller.get(server.url())).status == "ok"  # all is loaded
        for inputs in ({}, {"method": "POST", "body_file": "body"}, {"save": "saved"}):
            with no_descriptor_left(), pytest.raises(OSError, match="Too many open files"):
                await caller.get(server.url(), **inputs)
        assert len(server.requests) == 1
        assert (await caller.get(server.url())).stdout_tail == "hello"


async def test_a_connection_that_ends_too_early_is_told(caller):
    async def answer(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        writer.close()

    async with serving(lambda _: answer) as server:
        finished = await caller.get(server.url())
    assert finished.status == "failed"
    assert finished.code in (Code.BAD_ANSWER, Code.NOT_RECEIVED)
    assert finished.stdout_tail == "part"


# --- time ---


async def drip(writer):
    """A byte at a time, each in good time for any limit on a single read."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.01)


async def drip_head(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not writer.is_closing():
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("slow", [drip, drip_head])
async def test_a_dripping_server_ends_at_the_steps_timeout(caller, slow):
    async with serving(lambda _: slow) as server:
        finished = await caller.get(server.url(), timeout=1000)
        await asyncio.wait_for(server.closed.wait(), 20)
    assert (finished.status, finished.code) == ("timed_out", Code.TIMED_OUT)
    assert "within the step's timeout" in finished.stderr_tail
    if slow is drip:
        assert finished.stdout_tail.startswith("..")


async def test_the_deadline_is_one_for_all_redirects(caller):
    async def answer(writer):
        await asyncio.sleep(0.2)
        writer.write(redirect("/"))

    async with serving(lambda _: answer) as server:
        finished = await caller.get(server.url(), timeout=500)
    assert finished.status == "timed_out"
    assert len(server.requests) < MAX_REDIRECTS + 1


async def test_a_server_that_never_answers_the_handshake_ends_at_the_timeout(caller):
    listener = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    finished = await caller.get(f"https://localhost:{port}/", timeout=400)
    listener.close()
    assert finished.status == "timed_out"


async def test_a_name_server_that_never_answers_holds_up_nothing(caller, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(60) and [])
    caller.trust("api.test")
    finished = await caller.get("http://api.test/", timeout=200)
    release.set()
    assert finished.status == "timed_out"


@pytest.mark.parametrize("how", ["the event", "the runner's end"])
async def test_a_cancel_ends_a_request_at_once(caller, how):
    async with serving(lambda _: drip) as server:
        cancelled = asyncio.Event()
        running = asyncio.ensure_future(caller.run(caller.call(server.url(), timeout=60_000), cancelled=cancelled))
        while not (caller.out.exists() and caller.out.stat().st_size):
            await asyncio.sleep(0.005)
        if how == "the event":
            cancelled.set()
        else:
            await caller.runner.close()
        finished = await asyncio.wait_for(running, 20)
        await asyncio.wait_for(server.closed.wait(), 20)
    assert finished.status == "cancelled"


async def test_what_was_cancelled_before_it_began_asks_nothing(caller):
    cancelled = asyncio.Event()
    cancelled.set()
    async with serving(response()) as server:
        assert (await caller.run(caller.call(server.url()), cancelled=cancelled)).status == "cancelled"
        await caller.runner.close()
        assert (await caller.get(server.url())).status == "cancelled"
    assert server.requests == []


async def test_a_cancelled_task_passes_its_cancellation_on(caller):
    async with serving(lambda _: drip) as server:
        running = asyncio.ensure_future(caller.get(server.url()))
        while not server.requests:
            await asyncio.sleep(0.005)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.wait_for(server.closed.wait(), 20)


async def test_no_descriptor_is_closed_under_a_thread_that_uses_it(caller, monkeypatch):
    loop, writes, seen = asyncio.get_running_loop(), threading.Event(), []
    cancelled = asyncio.Event()

    def write(saved, _data):
        if writes.is_set() or threading.current_thread() is threading.main_thread():
            return
        writes.set()
        turns = threading.Semaphore(0)
        loop.call_soon_threadsafe(cancelled.set)
        for _ in range(50):  # whatever the loop does at a cancel it has done by then
            loop.call_soon_threadsafe(turns.release)
            turns.acquire()
        seen.append(saved._fd)

    monkeypatch.setattr(SavedFile, "write", write)
    async with serving(response(b"x" * 1_000_000)) as server:
        finished = await caller.run(caller.call(server.url(), save="large"), cancelled=cancelled)
    assert finished.status == "cancelled"
    assert seen
    assert seen[0] >= 0
