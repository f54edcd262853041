"""Where private keys and credentials are kept, and which programs print them.

Rule: data, said once: a rule calls the files `secrets`, whether they are read, sent or served. What a program prints
has no path; it counts as the file `secret:PROGRAM`.
"""

from __future__ import annotations

import re

from orchestrator.shell import Command

_HOMES = r"^(?:~|/root|/home/[^/]+|/Users/[^/]+)"
_DOT_FILES = r"""
    aws netrc pgpass git-credentials kube docker npmrc pypirc my\.cnf mylogin\.cnf vault-token boto s3cfg
    terraform\.d/credentials\S* terraformrc azure password-store authinfo\S* cargo/credentials\S* gem/credentials
    m2/settings\S* gradle/gradle\.properties composer/auth\.json \w*_history \w+_hist mozilla thunderbird electrum
    bitcoin ethereum claude/\.credentials\S* codex/auth\.json gemini/oauth_creds\.json oci op rclone\.conf gnupg
    databrickscfg snowsql ansible/\S*vault\S* irssi purple msmtprc fetchmailrc smbcredentials davfs2 jupyter/\S*secret
    Xauthority ICEauthority dbshell pulumi/credentials\.json fly/config\.yml netlify/config\.json vercel/auth\.json
    wrangler/config\S* cf/config\.json local/share/(?:keyrings|kwalletd|fish/fish_history)
"""
_CONFIG_FILES = """
    gh gcloud google-chrome chromium BraveSoftware microsoft-edge vivaldi opera rclone op doctl hub configstore
    git/credentials Slack discord Signal Code/User/globalStorage Bitwarden keepassxc 1Password heroku netlify vercel
    stripe sops age containers/auth.json solana pulumi
"""
_SYSTEM_FILES = r"""
    g?shadow-? sudoers(?:\.d/\S*)? ssh/ssh_host_[\w*?]+_key kubernetes/\S* krb5\.keytab master\.passwd
    security/opasswd ppp/\S*-secrets ipsec\.secrets wireguard/\S* NetworkManager/system-connections\S* wpa_supplicant\S*
    ssl/private\S* letsencrypt/(?:live|archive|keys)\S* rancher\S* openvpn/\S*\.key
"""


def _any(text: str) -> str:
    return f"(?:{'|'.join(text.split())})"


SECRET_FILES = (
    rf"{_HOMES}/\.ssh(?:$|/(?!known_hosts|config$|[^/]*\.pub$|authorized_keys$))",
    rf"{_HOMES}/\.(?:{_any(_DOT_FILES)}|config/{_any(_CONFIG_FILES)})(?:/|$)",
    r"^~/Library/(?:Keychains|Cookies|Messages|Mail"
    r"|Application Support/(?:Google/Chrome|Firefox|BraveSoftware|com\.apple\.TCC))",
    rf"^/etc/{_any(_SYSTEM_FILES)}$",
    r"^/proc/[^/]+/(?:environ|mem|maps)$",
    r"^/(?:var/)?run/secrets(?:/|$)",
    r"^~/\.[^/]*/(?:id_rsa|id_dsa|id_ecdsa|id_ed25519)$",
    r"(?i:^(?:~/\.|~/Library/|~/AppData/)\S*/(?:wallet\.dat|login data|logins\.json|key[34]\.db|cookies\.sqlite)$)",
    r"(?i:^~/(?:\S*/)?[^/]+\.kdbx$)",
    r"^/var/lib/(?:sss|samba/private|jenkins/secrets|kubelet)(?:/|$)",
    r"^@home/config/secrets\.env$",
)
"""Expressions for the paths of such files, as rules write paths."""

_GPG = re.compile(r"--export-secret")
_CLUSTER = re.compile(
    r"(?:^|\s)(?:get|describe) secrets?\b(?!.*-o ?=?(?:name|wide)\b)|config view\b.*--raw|create token\s"
    r"|whoami (?:-t|--show-t)"
)
_HUB = re.compile(r"^auth (?:token\b|status\b.*\s(?:-t|--show-token)\b)")
_PASS = re.compile(r"^(?!$|ls|list|find|git|init|insert|generate|grep|version|help|-|edit|rm|mv|cp|add|import)")
METADATA = re.compile(r"\b(?:169\.254\.(?:169\.254|170\.2)|metadata\.google\.internal|100\.100\.100\.200)\b")
"""Services that tell a machine in a cloud what it may do, and with which token."""
_PRINTS: dict[str, re.Pattern[str]] = {
    "gpg": _GPG,
    "gpg2": _GPG,
    "security": re.compile(r"^(?:find-(?!identity|certificate)|dump-|export)"),
    "kubectl": _CLUSTER,
    "oc": _CLUSTER,
    "gh": _HUB,
    "glab": _HUB,
    "doctl": _HUB,
    "gcloud": re.compile(r"\bprint-(?:access|identity)-token|\bsecrets versions access"),
    "az": re.compile(r"^account get-access-token|^keyvault secret show"),
    "aws": re.compile(
        r"configure (?:get \S*(?:secret|token)|export-credentials)|sts get-session-token"
        r"|secretsmanager get-secret-value|ssm get-parameters?\b.*--with-decryption|ecr get-login-password"
    ),
    "vault": re.compile(r"^(?:kv get|read|print token|token lookup)\b"),
    "op": re.compile(r"^(?:read|item get|document get)\b"),
    "pass": _PASS,
    "gopass": _PASS,
    "secret-tool": re.compile(r"^(?:lookup|search)\b"),
    "bw": re.compile(r"^(?:get|export|list items)\b"),
    "lpass": re.compile(r"^(?:show|export)\b"),
    "keyring": re.compile(r"^get\b"),
    "kwallet-query": re.compile(r"."),
    "heroku": re.compile(r"^auth:token"),
    "git": re.compile(r"^credential(?:-\w+)? (?:fill|get)\b"),
    "npm": re.compile(r"^(?:token list|config get \S*_auth)"),
    "ansible-vault": re.compile(r"^(?:view|decrypt)\b"),
    "sops": re.compile(r"(?:^|\s)(?:-d|--decrypt|decrypt|exec-env)\b"),
    **dict.fromkeys(("curl", "wget", "http", "xh"), METADATA),
    "getent": re.compile(r"^g?shadow\b"),
}


def printed_by(command: Command) -> str:
    """What stands for the file if a command prints keys or credentials; empty where it does not."""
    name = "docker-credential" if command.name.startswith("docker-credential-") else command.name
    if name == "docker-credential":
        return f"secret:{name}" if "get" in command.words[1:2] else ""
    pattern = _PRINTS.get(name)
    return f"secret:{name}" if pattern is not None and pattern.search(" ".join(command.words[1:])) else ""
