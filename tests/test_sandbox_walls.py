"""What a step inside the sandbox can not do. All that is attacked here are canaries in a temporary folder."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import alive, require_program
from process_calls import is_alive
from sandbox_stage import yard

import orchestrator
from orchestrator.errors import FatalError, TaskError
from orchestrator.home import Home
from orchestrator.outcome import Access
from orchestrator.sandbox import Host, Sandbox, probe
from orchestrator.sandbox.sandbox import choose
from orchestrator.settings import SandboxSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a sandbox here")


@pytest.fixture
async def walls(tmp_path):
    async with yard(tmp_path) as ready:
        yield ready


@pytest.fixture
async def at_home(tmp_path):
    """The workspace is the orchestrator's home itself, as it is by default."""
    async with yard(tmp_path, workspace="home") as ready:
        yield ready


async def test_a_step_writes_into_its_workspace_and_its_own_tmp(walls):
    finished = await walls.bash("echo a > made && echo b > /tmp/b && cat made /tmp/b $(mktemp)")
    assert (finished.code, finished.stdout_tail) == (0, "a\nb\n")
    assert (walls.workspace / "made").read_text() == "a\n"
    assert not Path("/tmp/b").exists()


@pytest.mark.parametrize("place", ["/", "/etc", "/usr", "/usr/bin", "/var", "/opt", "/sys", "/boot", "/root"])
async def test_no_file_can_be_made_in_the_system(walls, place):
    assert await walls.refuses(f": > {place}/orchestrator-canary")
    assert not os.path.lexists(f"{place}/orchestrator-canary")


async def test_the_kernels_switches_can_not_be_opened_for_writing(walls):
    for switch in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger"):
        assert await walls.refuses(f": >> {switch}")


async def test_there_are_no_devices_but_the_harmless_ones(walls):
    finished = await walls.bash("find /dev -type b -o -type c | sort")
    assert set(finished.stdout_tail.split()) <= {
        f"/dev/{name}" for name in ("console", "full", "null", "ptmx", "pts/ptmx", "random", "tty", "urandom", "zero")
    }


async def test_the_users_home_can_be_read_and_not_written(walls):
    walls.secret(".bashrc", "plain")
    assert (await walls.bash("cat ~/.bashrc")).stdout_tail == "plain"
    for name in (".bashrc", ".profile", ".config/autostart/x", "new"):
        assert await walls.refuses(f"echo x >> ~/{name}")
    assert walls.secret(".bashrc", "plain").read_text() == "plain"


SECRETS = [
    ".ssh/id_ed25519", ".gnupg/private-keys-v1.d/k", ".aws/credentials", ".azure/t", ".config/gcloud/c.json",
    ".config/gh/hosts.yml", ".kube/config", ".docker/config.json", ".netrc", ".git-credentials",
    ".config/git/credentials", ".pypirc", ".npmrc", ".password-store/a.gpg", ".local/share/keyrings/l.keyring",
    ".mozilla/firefox/p/key4.db", ".config/google-chrome/Default/Cookies", ".bash_history", ".cargo/credentials.toml",
    ".cache/git/credential/socket", ".1password/agent.sock", ".minikube/client.key", "Maildir/new/1", ".lesshst",
]  # fmt: skip


async def test_what_unlocks_something_is_not_seen(walls):
    for name in SECRETS:
        walls.secret(name)
    finished = await walls.bash("grep -rs canary-secret ~ ; true")
    assert finished.stdout_tail == ""
    assert (await walls.bash("cat ~/.npmrc; ls -A ~/.ssh")).stdout_tail == ""
    assert await walls.refuses("echo x > ~/.ssh/authorized_keys")


async def test_a_secret_that_appears_while_the_daemon_runs_is_hidden_too(walls):
    assert (await walls.bash("ls -A ~/.aws")).status == "failed"
    walls.secret(".aws/credentials")
    assert (await walls.bash("cat ~/.aws/*; ls -A ~/.aws")).stdout_tail == ""


async def test_what_is_written_into_an_empty_place_of_secrets_is_hidden_too(walls):
    (walls.user / ".ssh").mkdir()
    (walls.user / ".netrc").write_text("")
    assert (await walls.bash("ls -A ~/.ssh; cat ~/.netrc")).code == 0
    walls.secret(".ssh/id")
    walls.secret(".netrc")
    assert (await walls.bash("ls -A ~/.ssh; cat ~/.ssh/* ~/.netrc")).stdout_tail == ""


async def test_a_secret_behind_a_link_is_hidden_where_it_really_lies(walls):
    (walls.stage.folder / "vault").mkdir()
    (walls.stage.folder / "vault" / "id").write_text("canary-secret")
    (walls.user / ".ssh").symlink_to(walls.stage.folder / "vault")
    assert (await walls.bash(f"cat ~/.ssh/id {walls.stage.folder}/vault/id")).stdout_tail == ""


async def test_a_variable_that_names_a_credential_file_hides_it(tmp_path):
    (tmp_path / "work").mkdir()
    secret = tmp_path / "work" / "key.json"
    secret.write_text("canary-secret")
    async with yard(tmp_path, environ={"GOOGLE_APPLICATION_CREDENTIALS": str(secret)}) as walls:
        assert (await walls.bash("cat key.json")).stdout_tail == ""


async def test_a_variable_that_names_nothing_or_a_whole_folder_hides_nothing_that_steps_need(tmp_path):
    async with yard(tmp_path, environ={"KUBECONFIG": "/dev/null", "XDG_RUNTIME_DIR": str(tmp_path)}) as walls:
        walls.secret("notes", "plain")
        assert (await walls.bash("echo x > /dev/null && cat ~/notes && echo y > made")).stdout_tail == "plain"
        assert (walls.workspace / "made").exists()


async def test_where_a_variable_moves_the_folder_of_secrets_they_are_hidden_there(tmp_path):
    async with yard(tmp_path, environ={"XDG_DATA_HOME": str(tmp_path / "user" / "data")}) as walls:
        walls.secret("data/keyrings/login.keyring")
        walls.secret("data/notes", "plain")
        assert (await walls.bash("cat ~/data/keyrings/* ~/data/notes")).stdout_tail == "plain"


@pytest.mark.parametrize("own", ["policy", "config", "skills", "state", "queue", "queue/done", "queue/running"])
async def test_the_orchestrators_own_folders_can_not_be_written(at_home, own):
    assert await at_home.refuses(f"echo x > {own}/canary")
    assert not (at_home.workspace / own / "canary").exists()


@pytest.mark.parametrize("own", ["policy", "queue", "state"])
async def test_nor_be_moved_away_and_replaced(at_home, own):
    assert await at_home.refuses(f"mv {own} elsewhere")
    assert await at_home.refuses(f"rm -rf {own}")
    assert (at_home.workspace / own).is_dir()
    assert (at_home.workspace / "policy" / "a.toml").exists()


async def test_a_folder_above_a_protected_one_can_not_be_moved_either(tmp_path):
    async with yard(tmp_path, workspace=".", write=[str(tmp_path)]) as walls:
        assert await walls.refuses("mv home elsewhere")
        assert await walls.refuses("echo x > home/policy/canary")
        assert (await walls.bash("echo x > home/notes && mkdir -p sub && mv home/notes sub/")).code == 0
    assert (tmp_path / "sub" / "notes").exists()


async def test_a_task_may_queue_a_task_unless_it_has_no_network(at_home):
    assert (await at_home.bash("echo x > queue/inbox/.a.json && mv queue/inbox/.a.json queue/inbox/a.json")).code == 0
    assert await at_home.refuses("echo x > queue/inbox/b.json", access=Access(network=False))


async def test_git_hooks_and_config_of_the_workspace_stay_as_they_are(walls):
    require_program("git")
    subprocess.run(["git", "init", "-q", walls.workspace], check=True)
    before = (walls.workspace / ".git/config").read_text()
    for script in (
        "echo x > .git/hooks/post-commit", "git config core.pager evil", "echo x >> .git/config", "mv .git g",
        "rm .git/config", "mv .git/hooks h", "rm -rf .git/hooks",
    ):  # fmt: skip
        assert await walls.refuses(script), script
    assert (walls.workspace / ".git/config").read_text() == before
    assert not (walls.workspace / ".git/hooks/post-commit").exists()


async def test_hooks_that_are_not_there_can_not_be_made(walls):
    require_program("git")
    subprocess.run(["git", "init", "-q", "--template=", walls.workspace], check=True)
    assert await walls.refuses("mkdir -p .git/hooks; echo x > .git/hooks/pre-commit")


async def test_a_git_file_does_not_open_a_folder_that_does_not_name_it_back(walls):
    elsewhere = walls.stage.folder / "elsewhere" / ".git" / "worktrees" / "w"
    elsewhere.mkdir(parents=True)
    (walls.workspace / ".git").write_text(f"gitdir: {elsewhere}\n")
    assert await walls.refuses(f"echo x > {elsewhere.parent.parent}/HEAD")


async def test_protection_behind_a_link_is_refused_rather_than_missing(at_home):
    policy = at_home.workspace / "policy"
    policy.rename(at_home.stage.folder / "rules")
    policy.symlink_to(at_home.stage.folder / "rules")
    with pytest.raises(TaskError, match="symbolic link"):
        at_home.call("/bin/true")


@pytest.mark.parametrize("place", ["/", "/etc", "/usr/local/lib", "/tmp", "/var", "{user}", "{folder}", "{policy}"])
async def test_a_workspace_that_is_not_a_tasks_to_write_is_refused(walls, place):
    folder = place.format(user=walls.user, folder=walls.stage.folder, policy=walls.home.policy)
    with pytest.raises(TaskError, match="workspace"):
        walls.call("/bin/true", cwd=folder)


async def test_processes_outside_are_neither_seen_nor_hit(walls):
    outside = subprocess.Popen(["sleep", "1000"])
    try:
        finished = await walls.bash(
            f"kill -0 {outside.pid} 2>&1; kill -TERM {outside.pid}; ls /proc | grep -c '^[0-9]'; ls /proc/{outside.pid}"
        )
        assert int(finished.stdout_tail.split()[-1]) < 10
        assert "No such process" in finished.stdout_tail + finished.stderr_tail
        assert alive(outside.pid)
    finally:
        outside.kill()
        outside.wait()


async def test_the_daemons_environment_is_not_to_be_found(walls, monkeypatch):
    monkeypatch.setenv("CANARY", "daemon-secret")
    daemon = os.getpid()
    finished = await walls.bash(f"cat /proc/{daemon}/environ; cat /proc/*/environ | tr '\\0' '\\n'; env")
    assert "daemon-secret" not in finished.stdout_tail
    assert "ORCHESTRATOR_MARK" in finished.stdout_tail


async def test_sockets_of_services_are_out_of_reach(walls):
    folder = Path("/run") if os.access("/run", os.W_OK) else walls.stage.folder
    place = folder / f"orchestrator-canary-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen()
        try:
            knock = f"import socket; socket.socket(socket.AF_UNIX).connect({str(place)!r})"
            subprocess.run(["/usr/bin/python3", "-c", knock], check=True)
            assert (await walls.run("/usr/bin/python3", "-c", knock)).status == "failed"
        finally:
            place.unlink()
    assert (await walls.bash("find /run -type s")).stdout_tail == ""


async def test_sockets_without_a_path_are_out_of_reach_but_for_a_steps_own(walls):
    if not probe().scopes:
        pytest.skip("this kernel's Landlock knows no scopes")
    name = f"orchestrator-canary-{os.getpid()}"
    knock = f"import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}')"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        subprocess.run(["/usr/bin/python3", "-c", knock], check=True)
        finished = await walls.run("/usr/bin/python3", "-c", knock)
    assert finished.status == "failed"
    assert "PermissionError" in finished.stderr_tail
    own = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0own'); s.listen()\n"
    finished = await walls.run("/usr/bin/python3", "-c", own + knock.replace(name, "own"))
    assert finished.code == 0, finished.stderr_tail


async def test_without_network_not_even_this_host_is_reached(walls):
    with socket.create_server(("127.0.0.1", 0)) as server:
        knock = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        assert (await walls.run("/usr/bin/python3", "-c", knock)).code == 0
        assert (await walls.run("/usr/bin/python3", "-c", knock, access=Access(network=False))).status == "failed"


async def test_no_program_gains_rights(walls):
    finished = await walls.bash("grep -E 'NoNewPrivs|CapEff|CapBnd' /proc/self/status | cut -f2")
    assert finished.stdout_tail.split()[0] == "0" * 16
    assert finished.stdout_tail.split()[2] == "1"


async def test_a_library_that_a_step_names_is_not_loaded_into_the_sandbox_itself(walls):
    call = walls.call("/bin/bash", "-c", "echo $LD_PRELOAD", env={"LD_PRELOAD": "/evil.so"})
    assert "LD_PRELOAD" not in call.env
    finished = await walls.bash("echo $LD_PRELOAD", env={"LD_PRELOAD": "/evil.so"})
    assert finished.stdout_tail == "/evil.so\n"
    assert finished.stderr_tail.count("/evil.so") == 1  # the loader of bash complains, that of bwrap does not


@pytest.mark.parametrize("made", ["touch sitecustomize.py", "mkdir sitecustomize && touch sitecustomize/__init__.py"])
async def test_what_python_would_import_at_the_daemons_next_start_can_not_be_left_behind(walls, made):
    """In a checkout the workspace is also where this package is imported from."""
    beside = [f"{walls.workspace}/sitecustomize{suffix}" for suffix in ("", ".py")]
    walls.sandbox._world = replace(walls.sandbox._world, absent=tuple(beside))
    finished = await walls.bash(made)
    assert finished.status == "failed"
    assert "it made " in finished.error
    assert not any(map(os.path.lexists, beside))
    Path(beside[1]).write_text("")
    with pytest.raises(TaskError, match="remove it"):
        walls.call("/bin/true")


def test_those_of_a_checkout_lie_beside_the_package():
    absent = Sandbox(SandboxSettings(), Host(), Home("/nowhere"), "/nowhere", "", {})._world.absent
    beside = Path(orchestrator.__file__).parents[1]
    assert not absent or {f"{beside}/sitecustomize.py", f"{beside}/usercustomize"} <= set(absent)
    assert absent or beside.name == "site-packages"


async def test_no_descriptor_but_the_three_reaches_a_step(walls):
    finished = await walls.run(
        "/usr/bin/python3", "-c", "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
    )
    assert finished.stdout_tail == "[0, 1, 2, 3]\n"  # 3 is the listing's own


ESCAPES = {
    "background": "sleep 1000 & echo $!",
    "session": "setsid sleep 1000 & echo $!",
    "double fork": "(setsid sh -c '(sleep 1000 &)' &); echo 1",
    "no environment": "env -i setsid /bin/sleep 1000 >/dev/null 2>&1 & echo $!",
}


@pytest.mark.parametrize("escape", ESCAPES)
async def test_nothing_outlives_the_step(walls, escape):
    (walls.workspace / "namespace").write_text("")
    finished = await walls.bash(f"readlink /proc/self/ns/pid > namespace; {ESCAPES[escape]}")
    assert finished.code == 0
    assert not in_namespace((walls.workspace / "namespace").read_text().strip())


def in_namespace(name):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") == name and is_alive(int(pid)):
                found.append(int(pid))
        except OSError:
            continue
    return found


async def test_more_can_be_hidden_written_and_shown_by_the_skill(walls):
    beside = walls.stage.folder / "beside"
    beside.mkdir()
    walls.secret(".ssh/config", "Host *")
    walls.secret(".ssh/id", "canary-secret")
    (walls.workspace / ".env").write_text("canary-secret")
    access = Access(
        write=(str(beside),), hide=(str(walls.workspace / ".env"),), show=(str(walls.user / ".ssh/config"),)
    )
    finished = await walls.bash(f"echo x > {beside}/made; cat .env ~/.ssh/*; ls ~/.ssh", access=access)
    assert finished.stdout_tail == "Host *config\n"
    assert (beside / "made").exists()


async def test_what_is_hidden_in_the_workspace_stays_so_for_later_steps(walls):
    (walls.workspace / "conf").mkdir()
    (walls.workspace / "conf" / ".env").write_text("canary-secret")
    access = Access(hide=(str(walls.workspace / "conf" / ".env"),))
    for move in ("mv conf c", "mv conf/.env e", "ln conf/.env e", "rm -rf conf"):
        assert await walls.refuses(move, access=access), move
    assert (await walls.bash("cat */.env e", access=access)).stdout_tail == ""


async def test_more_can_be_hidden_written_and_shown_by_the_configuration(tmp_path):
    (tmp_path / "beside").mkdir()
    settings = {"write": [f"{tmp_path}/beside"], "hide": ["~/diary"], "show": ["~/.npmrc"]}
    async with yard(tmp_path, **settings) as walls:
        walls.secret("diary/today")
        walls.secret(".npmrc", "registry=x")
        finished = await walls.bash(f"echo x > {tmp_path}/beside/made; cat ~/diary/* ~/.npmrc")
        assert finished.stdout_tail == "registry=x"
    assert (tmp_path / "beside" / "made").exists()


def test_a_level_that_is_not_there_is_refused_with_what_to_do():
    bare = Host(why="bwrap is not installed", advice="install bubblewrap")
    with pytest.raises(FatalError, match="bwrap is not installed; install bubblewrap"):
        choose(SandboxSettings(level="bwrap"), bare)
    with pytest.raises(FatalError, match="no Landlock"):
        choose(SandboxSettings(level="landlock"), bare)
    with pytest.raises(FatalError, match=r"require is landlock.*offers only none"):
        choose(SandboxSettings(require="landlock"), bare)
    with pytest.raises(FatalError, match=r"require is bwrap.*sandbox.level is none"):
        choose(SandboxSettings(level="none", require="bwrap"), Host("/usr/bin/bwrap", 4))
    assert choose(SandboxSettings(), bare) == "none"
    assert choose(SandboxSettings(), Host("/usr/bin/bwrap", 4)) == "bwrap"
    assert choose(SandboxSettings(require="landlock"), Host("", 4)) == "landlock"


async def test_a_sandbox_that_fails_is_the_end_of_the_step_and_no_way_around_it(walls):
    call = walls.call("/bin/bash", "-c", "echo ran > made")
    wall = replace(call.confinement, argv=(*call.confinement.argv[:-1], "--ro-bind", "/nowhere", "/nowhere", "--"))
    finished = await walls.stage.runner.run(
        replace(call, confinement=wall), out_path=str(walls.stage.out), err_path=str(walls.stage.err), mark="m"
    )
    assert (finished.status, finished.code) == ("failed", 126)
    assert "the sandbox could not be set up" in finished.error
    assert not (walls.workspace / "made").exists()
