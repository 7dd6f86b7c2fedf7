#!/bin/sh
# The life of a package under a real systemd, from installation to removal, in namespaces of its
# own: a gateway that boots from a fresh Debian, a client and a server, and mail between them.
#
# Usage: package.sh PACKAGE LATER, two of one kind (.deb, .rpm). Needs root, and debootstrap once;
# the tree lies in target/systemd.
set -eu

cd "$(dirname "$0")/../.."
here=$PWD/tests/lab
work=$PWD/target/systemd
root=$work/root
holds=dbus,init-system-helpers,iproute2,iptables,logrotate,procps,rpm,systemd-sysv

say() { echo "package: $*"; }
die() { echo "package: $*" >&2; exit 1; }

prepare() {
    [ "$(id -u)" = 0 ] || die "needs root"
    if [ "$(cat "$work/ready" 2>/dev/null)" != "$holds" ]; then
        say "making a Debian in $root"
        rm -rf "$root" && mkdir -p "$work"
        debootstrap --variant=minbase --include="$holds" \
            "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" >"$work/log" 2>&1 ||
            die "debootstrap fails, see $work/log"
        echo "$holds" >"$work/ready"
    fi
    rm -rf "$work/share" && mkdir -p "$work/share"
    cp "$1" "$work/share/first"
    cp "$2" "$work/share/later"
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
    server=$!
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
    # The machine goes with whoever made its namespace, which no other signal ends.
    kill -KILL ${machine-} ${server-} ${held-} 2>/dev/null || true
    wait 2>/dev/null || true
    [ "$status" = 0 ] || tail -n 20 "$work/console" >&2
    # With those that the machine has made below.
    for _ in $(seq 50); do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break || sleep 0.1
    done
    exit "$status"
}

# What the client sees: `guarded` or `bare`, `refused` if nothing answers.
seen() { timeout 20 ip netns exec client python3 "$here/package.py" look; }
expect() { found=$(eval "$2" 2>&1) || true; [ "$found" = "$3" ] || die "$1: $found, not $3"; }

# All files, but those in which the system itself keeps its memory of packages and users.
files() {
    inside find / -xdev \( -path /var/lib/dpkg -o -path /var/log/journal -o -path /mnt -o -path /tmp \
        -o -path /var/lib/systemd -o -path /var/cache -o -path /var/log/dpkg.log \
        -o -path /var/lib/rpm -o -path ~root/.rpmdb -o -path /var/lib/logrotate -o -path '/etc/*-' \
        -o -path /etc/.pwd.lock \) -prune -o -print |
        sort
}

configure() { printf '%s\n' "$@" | inside tee /etc/mailguard/mailguard.toml >/dev/null; }

# $1: what is done while a connection is open, which has to go on with another process.
going_on() {
    rm -f "$work/share/held" "$work/share/go"
    ip netns exec client python3 "$here/package.py" hold "$work/share/held" "$work/share/go" &
    held=$!
    until [ -e "$work/share/held" ]; do kill -0 "$held" || die "no connection"; sleep 0.1; done
    old=$(main)
    eval "$1"
    [ "$(main)" != "$old" ] || die "$1: the filter was not restarted"
    touch "$work/share/go"
    wait "$held" || die "$1: a connection was broken"
    held=
}

# The control socket under the unit, and who may write the configuration there.
control() {
    configure '[log]' 'events = "/var/log/mailguard/events.log"'
    inside systemctl restart mailguard
    inside journalctl -q -u mailguard | grep 'no control socket' && die "has no control socket"
    expect "who may talk to it" "inside stat -c '%U %G %a' /run/mailguard/control" \
        "mailguard mailguard 660"
    ctl="/usr/sbin/mailguard ctl"
    inside $ctl fixup protocol smtp 587 || die "a line of the PIX's is refused"
    inside setpriv --reuid=mailguard --regid=mailguard --clear-groups $ctl write memory \
        >"$work/refused" 2>&1 && die "the filter writes its configuration, which is root's"
    expect "who may not write" "cat $work/refused" "mailguard: ERROR: cannot write\
 /etc/mailguard/mailguard.toml: Read-only file system (os error 30); root's \`mailguard ctl\` may"
    inside $ctl write memory | grep -q '^\[OK\]$' || die "root cannot save"
    expect "saved" "inside head -n 1 /etc/mailguard/mailguard.toml" "ports = [25, 587]"
    expect "whose it is" "inside stat -c '%U %a' /etc/mailguard/mailguard.toml" "root 644"
    inside systemctl restart mailguard
    expect "what was saved" "inside $ctl show fixup" "fixup protocol smtp 25
fixup protocol smtp 587"
    inside rm /etc/mailguard/mailguard.toml.1
    # The configurations to come know nothing of that port.
    configure '[log]' 'events = "/var/log/mailguard/events.log"'
    inside mailguard rules up
    say "the control socket is there; who may not save is told so, and root's words are saved"
}

logs() {
    configure '[log]' 'events = "/var/log/mailguard/events.log"'
    inside systemctl restart mailguard
    expect "with a log" seen guarded
    inside logrotate -f /etc/logrotate.d/mailguard
    expect "the log's turning" "inside stat -c '%U %a' /var/log/mailguard/events.log" "mailguard 640"
    expect "with a new log" seen guarded
    sleep 1
    inside test -s /var/log/mailguard/events.log || die "the new log is empty"
    inside test -s /var/log/mailguard/events.log.1 || die "the old log is gone"
    say "the log is turned, and written on"

    configure '[log]' 'events = "journald"'
    inside systemctl restart mailguard
    expect "with the journal" seen guarded
    inside journalctl --sync
    # Connections are numbered on over a restart.
    for field in MAILGUARD_EVENT=opened MAILGUARD_RULE=banner; do
        inside journalctl -q -u mailguard "$field" -o verbose | grep -q MAILGUARD_FLOW= ||
            die "the journal has no entry with $field"
    done
    configure '[log]' 'events = "/var/log/mailguard/events.log"'
    inside systemctl restart mailguard
    expect "with a log again" seen guarded
    say "the journal has its entries, field by field"
}

filters() {
    expect "installed" seen guarded
    expect "its user" "inside ps -o user= -p \$(main)" mailguard
    inside grep -q '^CapPrm:.0000000000003000$' "/proc/$(main)/status" || die "has capabilities"
    inside journalctl -q -u mailguard | grep 'are not limited' && die "not in its sandbox"
    for unit in mailguard.service mailguard-rules.service; do
        expect "$unit" "inside systemctl is-active $unit" active
        expect "$unit" "inside systemctl is-enabled $unit" enabled
    done
}

# Somebody's rules are stopped, with all that stand, and started anew.
reloads() {
    printf '%s\n' '[Service]' Type=oneshot RemainAfterExit=yes ExecStart=/bin/true \
        'ExecStop=/bin/sh -c "iptables-save | sed -n s/^\\\\*//p | xargs -n 1 iptables -F -t"' |
        inside tee /etc/systemd/system/iptables.service >/dev/null
    inside systemctl daemon-reload
    inside systemctl start iptables
    expect "beside other rules" seen guarded
    inside systemctl stop iptables
    expect "flushed" seen bare
    inside systemctl start iptables
    expect "with other rules again" seen guarded
    inside systemctl stop iptables
    inside rm /etc/systemd/system/iptables.service
    inside systemctl daemon-reload
    inside systemctl start mailguard-rules
    say "whoever loads other rules anew brings ours with them"
}

# What `check` says of this machine, and of a queue that nobody but the manager holds.
checked() {
    expect "what check finds" "inside mailguard check --brief | grep -v '^wrong  rp_filter: '" ""
    inside cp /usr/sbin/mailguard /tmp/looks
    inside chmod -x /usr/sbin/mailguard
    inside systemctl kill --signal=KILL mailguard
    for _ in $(seq 100); do
        kept=$(inside /tmp/looks check --brief | grep '^wrong  queue 0: no filter reads it' || true)
        [ -z "$kept" ] || break
    done
    expect "who keeps the queue" 'echo "${kept%,*}"' \
        "wrong  queue 0: no filter reads it; systemd keeps it"
    inside chmod +x /usr/sbin/mailguard
    inside rm /tmp/looks
    for _ in $(seq 100); do inside systemctl -q is-active mailguard && break || sleep 0.1; done
    expect "after that" seen guarded
    say "check finds nothing wrong, and a queue that systemd keeps while no filter reads it"
}

# $1: the upgrade, $2: the way back.
upgrades() {
    going_on "$1"
    expect "the configuration" "inside head -n 1 /etc/mailguard/mailguard.toml" "[log]"
    expect "upgraded" seen guarded
    say "upgraded: a connection under way went on, the configuration is kept"

    old=$(main)
    configure 'ports = [0]'
    eval "$2"
    [ "$(main)" = "$old" ] || die "restarted with a configuration that is refused"
    expect "with a wrong configuration" seen guarded
    configure '[log]' 'events = "/var/log/mailguard/events.log"'
    say "a configuration that is refused stops no upgrade, and the old filter goes on"

    inside systemctl stop mailguard
    expect "stopped" seen refused
    inside systemctl start mailguard
    expect "started" seen guarded
    say "stopped: nothing passes, until it is started again"
}

# No file, no unit.
gone() {
    files >"$work/after"
    diff "$work/before" "$work/after" || die "gone, and these files differ"
    expect "units" "inside systemctl list-units --all --plain --no-legend 'mailguard*'" ""
}

removed() {
    expect "removed" seen bare
    expect "the rules" "inside iptables-save | grep -c MAILGUARD" 0
    inside test -e "/etc/mailguard/mailguard.toml$1" || die "removing took the configuration"
    inside test -e /var/log/mailguard/events.log || die "removing took the log"
}

life_of_deb() {
    inside dpkg -i /mnt/share/first
    filters
    expect "what looks each minute" "inside systemctl is-enabled mailguard-check.timer" disabled
    say "installed: filters at once, as a user of its own"
    control
    logs
    reloads
    checked
    upgrades "inside dpkg -i --force-confold /mnt/share/later" \
        "inside dpkg -i --force-confold /mnt/share/first"
    inside dpkg -r mailguard
    removed ""
    inside dpkg -P mailguard
    gone
    expect "users" "inside getent passwd | diff $work/passwd -" ""
    say "removed: mail passes; purged: no file, no user, no unit"
}

life_of_rpm() {
    # The machine's own programs are in the other system's books.
    inside rpm -i --nodeps /mnt/share/first
    expect "installed" seen bare
    expect "enabled" "inside systemctl is-enabled mailguard.service" disabled
    expect "its files" "inside rpm -V --nodeps mailguard" ""
    inside getent passwd mailguard >/dev/null || die "it has no user"
    inside systemctl -q enable --now mailguard.service
    filters
    say "installed: filters as soon as it is enabled, as a user of its own"
    control
    logs
    reloads
    checked
    upgrades "inside rpm -U --nodeps /mnt/share/later" \
        "inside rpm -U --nodeps --oldpackage /mnt/share/first"
    inside rpm -e mailguard
    removed .rpmsave
    inside rm -r /etc/mailguard /var/log/mailguard
    gone
    say "removed: mail passes; its configuration and its log are left, and nothing else"
}

life() {
    files >"$work/before"
    inside getent passwd >"$work/passwd"
    expect "before" seen bare
    "life_of_$1"
}

main() { inside systemctl show -p MainPID --value mailguard; }

case ${1-} in
"") sed -n 's/^# Usage: //p' "$0" >&2; exit 2 ;;
inner)
    trap end EXIT
    lay_network
    boot
    life "$2"
    ;;
*)
    prepare "$1" "$2"
    exec unshare --net --mount --propagation private "$0" inner "${1##*.}"
    ;;
esac
