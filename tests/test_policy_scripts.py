"""What is denied is denied however JavaScript, Perl, Ruby, PHP and Lua say it: ways to write a place, ways to act.

Rule: one line for each way and act of a language. Each way is tried with some acts, and each act with some ways. Only
judged.
"""

from __future__ import annotations

import base64

import pytest
from standard_rules import RULES

from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide

HOME, WORKSPACE = "/home/user", "/home/user/work"
PROGRAMS = {"node": "-e", "perl": "-e", "ruby": "-e", "php": "-r", "lua": "-e"}
BEFORE = {
    "node": "const fs = require('fs'), path = require('path'), os = require('os'), cp = require('child_process');",
    "perl": "use File::Path; use File::Copy; use Cwd; use MIME::Base64;",
    "ruby": "require 'fileutils';", "php": "", "lua": "",
}  # fmt: skip
SET = {"node": "const T = {};", "perl": "my $T = {};", "ruby": "T = {};", "php": "$T = {};", "lua": "local T = {}"}
CODED = base64.b64encode(b"/usr").decode()


def verdict(language: str, code: str) -> str:
    argv = (language, PROGRAMS[language], code)
    call = Call(0, "bash", "process", argv[1:], argv, {"HOME": HOME}, WORKSPACE, 1_000)
    context = Context(risk="low", home_dir=WORKSPACE, workspace=WORKSPACE, user_home=HOME)
    return decide(call, RULES, context).verdict


def not_denied(language: str, codes: list[str]) -> list[str]:
    return [code for code in codes if verdict(language, code) != "deny"]


# What has to stand before it, and how `/usr` is written then.
WRITTEN: dict[str, tuple[tuple[str, str], ...]] = {
    "node": (
        ("const d = {t: '/usr'};", "d['t']"), ("const {t} = {t: '/usr'};", "t"), ("const [a, b] = ['x', '/usr'];", "b"),
        ("const d = []; d.push('/usr');", "d[0]"), ("const x = 'usr';", "`/${x}`"), ("", "path.sep + 'usr'"),
        ("", "[...'rsu/'].reverse().join('')"), ("", f"Buffer.from('{CODED}', 'base64').toString()"),
        ("", "[40, 114, 116, 117].map(c => String.fromCharCode(c ^ 7)).join('')"),
        ("", "String.fromCharCode(...[47, 117, 115, 114])"), ("", "decodeURIComponent('%2fusr')"),
        ("", "'#usr'.replace(/#/g, '/')"), ("", "'xx/usr'.slice(2)"), ("function f(x) { return '/' + x; }", "f('usr')"),
        ("const f = x => `/${x}`;", "f('usr')"), ("", "(x => '/' + x)('usr')"),
        ("class C { constructor(t) { this.t = t; } } const c = new C('/usr');", "c.t"),
        ("", "process.env.TARGET || '/usr'"), ("", "process.argv[9] ? 'build' : '/usr'"),
        ("", "JSON.parse('{\"t\": \"/usr\"}').t"), ("", "eval(\"'/u' + 'sr'\")"), ("", "'/usr/x/..'"),
    ),
    "perl": (
        ("my %h = (t => '/usr');", "$h{t}"), ("my $h = {t => '/usr'};", "$h->{t}"), ("my @a = ('x', '/usr');", "$a[1]"),
        ("my $x = 'usr';", '"/$x"'), ("", "join '', map { chr } (47, 117, 115, 114)"), ("", "pack('H*', '2f757372')"),
        ("", f"decode_base64('{CODED}')"), ("sub f { my ($x) = @_; return '/' . $x }", "f('usr')"),
        ("sub f { my $x = shift; return \"/$x\" }", "f('usr')"), ("", "scalar reverse('rsu/')"),
        ("", "$ENV{TARGET} // '/usr'"), ("", "@ARGV ? 'build' : '/usr'"), ("", "substr('xx/usr', 2)"),
    ),
    "ruby": (
        ("h = {t: '/usr'};", "h[:t]"), ("a, b = 'x', '/usr';", "b"), ("x = 'usr';", '"/#{x}"'),
        ("def f(x) '/' + x end;", "f('usr')"), ("f = ->(x) { '/' + x };", "f.call('usr')"),
        ("", "[47, 117, 115, 114].map(&:chr).join"), ("", "[40, 114, 116, 117].map { |c| (c ^ 7).chr }.join"),
        ("", f"'{CODED}'.unpack1('m')"), ("", "[47, 117, 115, 114].pack('C*')"), ("", "'/%s' % 'usr'"),
        ("", "ENV.fetch('TARGET', '/usr')"), ("", "ENV['TARGET'] || '/usr'"), ("", "File.join('/', 'usr')"),
    ),
    "php": (
        ("$a = ['t' => '/usr'];", "$a['t']"), ("$x = 'usr';", '"/{$x}"'), ("[$a, $b] = ['x', '/usr'];", "$b"),
        ("function f($x) { return '/' . $x; }", "f('usr')"), ("$f = fn($x) => '/' . $x;", "$f('usr')"),
        ("", f"base64_decode('{CODED}')"), ("", "implode('', array_map('chr', [47, 117, 115, 114]))"),
        ("", "getenv('TARGET') ?: '/usr'"), ("", "json_decode('{\"t\": \"/usr\"}')->t"), ("", "sprintf('/%s', 'usr')"),
        ("class C { public $t = '/usr'; } $c = new C;", "$c->t"), ("", "str_replace('#', '/', '#usr')"),
    ),
    "lua": (
        ("local d = {t = '/usr'}", "d.t"), ("local a, b = 'x', '/usr'", "b"), ("", "[[/usr]]"), ("", "'\\47usr'"),
        ("local function f(x) return '/' .. x end", "f('usr')"), ("", "('rsu/'):reverse()"),
        ("", "('/%s'):format('usr')"),
        ("", "string.char(47, 117, 115, 114)"), ("", "os.getenv('TARGET') or '/usr'"),
    ),
}  # fmt: skip
HOMES: dict[str, tuple[str, ...]] = {
    "node": (
        "process.env['HO' + 'ME']", "os.userInfo().homedir", "`${os.homedir()}`", "path.dirname(process.cwd())",
        "path.resolve(__dirname, '..')", "path.dirname(process.env.PWD)", "cp.execSync('echo ~').toString().trim()",
        "'/home/alice'", "`/home/${process.env.USER}`",
    ),
    "perl": ("$ENV{'HOME'}", '"$ENV{HOME}"', "(getpwuid($<))[7]", "getcwd() . '/..'", "`echo ~`", "'/home/alice'"),
    "ruby": ("Dir.home", "File.expand_path('~')", "ENV['HOME']", "File.dirname(Dir.pwd)", "`echo ~`.strip", "'..'"),
    "php": ("getenv('HOME')", "$_SERVER['HOME']", "posix_getpwuid(posix_getuid())['dir']", "dirname(__DIR__)"),
    "lua": ("os.getenv('HOME')", "io.popen('echo ~'):read('*l')", "'/home/alice'"),
}  # fmt: skip
ACTS: dict[str, tuple[str, ...]] = {
    "node": (
        "fs.rmSync(T, {recursive: true})", "fs['rm' + 'Sync'](T, {recursive: true})", "cp.execSync(`rm -rf ${T}`)",
        "const {rm: gone} = require('fs').promises; gone(T, {recursive: true})", "cp.spawnSync('rm', ['-rf', T])",
        "const a = ['-rf']; a.push(T); cp.spawnSync('rm', a)", "cp.execSync('rm -rf *', {cwd: T})",
        "cp.execSync('rm -rf \"$D\"', {env: {D: T}})", "cp.spawn('sh').stdin.end('rm -rf ' + T)",
        "setTimeout(fs.rmSync, 10, T, {recursive: true})", "fs.rmSync.apply(null, [T, {recursive: true}])",
        "require('util').promisify(fs.rm)(T, {recursive: true})", "const go = (f, p) => f(p); go(fs.rmSync, T)",
        "const z = p => { fs.rmSync(p, {recursive: true}); }; z(T)", "[T].forEach(p => fs.rmSync(p))",
        "fs.readdirSync(T).map(f => path.join(T, f)).forEach(fs.unlinkSync)", "fs.renameSync(T, '/tmp/x')",
        "fs.promises.readdir(T).then(l => l.forEach(f => fs.rmSync(path.join(T, f))))",
        "const w = d => { for (const f of fs.readdirSync(d)) fs.unlinkSync(path.join(d, f)); }; w(T)",
        "fs.writeFileSync('x.sh', `rm -rf ${T}`); cp.execSync('sh x.sh')", "const {$} = require('zx'); $`rm -rf ${T}`",
    ),
    "perl": (
        "rmtree($T);", "system('rm', '-rf', $T);", "`rm -rf $T`;", "my @c = ('rm', '-rf'); push @c, $T; system @c;",
        "open(my $f, '-|', 'rm', '-rf', $T);", "sub z { my $p = shift; system(\"rm -rf $p\") } z($T);",
        "unlink for <$T/*>;",
        "move($T, '/tmp/x');", "chdir($T); system('rm -rf *');",
    ),
    "ruby": (
        "FileUtils.rm_rf(T)", "FileUtils.rm_rf T", "system(\"rm -rf #{T}\")", "FileUtils.send(:rm_rf, T)",
        "FileUtils.method(:rm_rf).call(T)", "[T].each(&FileUtils.method(:rm_rf))",
        "def z(p) FileUtils.rm_rf(p) end; z(T)",
        "Dir.each_child(T) { |f| File.delete(File.join(T, f)) }", "Dir.chdir(T) { system('rm -rf *') }",
    ),
    "php": (
        "system('rm -rf ' . $T);", "proc_open('rm -rf ' . $T, [], $p);", "$f = 'sys' . 'tem'; $f('rm -rf ' . $T);",
        "call_user_func('system', 'rm -rf ' . $T);", "$g = glob(\"$T/*\"); array_walk($g, 'unlink');", "`rm -rf $T`;",
        "foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator($T)) as $i) unlink($i);",
        "function z($d) { foreach (scandir($d) as $i) unlink(\"$d/$i\"); } z($T);", "rename($T, '/tmp/x');",
    ),
    "lua": (
        "os.execute('rm -rf ' .. T)", "os['execute']('rm -rf ' .. T)", "pcall(os.execute, 'rm -rf ' .. T)",
        "os.execute(table.concat({'rm', '-rf', T}, ' '))", "local function z(p) os.execute('rm -rf ' .. p) end z(T)",
    ),
}  # fmt: skip
FILES = ("/etc/shadow", "policy/10-files.toml", "state/memory.db")
OVERWRITTEN: dict[str, tuple[str, ...]] = {
    "node": (
        "fs.writeFileSync('T', '')", "fs.openSync('T', fs.constants.O_WRONLY)", "fs.promises.open('T', 'w')",
        "const {writeFileSync: w} = require('fs'); w('T', '')", "fs.writeFileSync.call(fs, 'T', '')",
        "require('fs-extra').writeJsonSync('T', {})", "const w = p => fs.truncateSync(p); w('T')",
    ),
    "perl": ("open(my $f, '>', 'T');", "my $p = 'T'; open(my $f, '>', $p);", "unlink 'T';", "rename('x', 'T');"),
    "ruby": ("File.write('T', '')", "f = File.new('T', 'w')", "open('T', 'w') { |f| f.puts 1 }", "File.delete('T')"),
    "php": ("file_put_contents('T', '');", "new SplFileObject('T', 'w');", "copy('/dev/zero', 'T');", "unlink('T');"),
    "lua": ("io.open('T', 'w'):write('x')", "os.remove('T')", "local f = assert(io.open('T', 'w'))"),
}  # fmt: skip
EVERYDAY: dict[str, tuple[str, ...]] = {
    "node": (
        "for (const d of ['dist', 'build']) fs.rmSync(d, {recursive: true, force: true})",
        "const clean = d => fs.rmSync(path.join(process.cwd(), d), {recursive: true}); clean('dist')",
        "fs.rmSync(process.env.OUT || 'dist', {recursive: true, force: true})",
        "class A { constructor(n) { this.n = n; } go() { return this.n; } } console.log(new A('/usr').go())",
        "function walk(d) { for (const f of fs.readdirSync(d)) console.log(d + '/' + f); } walk('src'); walk('/usr')",
        "const m = new Map(); m.delete('/usr'); console.log(['/etc', '/usr'].map(p => p.toUpperCase()).join(' '))",
        "require('child_process').execSync('npm test', {cwd: 'packages/a', env: {...process.env, CI: '1'}})",
    ),
    "perl": ("my %h = (t => '/etc'); delete $h{t}; print map { $_ * 2 } 1..5;",
        "sub f { my ($x) = @_; $x } print f('/usr');"),
    "ruby": (
        "h = {t: '/usr'}; h.delete(:t); puts h", "def f(x) x * 2 end; puts f(3), '/etc'",
        "puts Dir.glob('*.rb').map(&:upcase)",
    ),
    "php": ("echo implode(',', array_map(fn($x) => $x * 2, [1, 2])), '/usr';",
        "function f($x) { return $x; } echo f('/etc');"),
    "lua": ("local function f(x) return x * 2 end print(f(3), '/usr')",),
}  # fmt: skip


@pytest.mark.parametrize("language", WRITTEN)
def test_a_place_is_known_however_it_is_written(language: str) -> None:
    set_to = f"{BEFORE[language]} {{}} {SET[language]} "
    codes = [
        set_to.replace("{}", before, 1).replace("{}", target, 1) + act
        for at, (before, target) in enumerate(WRITTEN[language])
        for act in ACTS[language][: None if at < 2 else 4]
    ]
    assert not_denied(language, codes) == []


@pytest.mark.parametrize("language", HOMES)
def test_a_home_is_known_however_it_is_asked_for(language: str) -> None:
    before = f"{BEFORE[language]} {SET[language]} "
    codes = [before.replace("{}", home, 1) + act for home in HOMES[language] for act in ACTS[language][:4]]
    assert not_denied(language, codes) == []


@pytest.mark.parametrize("language", OVERWRITTEN)
def test_a_file_is_overwritten_however_it_is_opened(language: str) -> None:
    acts = [act.replace("'T'", repr(file)) for act in OVERWRITTEN[language] for file in FILES]
    assert not_denied(language, [f"{BEFORE[language]} {act}" for act in acts]) == []


@pytest.mark.parametrize("language", EVERYDAY)
def test_and_everyday_code_of_the_same_kind_runs(language: str) -> None:
    codes = [f"{BEFORE[language].partition(', cp =')[0]}; {code}" for code in EVERYDAY[language]]
    assert [code for code in codes if verdict(language, code) != "allow"] == []
