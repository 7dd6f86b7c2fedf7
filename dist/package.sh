#!/bin/sh
# Makes the packages from the commit that is checked out, into target/package.
#
#   package.sh deb     a package for this Debian release and processor
#   package.sh rpm     the same as an rpm
#   package.sh twice   both are built in two places: are they the same, byte for byte?
#
# `deb later` and `rpm later` make the same once more, as a later version: what an upgrade does
# depends on the version alone.
set -eu
umask 022
cd "$(dirname "$0")/.."
out=$PWD/target/package
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
# The packages go there; a later version has another number.
to=$out number=1
[ "${2-}" != later ] || { to=$out/later number=2 && rm -rf "$to" && mkdir -p "$to"; }

# The program, without a trace of where it was built.
build() {
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    RUSTFLAGS="--remap-path-prefix=$PWD=/mailguard --remap-path-prefix=$cargo_home=/cargo" \
        CARGO_TARGET_DIR=$out/build "${CARGO:-cargo}" build --release --locked
    rm -rf "$out/tree"
    mkdir -p "$out/program"
    strip --strip-unneeded -R .comment -R .note \
        -o "$out/program/mailguard" "$out/build/release/mailguard"
    # The build id was made of what is stripped, too, and that knows the place: the commit is it.
    perl -e 'print pack("VVVa4H40", 4, 20, 3, "GNU", $ARGV[0])' "$(git rev-parse HEAD)" >"$out/id"
    objcopy --update-section ".note.gnu.build-id=$out/id" "$out/program/mailguard"
    dist/install.sh stage "$out/program/mailguard" /usr "$out/tree"
    find "$out/tree" -path '*/man/*' -type f -exec gzip -9n {} +
}

deb() {
    rm -f "$to"/*.deb
    build
    tree=$out/deb
    rm -rf "$tree"
    cp -a "$out/tree" "$tree"
    mv "$tree/usr/share/zsh/site-functions" "$tree/usr/share/zsh/vendor-completions"
    doc=$tree/usr/share/doc/mailguard
    install -m 644 dist/debian/copyright "$doc/copyright"
    # What is released is what was committed, then.
    date=$(date -Rd "@$SOURCE_DATE_EPOCH")
    sed "s/@VERSION@/$version-$number/; s/@DATE@/$date/" dist/debian/changelog |
        gzip -9n >"$doc/changelog.Debian.gz"
    mkdir "$tree/DEBIAN"
    (cd "$tree" && find etc -type f | sed 's|^|/|' | sort) >"$tree/DEBIAN/conffiles"
    (cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
    for script in postinst prerm postrm; do
        install -m 755 "dist/debian/$script" "$tree/DEBIAN/$script"
    done
    # It looks for its file where a source package has it.
    mkdir -p "$out/libraries/debian" && : >"$out/libraries/debian/control"
    libraries=$(cd "$out/libraries" && dpkg-shlibdeps -O -e"$tree/usr/sbin/mailguard" | sed 's/.*Depends=//')
    architecture=$(dpkg --print-architecture)
    size=$(du -sk --apparent-size "$tree/usr" "$tree/etc" | awk '{ sum += $1 } END { print sum }')
    sed -e "s/@VERSION@/$version-$number/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/" \
        -e "s/@LIBRARIES@/$libraries/" dist/debian/control >"$tree/DEBIAN/control"
    package=$to/mailguard_$version-${number}_$architecture.deb
    dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null
    # Whoever packs for himself signs for himself: no bug of Debian's tracker is closed by it.
    # The rules come with whoever loads others, each time that one is started.
    wanted=systemd-service-file-refers-to-unusual-wantedby-target
    lintian --fail-on error,warning --suppress-tags "initial-upload-closes-no-bugs,$wanted" "$package"
    sha256sum "$package"
}

rpm() {
    rm -f "$to"/*.rpm
    build
    rpmbuild --quiet -bb --define "_topdir $out/rpm" --define "_rpmdir $to" \
        --define "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
        --define "version_of_program $version" --define "number_of_package $number" \
        --define "tree $out/tree" dist/rpm/mailguard.spec
    sha256sum "$to"/*.rpm
}

twice() {
    rm -rf "$out/twice"
    # Both now: the commit that is checked out may be another one when the first is built.
    for place in first a/second; do git clone --quiet --local . "$out/twice/$place"; done
    for place in first a/second; do
        (cd "$out/twice/$place" && dist/package.sh deb && dist/package.sh rpm) >/dev/null
        (cd "$out/twice/$place/target/package" && sha256sum ./*.deb ./*.rpm) |
            tee "$out/twice/${place##*/}.sums"
    done
    cmp "$out/twice/first.sums" "$out/twice/second.sums" || {
        echo "package.sh: they differ" >&2
        exit 1
    }
    echo "the same, byte for byte"
}

case ${1-} in
deb | rpm | twice) "$1" ;;
*) sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
esac
