"""Whether a program that is started as another user only shows something: `sudo lsof`, `sudo iptables -S`.

Rule: only programs by their plain names, with nothing set for them, of which it is known here which of their forms
change nothing. What they are handed is judged by the rules for whoever reads it.
"""

from __future__ import annotations

import re

from orchestrator.policy.scene import Seen

_ALWAYS_TEXT = """
    df lsblk lsof ss netstat lscpu lspci lsusb lshw ps free vmstat iostat uptime uname whoami id who w last lastb getent
    findmnt iptables-save ip6tables-save ebtables-save nproc lsmod modinfo getenforce sestatus aa-status dmidecode pgrep
    true pidof lsns lslocks lsipc pvs vgs lvs pvdisplay vgdisplay lvdisplay apt-cache dpkg-query arch nstat pstree
"""
_ALWAYS = frozenset(_ALWAYS_TEXT.split())
# What is in a folder or a file may be shown where it is the system's: those of users are nobody else's business.
_CONTENTS_TEXT = """
    ls du stat tree find cat head tail less more grep egrep zgrep zcat zless wc file md5sum sha256sum
"""
_CONTENTS = frozenset(_CONTENTS_TEXT.split())
_SYSTEMS = re.compile(r"/(?:var(?!/(?:spool|mail|backups))|proc|sys|etc|usr|run|boot|lib|opt)(?:/(?!.*\.\./)|$)")
_BEYOND = re.compile(r"-(?:\w*[rR]\w*|-recursive|exec\w*|ok\w*|delete|fprint\w*|fls)$")
# Of these the words behind the name must be such. `\b` ends a word, what follows is free.
_SHOWS = {
    "iptables ip6tables": r"(?:-t \w+ |-[nvxw]+ |--(?:line-numbers|numeric|verbose) )*(?:-[nvx]*[LS]|--list)",
    "nft": r"(?:-\w+ )*list\b", "ufw": r"status\b", "ipset": r"list\b|-L\b", "conntrack": r"-L\b",
    "firewall-cmd": r"--(?:list|state|get)", "fail2ban-client": r"(?:status|ping|version)\b",
    "wipefs": r"(?!.*(?:^|\s)(?:-\w*[ao]|--(?:all|offset)))|.*(?:^|\s)(?:-\w*n\w*|--no-act)\b",
    "systemctl": r"(?:--?[\w=-]+ )*(?:status|show|cat|list-\w+|is-\w+|get-default|help)\b",
    "service": r"--status-all$|\S+ status$",
    "journalctl": r"(?!.*--(?:vacuum|rotate|flush|sync|relinquish|update|setup))",
    "dmesg": r"(?!.*(?:(?:^|\s)-\w*[CcDEn]|--(?:clear|read-clear|console)))",
    "docker podman": r"(?:(?:container|image|volume|network|system|compose) )?"
    r"(?:ps|ls|images|logs|inspect|info|version|stats|top|port|diff|history|df)\b",
    "nginx": r"-[tTvVq]+$", "apachectl apache2ctl": r"(?:configtest|status|-[tSvV])$", "sshd": r"-[tT]\b",
    "haproxy": r"-c\b", "visudo": r"(?:-c|--check)\b", "crontab": r"(?:-u \w+ )?-l$",
    "sysctl": r"(?!.*(?:=|(?:^|\s)-\w*[wpf]|--(?:write|load|system)))",
    "fdisk sfdisk gdisk parted": r"(?:-l|--list)\b|.*\bprint$", "blkid": r"(?!.*(?:^|\s)-[gw])", "mount": r"$|-l\b",
    "swapon": r"(?:--show|-s|--summary)", "mdadm": r"(?:--detail|--examine|--query|-[DEQ])\b",
    "zpool zfs": r"(?:status|list|get|history)\b", "btrfs": r"(?:\w+ )?(?:show|usage|df|list)\b",
    "cryptsetup": r"(?:status|luksDump|isLuks)\b", "nvme": r"(?:list|smart-log|id-\w+)\b",
    "smartctl": r"(?!.*(?:^|\s)(?:-[sotX]|--(?:set|smart|offlineauto|test|abort|saveauto)))", "hdparm": r"-[Iig]\b",
    "apt apt-get aptitude": r"(?:list|show|search|policy)\b|.*(?:^|\s)(?:-s|--simulate|--dry-run|--just-print)\b",
    "dpkg": r"(?:-[lLsSpcI]|--(?:list|status|search|info|contents))\b", "rpm": r"(?:-q|--query)",
    "dnf yum": r"(?:list|info|search|check-update|repolist|history)\b", "pacman": r"-Q",
    "snap flatpak": r"(?:list|info)\b",
    "ip": r"(?:-\S+ )*(?:a|addr|address|l|link|r|route|n|neigh|rule|netns)(?: (?:show|list|ls)\b|$)",
    "resolvectl timedatectl hostnamectl localectl loginctl networkctl": r"$|(?:status|query|show\S*|list\S*|dns)\b",
    "passwd": r"-S\b", "chage": r"-l\b", "auditctl": r"-[ls]$", "efibootmgr": r"(?:-v)?$",
    "bootctl": r"$|(?:status|list)$", "certbot": r"certificates\b|renew --dry-run",
    "virsh": r"(?:list|dominfo|domstate|net-list|pool-list)\b", "update-alternatives": r"--(?:display|list|query)\b",
    "systemd-repart": r"(?!.*--(?:dry-run[= ](?:no|0|false|off)|factory-reset))", "logrotate": r"(?:-d|--debug)\b",
    "rsync": r"(?:-\w*n\w*|--dry-run)\b",
}  # fmt: skip
_FORMS = {name: re.compile(form) for names, form in _SHOWS.items() for name in names.split()}
# What `sudo` does by itself, and its options that change nothing in what is started.
_OWN_DEEDS = re.compile(r"(?:-n |--non-interactive )?-(?:l|ll|v|k|K)(?: .*)?$")
_QUIET = frozenset(("-n", "-E", "-H", "-S", "-nE", "-EH", "-b", "--", "--non-interactive", "--preserve-env"))
_SYSTEM_PROGRAM = re.compile(r"(?:/usr)?/s?bin/[\w.-]+|[\w.-]+")


def only_shows(seen: Seen) -> bool:
    """Whether `sudo` or its like is told something that only shows how things are, or what would be done."""
    words = seen.command.words
    if seen.name not in ("sudo", "doas") or len(words) < 2:
        return False
    if _OWN_DEEDS.match(" ".join(words[1:])):
        return True
    at = next((at for at, word in enumerate(words) if at and word not in _QUIET), len(words))
    if at >= len(words) or at in seen.command.expands or not _SYSTEM_PROGRAM.fullmatch(words[at]):
        return False
    name, said = words[at].rpartition("/")[2], " ".join(words[at + 1 :])
    if name in _CONTENTS:
        return _of_the_system(words[at + 1 :])
    form = _FORMS.get(name)
    return name in _ALWAYS or (form is not None and form.match(said) is not None)


def _of_the_system(words: tuple[str, ...]) -> bool:
    """Whether all that is looked at belongs to the system."""
    paths = [word for word in words if word[:1] in ("/", "~", "$", ".")]
    return bool(paths) and all(map(_SYSTEMS.match, paths)) and not any(map(_BEYOND.match, words))
