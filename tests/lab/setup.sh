#!/bin/sh
# Brings what the live tests, the demo and the bench need, and nothing that changes how the host behaves.
#
# Harmless tools (iptables, iproute2, tcpdump, ...) are installed with apt-get, only where missing.
# Mail programs are NOT installed: they conflict with each other and would start daemons. Their
# packages are downloaded and unpacked to target/lab/roots/PROGRAM, from where the lab overlays
# them on a private root. Usage: setup.sh [PROGRAM ...]; quick when there is nothing to do.
# setup.sh --tools COMMAND:PACKAGE ...: these tools and nothing else.
# setup.sh saved: configurations of real PIXes, to try imports on, into target/lab/saved.
set -eu

cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
mkdir -p "${CARGO_TARGET_DIR:-target}/lab"
lab=$(cd "${CARGO_TARGET_DIR:-target}/lab" && pwd)

say() { echo "setup: $*"; }
die() { echo "setup: $*" >&2; exit 2; }

# The command we look for, and the Debian package that brings it.
tools="cc:gcc curl:curl ethtool:ethtool ip:iproute2 iptables:iptables nft:nftables nsenter:util-linux openssl:openssl perl:perl python3:python3 sysctl:procps tcpdump:tcpdump tmux:tmux unshare:util-linux valgrind:valgrind"
[ "$(id -u)" = 0 ] || tools="$tools newuidmap:uidmap"
# Without these a few tests are not run, which say so. Of systemd the programs only: what begins as
# process 1 stays what it was.
wanted="man:man-db systemd-analyze:systemd"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "this needs root, or sudo: $*"
    fi
}

# $@: COMMAND:PACKAGE ...; the packages whose commands are not here.
missing() {
    for tool; do
        command -v "${tool%%:*}" >/dev/null || printf ' %s' "${tool#*:}"
    done
}

# $@: the packages. Nothing that is installed has to go for them.
apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends --no-remove "$@" >/dev/null
}

install_tools() {
    # shellcheck disable=SC2086 # a list of words
    missing=$(missing $tools)
    [ -z "$missing" ] && return
    command -v apt-get >/dev/null || die "not a Debian system; please install these yourself:$missing"
    say "installing on this machine:$missing"
    # shellcheck disable=SC2086
    apt_install $missing 2>/dev/null || { as_root apt-get -qq update && apt_install $missing; }
}

install_wanted() {
    # shellcheck disable=SC2086
    packages=$(missing $wanted)
    [ -z "$packages" ] && return
    (tools=$wanted && install_tools) || say "some tests are not run without:$packages"
}

packages_of() {
    case $1 in
    exim4) echo exim4-daemon-light exim4-base ;;
    postfix) echo postfix sasl2-bin libsasl2-modules libsasl2-modules-db ;;
    sendmail) echo sendmail-bin sendmail-cf m4 sasl2-bin libsasl2-modules libsasl2-modules-db ;;
    swaks) echo swaks libio-socket-inet6-perl libnet-ssleay-perl ;;
    *) echo "$1" ;;
    esac
}

# $1: a directory for the package files, then the packages. Whatever is missing on the host comes along.
download() {
    directory=$1
    shift
    # shellcheck disable=SC2086
    apt-get -qq $private -o Dir::Cache::archives="$directory" -o Debug::NoLocking=1 \
        -o APT::Sandbox::User=root -y --download-only --no-install-recommends --reinstall \
        install "$@" >/dev/null
}

# Lists of our own: the host's, and its release's backports, from the same mirror.
update_private_lists() {
    sources=$lab/apt/sources.list.d
    mkdir -p "$lab/apt/lists/partial" "$lab/apt/cache/archives/partial" "$sources"
    cp /etc/apt/sources.list.d/* "$sources" 2>/dev/null || true
    # shellcheck disable=SC1091 # the host's
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        sed -n "s|^\\([^ ]*\\) $release main\$|deb \\1 $release-backports main|p" |
        sort -u >"$sources/backports.list"
    private="-o Dir::State::lists=$lab/apt/lists -o Dir::Cache=$lab/apt/cache"
    private="$private -o Dir::Etc::sourceparts=$sources"
    # shellcheck disable=SC2086
    apt-get -qq $private -o Debug::NoLocking=1 -o APT::Sandbox::User=root update
}

unpack() {
    program=$1
    root=$lab/roots/$program
    # What it was made of is noted, so that another list of packages makes it anew.
    [ "$(cat "$root.ready" 2>/dev/null)" = "$(packages_of "$program")" ] && return
    command -v apt-get >/dev/null || die "not a Debian system; cannot fetch $program"
    say "fetching $program into $root (not installed on this machine)"
    archives=$lab/archives/$program
    rm -rf "$root.ready" "$root" "$archives"
    mkdir -p "$archives/partial" "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64"
    # The same merged /usr as the root it will lie on: otherwise a package's /lib would hide the host's.
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
    # shellcheck disable=SC2046 # a list of words
    download "$archives" $(packages_of "$program") 2>/dev/null || {
        update_private_lists
        # What the release itself cannot bring comes from its backports.
        download "$archives" $(packages_of "$program") 2>/dev/null ||
            download "$archives" -t "$release-backports" $(packages_of "$program")
    }
    for package in "$archives"/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"
    done
    packages_of "$program" >"$root.ready"
}

# They are other people's, so they are fetched and not shipped; what they hold is known.
fetch_saved() {
    mkdir -p "$lab/saved"
    pix2asa=perhagen/pix2asa/642bfd8/configs
    fwbuilder=fwbuilder/fwbuilder/8013c00e1/src/unit_tests/PIXImporterTest/test_data
    while read -r sum source; do
        file=$lab/saved/${source##*/}
        echo "$sum  $file" | sha256sum --status -c - 2>/dev/null && continue
        curl -fsS --max-time 60 -o "$file.new" "https://raw.githubusercontent.com/$source" ||
            die "cannot fetch $source"
        echo "$sum  $file.new" | sha256sum --status -c - || die "$source is not what it was"
        mv "$file.new" "$file"
    done <<EOF
c1ac7e2a8bd029f1093a6b47d5def697ceb31ee435e03bd6cd7b461ffd3787ba $pix2asa/conduit.txt
ef626012922f0f25ec24522d8080e7273820ada039d5b83fcd418468be66db8c $pix2asa/PIX501conf2003Aug13.txt
c0fe2b5e4c9ea7e55c19750bedd52d15dbc9a469f64e5124da7b718a4bd2ca4d $pix2asa/PIX501conf2003Sep24.txt
87b8578b56d28531bc8fbf81de7d3a3bb9aa3a3625ba06e9b9c65fd413a8b588 $pix2asa/pix38.txt
3674edeb450b2c06bb2b0962bcf39d8f12b0337f599f618e9e6cba08853fc564 $fwbuilder/pix6.test
56bac7635c9d6288b43e4021befa0d59361372d8b531b7a2ca4c35a52751ed9f $fwbuilder/pix7-nat.test
6c790ea7c60b40a58829a7737b3717c0ab02ebf9dc6a6c46efa71fba89f24de3 $fwbuilder/asa8.3.test
EOF
}

if [ "${1-}" = saved ]; then
    fetch_saved
    exit
fi

if [ "${1-}" = --tools ]; then
    shift
    tools=$*
    install_tools
    exit
fi

private=
command -v cargo >/dev/null || die "cargo is missing: install Rust, see https://rustup.rs"
install_tools
install_wanted
[ $# -gt 0 ] || set -- exim4 fail2ban msmtp opensmtpd postfix prometheus sendmail swaks
for program; do unpack "$program"; done
