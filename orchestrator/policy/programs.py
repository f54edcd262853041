"""The table of what programs do to files: for each its operands, and the options whose values are files.

Rule: data only. What is the same for a whole family of programs stands in one row; how a row is read stands in effects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_SENDERS_TEXT = """
    curl wget http xh https nc ncat netcat socat telnet ssh scp sftp ftp lftp tftp rclone aws gsutil gcloud az
    s3cmd mc mail mailx mutt sendmail swaks nslookup dig host drill ping whois finger logger openssl gh transfer
    restic local_model pastebinit haste hastebin wgetpaste gist mosquitto_pub websocat wscat grpcurl kcat kafkacat
    telegram-send slackcat matrix-commander signal-cli ffsend ngrok ipfs psql mysql mariadb redis-cli mongosh
    croc wormhole magic-wormhole rsync msmtp ssmtp mpack resolvectl hping3 traceroute snmptrap b2 azcopy oras helm glab
    getent kubectl oc traceroute6 tracepath mtr delv kdig doggo avahi-resolve avahi-resolve-host-name fping nping
    systemd-resolve
"""
SENDERS = frozenset(_SENDERS_TEXT.split())
# Options by which a program is told a key or a configuration to work with: that tells nobody what is in it, unless it
# is no such thing, which the program then prints in its complaint.
_KEY_OPTIONS_TEXT = """
    -i -F --private-key --identity --identity-file --key --key-file --ssh-key --kubeconfig --netrc-file
    --userconfig --cert --cacert --config --config-file --ssh-identity -keyfile --credentials-file --env-file --secret
"""
KEY_OPTIONS = frozenset(_KEY_OPTIONS_TEXT.split())
NO_KEY = re.compile(r"/etc/(?:g?shadow|sudoers)|\w*_history$")
NO_CONFIG = re.compile(r"(?:^|/)id_(?:rsa|dsa|ecdsa|ed25519)$|\.(?:pem|key|kdbx)$")
CONFIG_OPTIONS = frozenset(("-F", "--config", "--config-file", "--env-file", "--userconfig"))
# Only these have a key behind `-i`.
KEYED = frozenset(("ssh", "scp", "sftp", "rsync", "ssh-copy-id", "ssh-add", "mosh", "ansible", "ansible-playbook"))
_OUTPUT_TEXT = """
    -o --output --out -out --output-file --outfile --output-document --log-file --logfile --output-dir --outdir
    -O -oN -oG -oX -oA -Logfile -logfile --log --dest --destination --target-dir --target-directory --save --save-to
    --dump --dump-to --write --write-to --outputfile --output_file --report --report-file --filename -filename
"""
OUTPUT = frozenset(_OUTPUT_TEXT.split())
_NO_READERS_TEXT = """
    ls ll stat test [ [[ echo printf cd pushd mkdir touch file du basename dirname realpath readlink export declare
    unset which type ssh-add chmod find fd python-code python-dynamic remote-shell pwd tree exa eza lsof git-add
    locate mdfind mlocate plocate ssh-agent proot bwrap systemd-nspawn apptainer singularity machinectl
"""
NO_READERS = frozenset(_NO_READERS_TEXT.split())
# These only read what they are handed, whatever their options say but for those of OUTPUT.
_READERS_TEXT = """
    cat tac bat batcat less more most zcat zless xzcat bzcat gzcat diff cmp wc nl md5sum sha1sum sha224sum sha256sum
    sha384sum sha512sum shasum b2sum cksum sum crc32 stat file tree du ls dir rev look column jless fx gron view
    rview vimdiff colordiff delta icdiff difft dyff yamllint jsonlint shellcheck hadolint actionlint toml-test tomll
    taplo pygmentize highlight glow mdcat pandoc csvlook csvstat csvcut xsv qsv duckdb visidata hexyl entr pytest
    tox mypy pylint flake8 shfmt openssl nginx caddy docker-compose code subl xdg-open gh git-add logger lsof fuser
    getfacl getfattr lsattr namei pathchk realpath readlink basename dirname source . test [ printf echo lsblk blkid
    findmnt df smartctl udevadm hdparm sdparm blockdev fdisk cfdisk sfdisk sgdisk gdisk parted cryptsetup wipefs
    lvdisplay vgdisplay nvme diskutil zpool zfs mdadm dmsetup btrfs resize2fs tune2fs e2fsck fsck dumpe2fs e2label
    xfs_repair xfs_info swapon swapoff losetup efibootmgr grub-install testdisk kpartx partprobe eject udisksctl
    minicom picocom screen stty setserial avrdude esptool esptool.py pvs vgs lvs pvdisplay ntfsfix fatlabel growpart
    pvresize umount true false export cloc tokei scc wdiff sdiff mail orchestrator
    iostat sg_inq lsscsi hwinfo inxi blktrace journalctl partx hd pv multipath lshw sg_map ioping
"""
READERS = frozenset(_READERS_TEXT.split())
# Their first operand is the program that they run.
RUNNERS = re.compile(r"(?:python|pypy|node|nodejs|bun|deno|ruby|perl|php|lua|Rscript|julia|(?:ba|da|z|k)?sh)[\d.]*$")


class Row(NamedTuple):
    """`operands` is a kind for each; one with `*` stands for as many as there are, `-` for what is no path, `a+b` for
    both. `values`: what an option's value is; `-` fills the place of the operand that is no path."""

    operands: tuple[str, ...]
    values: Mapping[str, str]
    tree: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def _rows() -> dict[str, tuple[Row, ...]]:
    table: dict[str, tuple[Row, ...]] = {}
    for names, operands, values, tree, needs in _TABLE:
        pairs = dict(item.split("=") for item in values.split())
        row = Row(tuple(operands.split()), pairs, tuple(tree.split()), tuple(needs.split()))
        for name in names.split():
            table[name] = (*table.get(name, ()), row)
    return table


_RECURSIVE = "-r -R --recursive"
_TABLE = (
    ("rm zf_rm", "deletes*", "", _RECURSIVE, ""),
    ("srm wipe shred unlink rmdir", "deletes*", "-n= --iterations= -s= --size=", _RECURSIVE, ""),
    ("rimraf trash trash-put del-cli rip", "deletes_tree*", "", "", ""),
    ("mv zf_mv", "moves* writes", "-t=writes --target-directory=writes -S= --suffix=", "", ""),
    ("dpkg-deb", "reads writes", "-Z= -z= -S=", "", "-x -X -R --extract --vextract --raw-extract"),
    ("debootstrap", "- writes -*", "--arch= --variant= --include=", "", ""),
    ("unrar", "- reads writes", "-p=", "", ""),
    ("cp", "reads* writes", "-t=writes --target-directory=writes -S= --suffix=", "", ""),
    ("install", "writes*", "-m= --mode= -o= --owner= -g= --group=", "", "-d --directory"),
    ("install", "reads* writes", "-m= --mode= -o= -g= -t=writes --target-directory=writes", "", ""),
    ("ln link", "reads* writes", "-t=writes -S=", "", ""),
    ("tee sponge truncate fallocate", "writes*", "-s= --size= -r= --reference= -l= --length= -o= --offset=", "", ""),
    ("chmod chown chgrp setcap chcon zf_chmod zf_chown", "- permits*", "--reference=-", "-R --recursive", ""),
    ("chattr", "permits*", "", "-R", ""),
    ("setfacl", "permits*", "-m= -x= -M= -X= --modify= --remove= --set=", "-R --recursive", ""),
    ("sed gsed", "- reads+writes*", "-e=- --expression=- -f=-+reads --file=-+reads -l=", "", "-i --in-place"),
    ("sed gsed", "- reads*", "-e=- --expression=- -f=-+reads --file=-+reads -l=", "", ""),
    ("perl ruby", "writes*", "-e= -E= -M= -I=", "", "-i -pi"),
    ("awk gawk mawk nawk", "- reads+writes*", "-i= --include= -f=-+reads -F= -v=", "", "-i --include"),
    ("awk gawk mawk nawk", "- reads*", "-f=-+reads -F= -v= --field-separator=", "", ""),
    ("yq tomlq xq jaq", "- writes*", "", "", "-i --inplace --in-place"),
    ("grep egrep fgrep rg ag ack zgrep ugrep", "- reads*", "-e=- -f=-+reads -m= -A= -B= -C= -g= -t= -T= -d=", "", ""),
    ("jq gojq jaq yq tomlq xq xmllint xmlstarlet mlr", "- reads*", "-f=-+reads --from-file=-+reads --indent=", "", ""),
    ("cut paste join comm head tail fold fmt nl pr tac", "reads*", "-d= -f= -c= -b= -n= -w= -s= -t=", "", ""),
    ("sort", "reads*", "-o=writes --output=writes -k= -t= -S= -T= --files0-from=reads", "", ""),
    ("uniq split csplit", "reads writes", "-f= -s= -w= -b= -l= -n= -a= -C=", "", ""),
    ("iconv", "reads*", "-f= -t= -o=writes", "", ""),
    ("od hexdump hd", "reads*", "-j= -N= -A= -t= -w= -s= -n= -e= -f=reads", "", ""),
    ("xxd base64 base32 strings", "reads writes", "-l= -s= -c= -w= -N= -j= -t= -A= -n= -o=writes", "", ""),
    ("vim vi nvim", "reads*", "-c= --cmd= -S= -u= -i=", "", "-R -M"),
    ("vim vi nvim ex ed nano emacs pico joe micro mcedit red", "reads+writes*", "-c= --cmd= -S= -u= -i=", "", ""),
    ("mount bindfs", "reads writes", "-t= -o= -L= -U= --types= --options=", "", ""),
    ("setfattr", "permits*", "-n= -v= -x= --name= --value= --remove= --restore=reads", "", ""),
    ("patch", "writes*", "-o=writes --output=writes -d=writes --directory=writes -i=reads -p= -r=", "", ""),
    ("gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd lzma compress", "reads+writes*", "-S= -T= -o=writes", "", ""),
    ("zip", "writes reads+deletes_tree*", "-x= -i= -T= -b=", "", "-m --move"),
    ("7z 7za 7zz rar", "- writes reads+deletes_tree*", "", "", "-sdel -df -dr"),
    ("robocopy", "reads deletes_tree", "", "", "/MIR /PURGE"),
    ("zip", "writes reads*", "-x= -i= -T= -b=", "", ""),
    ("mogrify jpegoptim optipng pngcrush detox black isort autopep8 yapf rustfmt", "writes*", "", "", ""),
    ("exiftool", "writes*", "", "", "-overwrite_original -overwrite_original_in_place -delete_original"),
    ("stow", "-*", "-t=writes --target=writes -d=reads --dir=reads", "", ""),
    ("tmpreaper tmpwatch", "- deletes_tree*", "-x= --protect= --exclude= --exclude-user=", "", ""),
    ("sudoedit", "reads+writes*", "-u= -g=", "", ""),
    ("rdfind", "deletes_tree*", "", "", "-deleteduplicates -makesymlinks -makehardlinks"),
    ("unzip unar", "reads -*", "-d=writes -x= -o=writes", "", ""),
    ("cpio", "-*", "-D=writes --directory=writes -F= -I=reads -O=writes", "", ""),
    ("scrub nwipe xorriso wodim", "writes*", "", "", ""),
    ("fdupes jdupes rmlint", "deletes_tree*", "", "", "-d --delete -N"),
    ("python-send", "sends*", "", "", ""),
    ("ar 7z 7za 7zz rar", "- writes reads*", "-o=writes", "", ""),
    ("openssl", "-*", "-in=reads -out=writes -inkey=reads -keyout=writes -key=reads -kfile=reads", "", ""),
    ("gpg gpg2", "reads*", "-o=writes --output=writes -r= -u= --homedir=", "", ""),
    ("ssh-keygen", "-*", "-f=", "", "-l -B -R -F"),
    ("ssh-keygen", "reads*", "-f=reads+writes -t= -b= -C= -N= -R= -F= -P= -I=", "", ""),
    ("wget", "-*", "-O=writes --output-document=writes -P=writes --directory-prefix=writes -o=writes -a=writes "
     "--output-file=writes --post-file=sends --body-file=sends -i=reads --input-file=reads", "", ""),
    ("aria2c axel", "-*", "-d=writes --dir=writes -o=writes --out=writes", "", ""),
    ("mail mailx mutt sendmail swaks", "-*", "-a=sends -A=sends --attach=sends -s= -r= -S=", "", ""),
    ("mysqldump pg_dump mongodump", "-*", "-r=writes --result-file=writes -f=writes --file=writes -o=writes", "", ""),
    ("crontab", "reads", "-u=", "", ""),
    ("source .", "reads -*", "", "", ""),
    ("file", "-*", "-f=reads --files-from=reads -m=reads --magic-file=reads", "", ""),
    ("du", "-*", "--files0-from=reads -X=reads --exclude-from=reads -d= --max-depth=", "", ""),
    ("gcp rcp ginstall ditto xcopy", "reads* writes", "", "", ""),
    ("lwp-download lwp-mirror", "- writes", "", "", ""),
    ("script scriptlive", "writes -*", "-c= --command= -O=writes --log-out=writes -B=writes -I=writes", "", ""),
    ("rlwrap", "-*", "-l=writes --logfile=writes -H=writes -f=reads", "", ""),
    ("tcpdump tshark dumpcap varnishncsa varnishlog", "-*", "-w=writes -r=reads -F=reads -P=writes", "", ""),
    ("dos2unix unix2dos mac2unix unix2mac", "reads+writes*", "", "", ""),
)  # fmt: skip
PROGRAMS = _rows()
