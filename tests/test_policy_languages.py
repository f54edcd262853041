"""Deleting home or the system is denied in whatever language it is written, and however the file is run. Only judged.

Rule: a line for each language: the file's name, what runs it, the code. `@` stands for the code's way to home.
"""

from __future__ import annotations

import pytest
from standard_rules import RULES

from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide

HOME, WORKSPACE = "/home/user", "/home/user/work"


def verdict(argv: tuple[str, ...]) -> str:
    call = Call(0, "bash", "process", argv[1:], argv, {"HOME": HOME}, WORKSPACE, 1_000)
    return decide(call, RULES, Context(risk="low", home_dir=WORKSPACE, workspace=WORKSPACE, user_home=HOME)).verdict


def written(file: str, code: str, run: str) -> str:
    return verdict(("bash", "-c", f"cat > {file} <<'END'\n{code}\nEND\n{run}"))


PROGRAMS = (
    ("/tmp/w/main.go", "go run /tmp/w/main.go", 'func main() { h, _ := os.UserHomeDir(); os.RemoveAll(h) }'),
    ("x.go", "go build -o x x.go && ./x", 'func main() { os.RemoveAll(os.Getenv("HOME")) }'),
    ("x.go", "go run x.go", 'func main() { exec.Command("rm", "-rf", "/usr").Run() }'),
    ("a.rs", "rustc -o a a.rs && ./a", 'fn main() { std::fs::remove_dir_all(std::env::var("HOME").unwrap()); }'),
    ("src/main.rs", "cargo run", "fn main() { std::fs::remove_dir_all(std::env::home_dir().unwrap()); }"),
    ("a.rs", "rustc a.rs; ./a", 'fn main() { Command::new("rm").arg("-rf").arg("/usr").status(); }'),
    ("a.c", "gcc a.c -o a && ./a", 'int main() { return system("rm -rf /"); }'),
    ("a.c", "tcc -run a.c", 'int main() { char *h = getenv("HOME"); execlp("rm", "rm", "-rf", h, NULL); }'),
    ("a.cc", "clang++ a.cc && ./a.out", 'int main() { std::filesystem::remove_all(std::getenv("HOME")); }'),
    ("A.java", "java A.java", 'void x() { Files.walk(Path.of(System.getenv("HOME"))).forEach(p -> p.delete()); }'),
    ("A.java", "javac A.java && java A", 'void x() { new ProcessBuilder("rm", "-rf", "/usr").start(); }'),
    ("a.kts", "kotlinc -script a.kts", 'java.io.File(System.getenv("HOME")).deleteRecursively()'),
    ("a.scala", "scala a.scala", '"rm -rf /".!'),
    ("a.groovy", "groovy a.groovy", 'new File(System.getProperty("user.home")).deleteDir()'),
    ("a.swift", "swift a.swift", "try FileManager.default.removeItem(atPath: NSHomeDirectory())"),
    ("a.nim", "nim c -r a.nim", "removeDir(getHomeDir())"),
    ("a.hs", "runghc a.hs", "main = getHomeDirectory >>= removeDirectoryRecursive"),
    ("a.ml", "ocaml a.ml", 'let () = ignore (Sys.command "rm -rf ~")'),
    ("a.lisp", "sbcl --script a.lisp", "(uiop:delete-directory-tree (user-homedir-pathname) :validate t)"),
    ("a.el", "emacs --script a.el", '(delete-directory (getenv "HOME") t)'),
    ("a.R", "Rscript a.R", 'unlink(path.expand("~"), recursive = TRUE)'),
    ("a.jl", "julia a.jl", 'rm(ENV["HOME"]; recursive = true)'),
    ("a.exs", "elixir a.exs", "File.rm_rf!(System.user_home!())"),
    ("a.tcl", "tclsh a.tcl", "file delete -force -- $::env(HOME)"),
    ("a.cmake", "cmake -P a.cmake", "file(REMOVE_RECURSE $ENV{HOME})"),
    ("a.cmake", "cmake -P a.cmake", "execute_process(COMMAND rm -rf $ENV{HOME})"),
    ("a.awk", "awk -f a.awk", 'BEGIN { system("rm -rf " ENVIRON["HOME"]) }'),
    ("a.sed", "sed -f a.sed x", "1e rm -rf /"),
    ("a.ps1", "pwsh a.ps1", "Remove-Item -Recurse -Force ~"),
    ("a.fish", "fish a.fish", "rm -rf ~"),
    ("a.ts", "npx tsx a.ts", 'import * as fs from "fs"; fs.rmSync("/usr", {recursive: true})'),
    ("a.ts", "deno run -A a.ts", 'Deno.removeSync(Deno.env.get("HOME"), {recursive: true})'),
    ("a.py", "python3 -m a", 'import shutil; shutil.rmtree("/usr")'),
    ("a.py", "python3 -c 'import a'", 'import shutil; shutil.rmtree("/usr")'),
    ("conftest.py", "pytest", 'import os, shutil; shutil.rmtree(os.environ["HOME"])'),
    ("justfile", "just", "default:\n  rm -rf ~"),
    ("Taskfile.yml", "task", "tasks:\n  default:\n    cmds:\n      - rm -rf ~"),
    ("t", "chmod +x t; ./t", "#!/usr/bin/env tclsh\nfile delete -force /usr"),
    ("t", "chmod +x t; ./t", '#!/usr/bin/awk -f\nBEGIN { system("rm -rf /") }'),
)  # fmt: skip
ONE_LINERS = (
    ("emacs", "--batch", "--eval", '(delete-directory (expand-file-name "~") t)'),
    ("vim", "-es", "-c", 'call delete($HOME, "rf")'),
    ("guile", "-c", '(system* "rm" "-rf" (getenv "HOME"))'),
    ("groovy", "-e", 'new File("/etc").deleteDir()'),
    ("elixir", "-e", 'System.get_env("HOME") |> File.rm_rf()'),
    ("erl", "-noshell", "-eval", 'file:del_dir_r(os:getenv("HOME")), halt().'),
    ("ghc", "-e", 'System.Directory.removeDirectoryRecursive "/home/user"'),
    ("bb", "-e", '(babashka.fs/delete-tree (System/getProperty "user.home"))'),
    ("swipl", "-g", "shell('rm -rf /')"),
    ("awk", 'BEGIN { c = "rm -rf " ENVIRON["HOME"]; system(c) }'),
    ("ansible", "localhost", "-m", "file", "-a", "path=/usr state=absent"),
    ("npx", "-y", "rimraf@5", "/usr"),
    ("python3", "-c", "from pathlib import Path\nfrom shutil import rmtree as tidy\ntidy(Path.cwd().parent)"),
    ("python3", "-c", "import os, shutil\nos.chdir('..')\nshutil.rmtree(os.getcwd())"),
    ("python3", "-c", "import pwd, os, shutil; shutil.rmtree(pwd.getpwuid(os.getuid()).pw_dir)"),
    ("python3", "-c", "import os; os.posix_spawn('/bin/rm', ['rm', '-rf', '/usr'], os.environ)"),
    ("python3", "-c", "import sh; sh.rm('-rf', '/')"),
    ("node", "-e", "require('fs').rmSync(require('path').dirname(process.cwd()), {recursive: true})"),
    ("node", "-e", "require('child_process').execSync(`rm -rf ${require('os').homedir()}`)"),
)
HARMLESS = (
    ("main.go", "go run main.go", 'func main() { os.RemoveAll("build"); fmt.Println("done") }'),
    ("main.go", "go run main.go", 'func main() { h, _ := os.UserHomeDir(); fmt.Println(filepath.Join(h, ".cache")) }'),
    ("a.c", "gcc a.c -o a && ./a", 'int main() { puts(getenv("HOME")); remove("build.log"); }'),
    ("a.rs", "rustc a.rs && ./a", 'fn main() { println!("{:?}", std::env::var("HOME")); }'),
    ("A.java", "java A.java", 'void x() { System.out.println(System.getProperty("user.home")); }'),
    ("a.cmake", "cmake -P a.cmake", 'message(STATUS $ENV{HOME})\nfile(REMOVE_RECURSE "build")'),
    ("test_guard.py", "pytest -q test_guard.py", "CASES = ['rm -rf /', 'dd if=/dev/zero of=/dev/sda']\nassert CASES"),
    ("clean.js", "node clean.js", 'require("fs").rmSync("dist", {recursive: true, force: true})'),
    ("Makefile", "make", "all:\n\techo $(HOME)"),
    ("justfile", "just", "default:\n  rm -rf build\n  cargo test"),
    ("a.R", "Rscript a.R", 'x <- read.csv("a.csv"); unlink("tmp", recursive = TRUE)'),
    ("clean.py", "python3 clean.py", "import shutil, pathlib\nshutil.rmtree(pathlib.Path.cwd() / 'build')"),
    ("t.py", "python3 t.py", "import shutil, tempfile\nd = tempfile.mkdtemp()\nshutil.rmtree(d)"),
)


@pytest.mark.parametrize(("file", "run", "code"), PROGRAMS)
def test_a_program_that_deletes_all_is_denied_whatever_its_language(file: str, run: str, code: str) -> None:
    assert written(file, code, run) == "deny"


@pytest.mark.parametrize("argv", ONE_LINERS)
def test_and_so_is_such_code_on_the_command_line(argv: tuple[str, ...]) -> None:
    assert verdict(argv) == "deny"


@pytest.mark.parametrize(("file", "run", "code"), HARMLESS)
def test_programs_that_only_look_so_run(file: str, run: str, code: str) -> None:
    assert written(file, code, run) == "allow"
