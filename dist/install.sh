#!/bin/sh
# Puts what belongs to an installed Mailguard where it belongs: the one list of it.
#
#   install.sh stage PROGRAM PREFIX TREE     all of it below TREE, as packages take it
#   install.sh install PROGRAM PREFIX ROOT   the same below ROOT, where a configuration is kept
#   install.sh uninstall PREFIX ROOT         what was installed, and a configuration nobody changed
set -eu
umask 022
dist=$(cd "$(dirname "$0")" && pwd)

# $1: mode, $2: file, $3: where to.
place() { install -D -m "$1" "$2" "$3"; }

stage() {
    program=$1 prefix=$2 tree=$3
    place 755 "$program" "$tree$prefix/sbin/mailguard"
    "$program" pages "$tree$prefix"
    place 644 "$dist/mailguard.toml" "$tree/etc/mailguard/mailguard.toml"
    place 644 "$dist/logrotate.conf" "$tree/etc/logrotate.d/mailguard"
    place 644 "$dist/sysusers.conf" "$tree$prefix/lib/sysusers.d/mailguard.conf"
    place 644 "$dist/tmpfiles.conf" "$tree$prefix/lib/tmpfiles.d/mailguard.conf"
    for unit in "$dist"/systemd/*; do
        at=$tree$prefix/lib/systemd/system/${unit##*/}
        place 644 "$unit" "$at"
        sed -i "s|/usr/sbin/|$prefix/sbin/|" "$at"
    done
    for one in crowdsec fail2ban grafana prometheus; do
        for file in "$dist/$one"/*; do
            place 644 "$file" "$tree$prefix/share/mailguard/$one/${file##*/}"
        done
    done
    place 644 "$dist/../README.md" "$tree$prefix/share/doc/mailguard/README.md"
}

install_all() {
    program=$1 prefix=$2 root=$3
    tree=$(mktemp -d)
    trap 'rm -rf "$tree" "$tree.list"' EXIT
    stage "$program" "$prefix" "$tree"
    list=$root$prefix/share/mailguard/installed
    (cd "$tree" && find . -type f) | sed 's|^\.||' | sort >"$tree.list"
    while read -r path; do
        mode=$(stat -c %a "$tree$path")
        # Whoever administrates the machine may have written there.
        case $path in /etc/*) [ ! -e "$root$path" ] || continue ;; esac
        place "$mode" "$tree$path" "$root$path"
    done <"$tree.list"
    place 644 "$tree.list" "$list"
}

uninstall() {
    prefix=$1 root=$2
    list=$root$prefix/share/mailguard/installed
    [ -e "$list" ] || { echo "install.sh: nothing is installed below $root$prefix" >&2; exit 2; }
    [ -n "$root" ] || end_filtering "$prefix/sbin/mailguard"
    while read -r path; do
        case $path in
        /etc/mailguard/mailguard.toml)
            cmp -s "$dist/mailguard.toml" "$root$path" || { echo "kept: $root$path"; continue; } ;;
        esac
        rm -f "$root$path"
    done <"$list"
    rm -f "$list"
    for directory in "$root$prefix/share/mailguard"/* "$root$prefix/share/mailguard" \
        "$root$prefix/share/doc/mailguard" "$root/etc/mailguard"; do
        rmdir --ignore-fail-on-non-empty "$directory" 2>/dev/null || true
    done
}

# The rules go first: mail passes then, and without the program they would let none through.
end_filtering() {
    "$1" rules down || echo "install.sh: the rules may still stand, see \`iptables-save\`" >&2
    [ -d /run/systemd/system ] || return 0
    systemctl disable --now mailguard-check.timer mailguard-rules.service mailguard.service || true
    rm -rf /run/mailguard /run/mailguard-rules.lock
}

# The user and the directory of logs, and what the service manager has to know, if it was for this
# machine.
settle() {
    [ -z "$1" ] || return 0
    if [ -d /run/systemd/system ]; then
        systemd-sysusers mailguard.conf && systemd-tmpfiles --create mailguard.conf
        systemctl daemon-reload
        return
    fi
    getent passwd mailguard >/dev/null ||
        useradd --system --user-group --no-create-home --home-dir /nonexistent \
            --shell /usr/sbin/nologin --comment "Mailguard SMTP filter" mailguard
    install -d -m 750 -o mailguard -g mailguard /var/log/mailguard
}

[ $# -gt 0 ] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
command=$1
shift
case $command in
stage) stage "$@" ;;
install)
    install_all "$@"
    settle "$3"
    ;;
uninstall) uninstall "$@" ;;
*) sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
esac
