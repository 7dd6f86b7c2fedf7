#!/bin/sh
# The life of the Debian package under a real systemd, from installation to purge, in namespaces of
# its own: a gateway that boots from a fresh Debian, a client and a server, and mail between them.
#
# Usage: package.sh DEB. Needs root, and debootstrap once; the tree lies in target/systemd.
set -eu

cd "$(dirname "$0")/../.."
here=$PWD/tests/lab
work=$PWD/target/systemd
root=$work/root

say() { echo "package: $*"; }
die() { echo "package: $*" >&2; exit 1; }

prepare() {
    [ "$(id -u)" = 0 ] || die "needs root"
    if [ ! -e "$work/ready" ]; then
        say "making a Debian in $root"
        rm -rf "$root" && mkdir -p "$work"
        debootstrap --variant=minbase \
            --include=dbus,init-system-helpers,iproute2,iptables,logrotate,procps,systemd-sysv \
            "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" >"$work/log" 2>&1 ||
            die "debootstrap fails, see $work/log"
        touch "$work/ready"
    fi
    rm -rf "$work/share" && mkdir -p "$work/share/new"
    cp "$1" "$work/share/first.deb"
    # The same as a later version: what an upgrade does depends on the version alone.
    dpkg-deb -R "$1" "$work/share/new"
    sed -i 's/^\(Version: .*\)/\1+later/' "$work/share/new/DEBIAN/control"
    dpkg-deb --root-owner-group -b "$work/share/new" "$work/share/later.deb" >/dev/null
}

# A client, the gateway we are, and a server.
lay_network() {
    mount -t tmpfs tmpfs /run
    ip link set lo up
    for side in client server; do
        ip netns add "$side"
        ip link add "$side" type veth peer name gateway netns "$side"
        ip link set "$side" up
        ip -n "$side" link set lo up
        ip -n "$side" link set gateway up
    done
    ip address add 10.1.0.1/24 dev client
    ip address add 10.2.0.1/24 dev server
    ip -n client address add 10.1.0.2/24 dev gateway
    ip -n server address add 10.2.0.2/24 dev gateway
    ip -n client route add default via 10.1.0.1
    ip -n server route add default via 10.2.0.1
    echo 1 >/proc/sys/net/ipv4/ip_forward
    ip netns exec server python3 "$here/package.py" serve &
}

# Where systemd finds its control groups: the second hierarchy, wherever this machine has it.
hierarchy() { findmnt -rn -t cgroup2 -o TARGET | head -1; }

boot() {
    group=$(hierarchy)/mailguard-package-$$
    mkdir "$group"
    # shellcheck disable=SC2016 # the inner shell's
    sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$group" \
        unshare --mount --propagation private --pid --fork --kill-child --uts --ipc --cgroup \
        sh -eu "$here/package-boot.sh" "$root" "$work/share" >"$work/console" 2>&1 &
    machine=$!
    for _ in $(seq 100); do
        init=$(pgrep -P "$machine" -x systemd || true)
        [ -n "$init" ] && inside systemctl is-system-running --wait >/dev/null 2>&1 && return
        [ -n "$init" ] && inside systemctl is-system-running 2>/dev/null | grep -q degraded && return
        sleep 0.1
    done
    die "no systemd, see $work/console"
}

inside() { nsenter -t "$init" -m -p -u -i -C -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

end() {
    status=$?
    [ -z "${machine-}" ] || kill "$machine" 2>/dev/null || true
    wait 2>/dev/null || true
    for _ in $(seq 50); do rmdir "$group" 2>/dev/null && break || sleep 0.1; done
    exit "$status"
}

# What the client sees: `guarded` or `bare`, `refused` if nothing answers.
seen() { timeout 20 ip netns exec client python3 "$here/package.py" look; }
expect() { found=$(eval "$2" 2>&1) || true; [ "$found" = "$3" ] || die "$1: $found, not $3"; }

# All files, but those in which the system itself keeps its memory of packages and users.
files() {
    inside find / -xdev \( -path /var/lib/dpkg -o -path /var/log/journal -o -path /mnt -o -path /tmp \
        -o -path /var/lib/systemd -o -path /var/cache -o -path /var/log/dpkg.log \
        -o -path /var/lib/logrotate -o -path '/etc/*-' -o -path /etc/.pwd.lock \) -prune -o -print |
        sort
}

life() {
    files >"$work/before"
    inside getent passwd >"$work/passwd"
    expect "before" seen bare
    inside dpkg -i /mnt/share/first.deb
    for unit in mailguard.service mailguard-rules.service mailguard-check.timer; do
        expect "$unit" "inside systemctl is-active $unit" active
        expect "$unit" "inside systemctl is-enabled $unit" enabled
    done
    expect "installed" seen guarded
    expect "its user" "inside ps -o user= -p \$(main)" mailguard
    inside grep -q '^CapPrm:.0000000000003000$' "/proc/$(main)/status" || die "has capabilities"
    inside journalctl -q -u mailguard | grep 'are not limited' && die "not in its sandbox"
    say "installed: filters at once, as a user of its own"

    printf '[log]\nevents = "/var/log/mailguard/events.log"\n' |
        inside tee /etc/mailguard/mailguard.toml >/dev/null
    inside systemctl restart mailguard
    expect "with a log" seen guarded
    inside logrotate -f /etc/logrotate.d/mailguard
    expect "the log's turning" "inside stat -c '%U %a' /var/log/mailguard/events.log" "mailguard 640"
    expect "with a new log" seen guarded
    sleep 1
    inside test -s /var/log/mailguard/events.log || die "the new log is empty"
    inside test -s /var/log/mailguard/events.log.1 || die "the old log is gone"
    say "the log is turned, and written on"

    printf '[log]\nevents = "journald"\n' | inside tee /etc/mailguard/mailguard.toml >/dev/null
    inside systemctl restart mailguard
    expect "with the journal" seen guarded
    inside journalctl --sync
    for field in MAILGUARD_EVENT=opened MAILGUARD_RULE=banner; do
        inside journalctl -q -u mailguard "$field" MAILGUARD_FLOW=1 | grep -q . ||
            die "the journal has no entry with $field"
    done
    printf '[log]\nevents = "/var/log/mailguard/events.log"\n' |
        inside tee /etc/mailguard/mailguard.toml >/dev/null
    inside systemctl restart mailguard
    expect "with a log again" seen guarded
    say "the journal has its entries, field by field"

    ip netns exec client python3 "$here/package.py" hold "$work/share/held" "$work/share/go" &
    held=$!
    until [ -e "$work/share/held" ]; do kill -0 "$held" || die "no connection"; sleep 0.1; done
    old=$(main)
    inside dpkg -i --force-confold /mnt/share/later.deb
    [ "$(main)" != "$old" ] || die "the upgrade did not restart the filter"
    touch "$work/share/go"
    wait "$held" || die "the upgrade broke a connection"
    expect "the configuration" "inside head -1 /etc/mailguard/mailguard.toml" "[log]"
    expect "upgraded" seen guarded
    say "upgraded: a connection under way went on, the configuration is kept"

    old=$(main)
    echo 'ports = [0]' | inside tee /etc/mailguard/mailguard.toml >/dev/null
    inside dpkg -i --force-confold /mnt/share/first.deb
    [ "$(main)" = "$old" ] || die "restarted with a configuration that is refused"
    expect "with a wrong configuration" seen guarded
    printf '[log]\nevents = "/var/log/mailguard/events.log"\n' |
        inside tee /etc/mailguard/mailguard.toml >/dev/null
    say "a configuration that is refused stops no upgrade, and the old filter goes on"

    inside systemctl stop mailguard
    expect "stopped" seen refused
    inside systemctl start mailguard
    expect "started" seen guarded
    say "stopped: nothing passes, until it is started again"

    inside dpkg -r mailguard
    expect "removed" seen bare
    expect "the rules" "inside iptables-save | grep -c MAILGUARD" 0
    inside test -e /etc/mailguard/mailguard.toml || die "removing took the configuration"
    inside test -e /var/log/mailguard/events.log || die "removing took the log"
    inside dpkg -P mailguard
    files >"$work/after"
    diff "$work/before" "$work/after" || die "purged, and these files differ"
    expect "users" "inside getent passwd | diff $work/passwd -" ""
    expect "units" "inside systemctl list-units --all --plain --no-legend 'mailguard*'" ""
    say "removed: mail passes; purged: no file, no user, no unit"
}

main() { inside systemctl show -p MainPID --value mailguard; }

case ${1-} in
"") sed -n 's/^# Usage: //p' "$0" >&2; exit 2 ;;
inner)
    trap end EXIT
    lay_network
    boot
    life
    ;;
*)
    prepare "$1"
    exec unshare --net --mount --propagation private "$0" inner
    ;;
esac
