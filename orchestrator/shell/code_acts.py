"""What code does, in whatever language: the names of the calls that do it, and the commands that it amounts to.

Rule: the one vocabulary of all who read code, by its expressions or by patterns. A name stands here once.
"""

from __future__ import annotations

import re

from orchestrator.shell.command import Command, Redirect

# What a call does, by the last part of its name.
_NAMES = """
    run: exec execSync system popen shell_exec passthru execute doShellScript capture2 capture2e capture3 run
        spawn spawnSync execFile execFileSync proc_open system2 execa execv execvp execvpe pcntl_exec `
    delete: rmSync rm rmdirSync rmdir unlinkSync unlink rm_rf rm_r rm_f rmtree remove_tree remove_dir
        removeSync RemoveAll remove_dir_all remove_file deleteDirectory deleteRecursively deleteIfExists
        removeItem DeleteDirectory deleteFile removeDirectory deltree rm_tree removeRecursively
        remove_entry_secure remove_entry delete remove rimraf del emptyDirSync emptyDir file.remove
    write: writeFileSync writeFile appendFileSync appendFile createWriteStream file_put_contents truncateSync
        writeTextFile writeTextFileSync truncate outputFileSync touch binwrite ftruncate write
    read: readFileSync readFile createReadStream file_get_contents readfile readlines readTextFile binread
        readTextFileSync slurp fpassthru highlight_file show_source read
    open: open fopen openSync new_file sysopen
    cp: copyFileSync copyFile cpSync copy cp cp_r copy_file
    mv: renameSync rename mv move
    chmod: chmodSync chmod chmod_R lchmod
    chown: chownSync chown chown_R
    ln: symlinkSync symlink ln_s linkSync
    code: eval Function instance_eval class_eval module_eval loadstring load create_function assert
        runInThisContext runInNewContext runInContext compileFunction
    kill: kill posix_kill
"""
CALLS = {
    name: kind
    for kind, names in re.findall(r"(\w+): ((?:(?!\n +\w+: ).)+)", _NAMES, re.DOTALL)
    for name in names.split()
}
AMBIGUOUS = frozenset(
    ("delete", "remove", "run", "execute", "read", "open", "copy", "move", "load", "touch", "truncate", "write")
)
HOME = (
    r"(?:process\.env|ENV|\$ENV|_ENV|\$_ENV|\$_SERVER)\s*(?:\.|[\[{]\s*['\"]?)HOME\b['\"]?\s*[\]}]?"
    r"|\bDir\.home\b(?:\(\))?|ENV\.fetch\(['\"]HOME['\"]\)|os\.Getenv\(\"HOME\"\)|System\.getProperty\(\"user\.home\"\)"
)
"""How code asks for the home folder: a regular expression."""


def named(kind: str) -> str:
    """A regular expression for the names of one kind that mean nothing else."""
    names = (name for name, what in CALLS.items() if what == kind and name not in AMBIGUOUS and name[0].isalpha())
    return "|".join(map(re.escape, names))


def deletes(path: str, text: str, via: tuple[str, ...] = ()) -> Command:
    """Code that deletes what is at a path, as a command."""
    return Command(("rm", "-r", path), text, (2,) if path[:1] == "~" else (), via=via)


def reads(path: str, text: str, via: tuple[str, ...] = ()) -> Command:
    """Code that reads a file, as a command."""
    return Command(("cat", path), text, (1,) if path[:1] == "~" else (), via=via)


def writes(path: str, text: str, via: tuple[str, ...] = ()) -> Command:
    """Code that writes a file, as a command."""
    return Command(("cat",), text, redirects=(Redirect(">", path, path[:1] == "~"),), via=via)
