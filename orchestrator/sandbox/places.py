"""The places of a system that a sandbox treats in a way of its own. Data, no code.

Everything here is a path, or a variable that holds one. `~` is the user's home.
"""

from __future__ import annotations

# Look empty inside. Keys, tokens, sessions, and what people typed or stored in the belief that nobody else reads it.
HIDDEN = (
    # keys and agents
    "~/.ssh", "~/.gnupg", "~/.pki", "~/.age", "~/.config/age", "~/.config/sops", "~/.local/share/keyrings",
    "~/.local/share/kwalletd", "~/.password-store", "~/.local/share/gopass", "~/.config/gopass", "~/.1password",
    "~/.bitwarden-ssh-agent.sock", "~/.local/share/rbw", "~/.google_authenticator", "~/.config/goa-1.0", "~/.putty",
    # clouds and clusters
    "~/.aws", "~/.azure", "~/.config/gcloud", "~/.config/doctl", "~/.config/hcloud", "~/.config/linode-cli",
    "~/.config/flyctl", "~/.fly", "~/.oci", "~/.aliyun", "~/.boto", "~/.s3cfg", "~/.config/rclone", "~/.kube",
    "~/.config/helm", "~/.terraform.d", "~/.terraformrc", "~/.pulumi/credentials.json", "~/.vault-token",
    "~/.config/op", "~/.minikube", "~/.config/scw", "~/.config/exoscale", "~/.config/openstack", "~/.bluemix",
    "~/.chef",
    "~/.config/stripe", "~/.config/heroku", "~/.config/netlify", "~/.local/share/com.vercel.cli", "~/.supabase",
    "~/.cloudflared", "~/.config/ngrok", "~/.ngrok2", "~/.databrickscfg", "~/.snowsql", "~/.kaggle", "~/.huggingface",
    "~/.sentryclirc", "~/.vault_pass", "~/.ansible/cp",
    "~/.config/1Password", "~/.config/Bitwarden", "~/.config/Bitwarden CLI", "~/.config/keepassxc",
    # containers
    "~/.docker", "~/.config/containers/auth.json", "~/.local/share/containers", "~/.colima", "~/.lima", "~/.rd",
    "~/.podman", "~/.orbstack", "~/.finch", "/var/lib/docker", "/var/lib/containerd", "/var/lib/lxd/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket", "/var/lib/incus/unix.socket",
    # forges and registries
    "~/.config/gh", "~/.config/hub", "~/.config/glab-cli", "~/.netrc", "~/.git-credentials",
    "~/.config/git/credentials", "~/.cache/git/credential", "~/.pypirc", "~/.npmrc", "~/.yarnrc.yml",
    "~/.config/configstore", "~/.cargo/credentials", "~/.cargo/credentials.toml", "~/.gem/credentials",
    "~/.bundle/config", "~/.composer/auth.json", "~/.config/composer/auth.json", "~/.m2/settings.xml",
    "~/.m2/settings-security.xml", "~/.gradle/gradle.properties", "~/.sbt/1.0/credentials", "~/.config/hatch",
    "~/.config/pypoetry/auth.toml", "~/.local/share/python_keyring", "~/.local/share/uv/credentials",
    "~/.hex/hex.config",
    "~/.config/dart/pub-credentials.json", "~/.ivy2/.credentials", "~/.sbt/.credentials", "~/.jfrog",
    "~/.subversion/auth",
    "~/.config/tea",
    # databases and agents of every kind
    "~/.pgpass", "~/.my.cnf", "~/.mylogin.cnf", "~/.mongorc.js", "~/.rediscli_auth", "~/.claude/.credentials.json",
    "~/.claude.json", "~/.codex/auth.json", "~/.gemini/oauth_creds.json", "~/.config/github-copilot",
    "~/.local/share/opencode/auth.json", "~/.config/io.datasette.llm/keys.json", "~/.aider.conf.yml",
    "~/.config/Code/User/globalStorage", "~/.config/VSCodium/User/globalStorage", "~/.config/Cursor/User/globalStorage",
    # other machines, and what a running editor or terminal listens at
    "~/.vnc", "~/.config/remmina", "~/.local/share/remmina", "~/.config/filezilla", "~/.smbcredentials", "~/.davfs2",
    "~/.cert", "~/.local/share/networkmanagement", "~/.screen", "~/.emacs.d/server",
    # browsers, mail, wallets, chat
    "~/.mozilla", "~/.thunderbird", "~/.config/google-chrome", "~/.config/chromium", "~/.config/BraveSoftware",
    "~/.config/microsoft-edge", "~/.config/vivaldi", "~/.config/opera", "~/.librewolf", "~/.zen", "~/.waterfox",
    "~/.floorp", "~/.local/share/qutebrowser", "~/.local/share/epiphany", "~/snap", "~/.var/app", "~/Mail", "~/Maildir",
    "~/.config/evolution", "~/.local/share/evolution", "~/.config/neomutt", "~/.msmtprc", "~/.config/msmtp",
    "~/.mbsyncrc",
    "~/.offlineimaprc", "~/.fetchmailrc", "~/.authinfo", "~/.authinfo.gpg",
    "~/.config/Signal", "~/.config/Slack", "~/.config/discord", "~/.local/share/TelegramDesktop", "~/.bitcoin",
    "~/.ethereum", "~/.electrum", "~/.config/solana", "~/.monero", "~/.litecoin", "~/.near-credentials", "~/.sui",
    "~/.aptos",
    "~/.foundry/keystores", "~/.config/Exodus", "~/.config/Ledger Live", "~/.config/Element", "~/.irssi", "~/.weechat",
    "~/.config/weechat", "~/.purple",
    # what was typed, and the keys to the screen
    "~/.bash_history", "~/.zsh_history", "~/.local/share/fish/fish_history", "~/.python_history",
    "~/.node_repl_history", "~/.psql_history", "~/.mysql_history", "~/.sqlite_history", "~/.Xauthority",
    "~/.ICEauthority", "~/.zhistory", "~/.histfile", "~/.sh_history", "~/.ash_history", "~/.local/share/zsh/history",
    "~/.local/state/bash", "~/.local/share/atuin", "~/.local/share/powershell", "~/.lesshst", "~/.viminfo",
    "~/.local/state/nvim/shada", "~/.local/share/nvim/shada", "~/.irb_history", "~/.rediscli_history", "~/.dbshell",
    "~/.local/share/klipper", "~/.local/share/Trash",
    # the system's own, where the daemon may read it
    "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d",
    "/etc/krb5.keytab",
    "/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key", "/etc/docker/key.json",
    "/etc/kubernetes", "/etc/rancher", "/var/lib/kubelet", "/var/lib/rancher", "/var/spool/cron", "/var/run",
    "/etc/security/opasswd", "/etc/ssl/private", "/etc/letsencrypt", "/etc/wireguard", "/etc/openvpn",
    "/etc/NetworkManager/system-connections", "/etc/wpa_supplicant", "/var/lib/iwd", "/var/lib/tailscale",
    "/etc/ppp/chap-secrets", "/etc/ipsec.secrets", "/etc/msmtprc", "/etc/postfix/sasl_passwd", "/etc/mysql/debian.cnf",
    "/etc/credstore", "/etc/credstore.encrypted", "/var/lib/systemd/credential.secret", "/var/lib/sss/db", "/var/mail",
    "/var/spool/mail", "/var/spool/at", "/var/spool/postfix",
)  # fmt: skip

# Variables of the daemon that say where such a thing lies instead; some say `/dev/null`, or a folder of much else.
HIDDEN_BY_VARIABLE = (
    "GNUPGHOME", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AZURE_CONFIG_DIR", "CLOUDSDK_CONFIG",
    "GOOGLE_APPLICATION_CREDENTIALS", "KUBECONFIG", "DOCKER_CONFIG", "GH_CONFIG_DIR", "NETRC", "NPM_CONFIG_USERCONFIG",
    "PASSWORD_STORE_DIR", "PGPASSFILE", "XAUTHORITY", "SSH_AUTH_SOCK", "VAULT_TOKEN_FILE", "XDG_RUNTIME_DIR",
    "TMUX_TMPDIR", "SCREENDIR", "HISTFILE", "SOPS_AGE_KEY_FILE", "ANSIBLE_VAULT_PASSWORD_FILE", "RCLONE_CONFIG",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_FEDERATED_TOKEN_FILE", "CLAUDE_CONFIG_DIR",
)  # fmt: skip

# Variables that move a whole folder in which some of the above lie.
MOVED_BY_VARIABLE = {
    "~/.config/": "XDG_CONFIG_HOME", "~/.local/share/": "XDG_DATA_HOME", "~/.local/state/": "XDG_STATE_HOME",
}  # fmt: skip

# Sockets of every service lie in /run: docker, containerd, dbus, systemd, agents, screens. It is empty inside, but for:
RUN_SHOWN = (
    "/run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf", "/run/resolvconf/resolv.conf", "/run/connman/resolv.conf",
    "/run/current-system", "/run/booted-system", "/run/opengl-driver", "/run/opengl-driver-32",
)  # fmt: skip

# Python imports these at each start, if they lie beside what it was told to import: in a checkout, beside this package.
IMPORTED_AT_START = ("sitecustomize", "usercustomize")

# What root may write in /proc changes the kernel, not the process.
KERNEL_SWITCHES = ("/proc/sys", "/proc/sysrq-trigger", "/proc/acpi", "/proc/scsi", "/proc/mtrr", "/proc/fs")

# Replaced inside by folders of the tasks' own, so that a task is fast and can't poison what the user runs.
CACHES = ("~/.cache", "~/.npm")

# A workspace is never one of these ...
TOO_WIDE = ("/", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/var", "/var/lib", "/var/tmp")
# ... nor anything below these.
SYSTEM = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys", "/usr",
    "/var/spool",
)  # fmt: skip
