"""Programs that run what lies in the folder where they stand, and the files by which they know what that is.

Rule: names only, one row for each kind of project: its files, then its programs. Who reads what the files hold is
said elsewhere.
"""

from __future__ import annotations

import posixpath
import re

from orchestrator.shell.command import Command
from orchestrator.shell.shells import SHELLS

_PROJECTS = (
    ("Makefile makefile GNUmakefile", "make gmake"),
    ("package.json .npmrc .yarnrc", "npm yarn pnpm bun npx bunx turbo nx lerna"),
    ("deno.json deno.jsonc", "deno"),
    ("config.ru seeds.rb", "rackup puma unicorn thin rails rake bundle"),
    ("gulpfile.js Gruntfile.js vite.config.js webpack.config.js", "gulp grunt npx npm yarn pnpm vite webpack"),
    ("setup.py pyproject.toml setup.cfg", "pip pip3 python python3 uv poetry pdm hatch easy_install tox pipx poe"),
    ("conftest.py pytest.ini tox.ini noxfile.py", "pytest tox nox python python3 uv poetry"),
    ("tasks.py fabfile.py", "invoke inv fab"),
    ("manage.py", "python python3 uv"),
    ("Gemfile Rakefile", "bundle bundler rake"),
    ("Guardfile", "guard"),
    ("Cargo.toml build.rs .cargo/config.toml .cargo/config", "cargo"),
    ("go.mod main.go", "go"),
    ("CMakeLists.txt", "cmake"),
    ("build.gradle build.gradle.kts settings.gradle", "gradle gradlew"),
    ("pom.xml", "mvn mvnw"),
    ("build.xml", "ant"),
    ("build.sbt", "sbt"),
    ("SConstruct wscript", "scons waf"),
    ("build.zig", "zig"),
    ("Package.swift", "swift"),
    ("stack.yaml", "stack cabal"),
    ("dune", "dune"),
    ("mix.exs", "mix"),
    ("Dockerfile Containerfile docker-compose.yml docker-compose.yaml compose.yml compose.yaml"
     " docker-compose.override.yml compose.override.yaml compose.override.yml",
     "docker docker-compose podman podman-compose nerdctl buildah"),
    ("justfile Justfile .justfile", "just"),
    ("Taskfile.yml Taskfile.yaml", "task go-task"),
    ("Procfile", "foreman honcho overmind hivemind"),
    ("Vagrantfile", "vagrant"),
    ("playbook.yml site.yml", "ansible-playbook"),
    ("main.tf", "terraform tofu terragrunt"),
    ("build.ninja", "ninja samu"),
    ("meson.build", "meson muon"),
    ("BUILD BUILD.bazel WORKSPACE MODULE.bazel", "bazel bazelisk buck buck2 pants"),
    (".pre-commit-config.yaml", "pre-commit prek"),
    (".gitlab-ci.yml", "gitlab-runner gitlab-ci-local"),
    ("Earthfile", "earthly"),
    ("Tiltfile", "tilt"),
    ("Jenkinsfile", "jenkinsfile-runner"),
    ("config.yml", "circleci"),
    ("workflows/*", "act act_runner"),
    ("dodo.py", "doit"),
    ("template.pkr.hcl", "packer"),
    ("flake.nix default.nix shell.nix", "nix nix-build nix-shell"),
    (".envrc", "direnv"),
    ("composer.json", "composer"),
    (".gdbinit", "gdb"),
    (".vimrc .exrc", "vim vi ex nvim"),
)  # fmt: skip
_FILES = {file: frozenset(programs.split()) for files, programs in _PROJECTS for file in files.split()}
BUILDERS = frozenset().union(*_FILES.values())
# Told one of these, a builder runs nothing that is in the folder.
_IDLE_WORDS = """
    --version -V version help --help -h list ls info view show search why outdated audit init create new login logout
    config env doc fmt metadata tree images ps logs pull inspect cache validate status freeze check
"""
_IDLE = frozenset(_IDLE_WORDS.split())
# Shorter names of programs stand within other words.
_TELLING = 4
_SETTINGS = (".toml", ".json", ".yml", ".yaml", ".ini", ".cfg", ".conf")
# What these hold is a program in a language of its own; what the others' strings say, the program that reads them runs.
_NO_TASKS = frozenset(("conftest.py", "setup.py", "manage.py", "setup.cfg", "pytest.ini", "main.go", "build.rs"))
_TEST = re.compile(r"(?:^|/)tests?[_-][^/]*$|[_.-](?:test|spec)s?\.\w+$|Tests?\.\w+$|(?:^|/)tests?\.\w+$")
_FOLDER_OPTIONS = frozenset(("-C", "--directory", "--prefix", "--cwd", "--dir", "--project", "--manifest-path", "-f"))
# Programs in languages that no reader here knows, and what else such programs carry out.
_PROGRAM_ENDINGS = """
    .c .cc .cpp .cxx .m .go .rs .java .kt .kts .scala .swift .nim .cr .ex .exs .erl .hs .ml .lisp .scm .rkt .clj .jl .R
    .tcl .el .vim .cmake .gradle .groovy .zig .d .dart .fs .fsx .cs .csx .v .f90 .pas .h .hpp
"""
_PROGRAM = tuple(_PROGRAM_ENDINGS.split())
_CARRIED_ENDINGS = """
    .lua .ps1 .fish .awk .sed .py .rb .pl .php .js .mjs .cjs .ts .tf .hcl .pp .ninja
    .bazel .bzl .nix .mk .star
"""
_CARRIED = (*_PROGRAM, *_CARRIED_ENDINGS.split())


def builds(command: Command) -> bool:
    """Whether a command runs what its folder, or one that it names, holds."""
    return command.name in BUILDERS and not is_idle(command)


def is_idle(command: Command) -> bool:
    """Whether a builder is asked for something that needs none of the code in its folder."""
    return command.name in BUILDERS and not _IDLE.isdisjoint(command.words[1:3])


def looks_for(command: Command, path: str) -> bool:
    """Whether a program looks for a file of this name by itself, where it stands: one that is known to be its own, or
    that is called after it (`lefthook` and `.lefthook.yml`)."""
    base = posixpath.basename(path)
    names = (base, "/".join(path.split("/")[-2:]), f"{posixpath.basename(posixpath.dirname(path))}/*")
    if any(command.name in _FILES.get(name, ()) for name in names):
        return not is_idle(command)
    return command.name not in SHELLS and _called_after(command, base.lower())


def _called_after(command: Command, base: str) -> bool:
    """Whether a file bears the name of the program, or one of settings that of what the program is told."""
    name, told = command.name.lower(), [word.lower() for word in command.words[1:3] if word.isalpha()]
    if name in re.split(r"[^a-z0-9]+", base) or (len(name) >= _TELLING and name in base):
        return True
    return base.endswith(_SETTINGS) and any(len(word) >= _TELLING and word in base for word in told)


def is_source(path: str) -> bool:
    """Whether a file is, by its name, code that such programs build, run or carry out."""
    return path.endswith(_CARRIED) or posixpath.basename(path) in _FILES


def holds_tasks(path: str) -> bool:
    """Whether a program that runs tasks looks for a file of this name."""
    base = posixpath.basename(path)
    return base in _FILES and base not in _NO_TASKS


def is_owned(path: str) -> bool:
    """Whether certain programs look for a file of this name, and so no others."""
    return posixpath.basename(path) in _FILES


def is_test(path: str) -> bool:
    """Whether a file holds tests, by its name."""
    return _TEST.search(path) is not None


def is_program(path: str) -> bool:
    """Whether it is, by its name, a program in a language that nobody here reads."""
    return path.endswith(_PROGRAM) or posixpath.basename(path) == "CMakeLists.txt"


def folders_named(command: Command) -> list[str]:
    """The folders that a command is told to work in or on, by its options and operands."""
    words = command.words
    given = [words[at] for at in range(1, len(words)) if words[at][:1] != "-" or words[at - 1] in _FOLDER_OPTIONS]
    return given + [word.partition("=")[2] for word in words if word.partition("=")[0] in _FOLDER_OPTIONS]
