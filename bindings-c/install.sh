#!/bin/sh
# Installs the C library, its headers, pkg-config and CMake files under a prefix: bindings-c/install.sh PREFIX [LIBRARIES].
# LIBRARIES is where cargo built them, target/release unless given. Everything in it is relocatable.
set -eu
prefix=${1:?usage: install.sh PREFIX [LIBRARIES]}
root=$(cd "$(dirname "$0")/.." && pwd)
built=${2:-$root/target/release}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -1)
# As bindings-c/build.rs says: before 1.0 a minor version is an ABI of its own.
major=${version%%.*} rest=${version#*.}
minor=$major.${rest%%.*}
[ "$major" = 0 ] && abi=$minor || abi=$major
[ -f "$built/libambassador.so" ] || { echo "install.sh: no libambassador.so in $built; build it: cargo build --release -p ambassador-c" >&2; exit 1; }

mkdir -p "$prefix/include" "$prefix/lib/pkgconfig" "$prefix/lib/cmake/ambassador"
cp "$root/include/ambassador.h" "$root"/include/ambassador*.hpp "$prefix/include/"
# A running program may have the old file mapped: replaced, not overwritten.
cp "$built/libambassador.so" "$prefix/lib/libambassador.so.$version.new"
mv -f "$prefix/lib/libambassador.so.$version.new" "$prefix/lib/libambassador.so.$version"
ln -sf "libambassador.so.$version" "$prefix/lib/libambassador.so.$abi"
ln -sf "libambassador.so.$abi" "$prefix/lib/libambassador.so"
cp "$built/libambassador.a" "$prefix/lib/"
fill() { sed -e "s/@VERSION@/$version/" -e "s/@MINOR@/$minor/" -e "s/@ABI@/$abi/" "$root/bindings-c/package/$1.in" >"$2/$1"; }
fill ambassador.pc "$prefix/lib/pkgconfig"
fill ambassador-config-version.cmake "$prefix/lib/cmake/ambassador"
fill ambassador-config.cmake "$prefix/lib/cmake/ambassador"
echo "ambassador $version installed in $prefix"
