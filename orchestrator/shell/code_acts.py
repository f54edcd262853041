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
        execa execaSync execaCommand execaCommandSync
    delete: rmSync rm rmdirSync rmdir unlinkSync unlink rm_rf rm_r rm_f rmtree remove_tree remove_dir
        removeSync RemoveAll remove_dir_all remove_file deleteDirectory deleteRecursively deleteIfExists
        removeItem DeleteDirectory deleteFile removeDirectory deltree rm_tree removeRecursively
        remove_entry_secure remove_entry delete remove rimraf rimrafSync del deleteSync emptyDirSync emptyDir trash
        file.remove deleteDir del_dir_r removeDirectoryRecursive removePathForcibly removeDirectoryLink
    write: writeFileSync writeFile appendFileSync appendFile createWriteStream file_put_contents truncateSync
        writeJsonSync writeJson outputJson outputJsonSync writeJSON writeJSONSync outputFile
        writeTextFile writeTextFileSync truncate outputFileSync touch binwrite ftruncate write write_file spew spew_utf8
    read: readFileSync readFile createReadStream file_get_contents readfile readlines readTextFile binread
        readTextFileSync slurp fpassthru highlight_file show_source read
    open: open fopen openSync new_file sysopen SplFileObject
    cp: copyFileSync copyFile cpSync copy cp cp_r copy_file copy_stream getstore mirror
    mv: renameSync rename mv move moveSync
    chmod: chmodSync chmod lchmod
    chown: chownSync chown lchown
    chmod_R: chmod_R
    chown_R: chown_R
    ln: symlinkSync symlink ln_s ln_sf linkSync
    code: eval Worker Function instance_eval class_eval module_eval loadstring load create_function assert
        runInThisContext runInNewContext runInContext compileFunction
    kill: kill posix_kill
    chdir: chdir
"""
CALLS = {
    name: kind
    for kind, names in re.findall(r"(\w+): ((?:(?!\n +\w+: ).)+)", _NAMES, re.DOTALL)
    for name in names.split()
}
AMBIGUOUS = frozenset(
    ("delete", "remove", "run", "execute", "read", "open", "copy", "move", "load", "touch", "truncate", "write")
)
_ASKS_ENVIRONMENT = (
    r"(?:[\w:.]*(?:\.|::))?(?:[Gg]et_?[Ee]nv|env::var(?:_os)?|get_env|LookupEnv)!?"
    r"\s*\(\s*['\"]HOME['\"]\s*\)(?:\.unwrap\(\))?"
)
HOME = (
    r"(?:process\.env|Deno\.env|ENV|ENVIRON|\$ENV|_ENV|\$_ENV|\$_SERVER|\$(?:::)?env)\s*(?:[.:]HOME\b|\[\s*['\"]?HOME['\"]?\s*\]"
    r"|\{\s*['\"]?HOME['\"]?\s*\}|\(HOME\)|\.(?:get|fetch)\(\s*['\"]HOME['\"][^()]*\))"
    r"|\(getpwuid\(\$<\)\)\[7\]|\bposix_getpwuid\(posix_getuid\(\)\)\[['\"]dir['\"]\]"
    r"|\bDir\.home\b(?:\(\))?|\bEtc\.getpwuid(?:\([^()]*\))?\.dir\b|\buserInfo\(\)\.homedir\b"
    rf"|\b{_ASKS_ENVIRONMENT}|\((?:getenv|System/getenv|uiop:getenv|sb-posix:getenv)\s+\"HOME\"\)"
    r"|\(?System[./]getProperty[(\s]\s*\"user\.home\"\s*\)|\bNSHomeDirectory\(\)"
    r"|\bFileManager\.default\.homeDirectoryForCurrentUser(?:\.path)?|\bSystem\.user_home!?(?:\(\))?"
    r"|\(find-system-path\s*(?:\(quote home-dir\)|'home-dir)\)|\((?:user-homedir-pathname|homedir)\)"
    r"|\bpath\.expand\(\s*['\"]~/?['\"]\s*\)|(?<![.\w])homedir\(\)|\b(?:dirs|home|env)::home_dir\(\)(?:\.unwrap\(\))?"
    r"|\bexpand\(\s*['\"]~/?['\"]\s*\)|\(expand-file-name\s+\"~/?\"\)"
)
"""How code asks for the home folder: a regular expression."""
_VITAL = re.compile(
    rf"{HOME}|\b(?:UserHomeDir|getHomeDirectory|home_dir)\b|[#\"'](?:/\*?|~/?|/(?:bin|boot|dev|etc|home|lib\w*|opt|root|sbin"
    r"|srv|sys|usr|var|Users|System|Library)(?:/[\w.-]+)?/?\*?)[\"'\s]|\brm\s+-\w*r\w*\s+[/~]|\bto delete home\b"
)


def named(kind: str) -> str:
    """A regular expression for the names of one kind that mean nothing else."""
    names = (name for name, what in CALLS.items() if what == kind and name not in AMBIGUOUS and name[0].isalpha())
    return "|".join(map(re.escape, names))


_DELETES = re.compile(
    rf"\b(?:{named('delete')})\b|\bdelete-(?:file|directory)|\bdelete home\b|\brm\b[\"',\s()\[\]\w]{{0,24}}?-\w*[rR]"
)


def deletes_vital(code: str) -> bool:
    """Whether code speaks both of deleting and of a folder that all hangs on, in whatever way it ties them."""
    return bool(_DELETES.search(code) and _VITAL.search(code))


def deletes(path: str, text: str, via: tuple[str, ...] = ()) -> Command:
    """Code that deletes what is at a path, as a command."""
    return Command(("rm", "-r", path), text, (2,) if path[:1] == "~" or "*" in path else (), via=via)


def reads(path: str, text: str, via: tuple[str, ...] = ()) -> Command:
    """Code that reads a file, as a command."""
    return Command(("cat", path), text, (1,) if path[:1] == "~" else (), via=via)


def writes(path: str, text: str, via: tuple[str, ...] = ()) -> Command:
    """Code that writes a file, as a command."""
    return Command(("cat",), text, redirects=(Redirect(">", path, path[:1] == "~" or "*" in path),), via=via)
