#!/bin/sh
set -eu

usage() {
  cat <<'END'
Usage: scripts/install.sh FROM [--prefix DIR] [--target TARGET]

Installs edge and agent out of a release archive, once its checksum is right.

  FROM              the archive (runnel-VERSION-TARGET.tar.gz, with SHA256SUMS beside it), or an http(s) URL or a
                    folder that holds both
  --prefix DIR      where to: DIR/bin, DIR/share (default /usr/local)
  --target TARGET   which archive to take from a URL or a folder (default this machine's), such as linux-x64
  --help            print this

Needs tar, gzip, one of sha256sum, shasum and openssl, and for a URL one of curl and wget. A second call upgrades:
programs that run go on as they are until they are restarted.
END
}

fail() {
  printf 'install: %s\n' "$*" >&2
  exit 1
}

usage_error() {
  printf 'install: %s (see --help)\n' "$*" >&2
  exit 2
}

from=
prefix=/usr/local
target=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --prefix | --target)
      [ $# -ge 2 ] || usage_error "$1 needs a value"
      if [ "$1" = --prefix ]; then prefix=$2; else target=$2; fi
      shift 2
      ;;
    -*) usage_error "unknown argument $1" ;;
    *)
      [ -z "$from" ] || usage_error "surplus argument $1"
      from=$1
      shift
      ;;
  esac
done
[ -n "$from" ] || usage_error "FROM is missing"
# A quoted ~ is not the shell's, and would be made as a folder of that name.
case $prefix in
  "~" | "~/"*) prefix=${HOME:?}${prefix#"~"} ;;
esac

has() {
  command -v "$1" >/dev/null 2>&1
}

this_machine() {
  case $(uname -s) in
    Linux) system=linux ;;
    Darwin) system=darwin ;;
    *) fail "there are no programs for $(uname -s): give --target, or build from source" ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) machine=x64 ;;
    aarch64 | arm64) machine=arm64 ;;
    *) fail "there are no programs for $(uname -m): build from source" ;;
  esac
  libc=
  if [ "$system" = linux ]; then
    # musl's loader stands under this name; a glibc system may have it too, and has its own then.
    for loader in /lib/ld-musl-*; do
      if [ -e "$loader" ] && ! has getconf; then libc=-musl; fi
      if [ -e "$loader" ] && has getconf && ! getconf GNU_LIBC_VERSION >/dev/null 2>&1; then libc=-musl; fi
    done
  fi
  printf '%s\n' "$system-$machine$libc"
}

sha256_of() {
  if has sha256sum; then sha256sum "$1" | cut -d ' ' -f 1
  elif has shasum; then shasum -a 256 "$1" | cut -d ' ' -f 1
  elif has openssl; then openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
  else fail "none of sha256sum, shasum and openssl is there to check the archive with"
  fi
}

# Copies the file $1 of FROM's folder or URL to $2.
fetch() {
  case $base in
    http://* | https://*)
      if has curl; then curl -fsSL -o "$2" "$base/$1"
      elif has wget; then wget -q -O "$2" "$base/$1"
      else fail "neither curl nor wget is there to download with"
      fi || fail "$base/$1 could not be downloaded"
      ;;
    *) cp "$base/$1" "$2" || fail "$base/$1 could not be read" ;;
  esac
}

# Succeeds where the folder $1 can be written to, or made.
can_write() {
  folder=$1
  while [ ! -e "$folder" ]; do folder=$(dirname -- "$folder"); done
  [ -d "$folder" ] && [ -w "$folder" ]
}

# Looked at before anything is fetched: of a program, half is not installed.
for part in bin share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d \
  share/doc/runnel share/runnel/systemd; do
  can_write "$prefix/$part" || fail "$(id -un 2>/dev/null || id -u) cannot write to $prefix/$part: nothing was installed.
Run it as root (sudo), or install for yourself:

    sh $0 $from --prefix ~/.local"
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

case $from in
  *.tar.gz) base=$(dirname -- "$from"); archive=$(basename -- "$from") ;;
  *) base=${from%/}; archive= ;;
esac
fetch SHA256SUMS "$scratch/SHA256SUMS"
if [ -z "$archive" ]; then
  [ -n "$target" ] || target=$(this_machine)
  # The newest is the last of those that are listed, which are sorted; one release lists one version.
  archive=$(sed -n "s/^[0-9a-f]*  \(runnel-[0-9][^/]*-$target\.tar\.gz\)\$/\1/p" "$scratch/SHA256SUMS" | tail -n 1)
  [ -n "$archive" ] || fail "$base/SHA256SUMS lists no archive for $target"
fi

expected=$(sed -n "s/^\([0-9a-f]*\)  $archive\$/\1/p" "$scratch/SHA256SUMS")
[ -n "$expected" ] || fail "$base/SHA256SUMS does not list $archive"
fetch "$archive" "$scratch/$archive"
actual=$(sha256_of "$scratch/$archive")
[ "$actual" = "$expected" ] || fail "the checksum of $archive is $actual, but SHA256SUMS says $expected: nothing was installed"

(cd "$scratch" && gzip -dc "$archive" | tar -xf -) || fail "$archive could not be unpacked"
unpacked=$scratch/${archive%.tar.gz}
[ -x "$unpacked/edge" ] && [ -x "$unpacked/agent" ] || fail "$archive holds no programs for this system"

# Puts the file $1 at $2 with the mode $3: a program that runs keeps its old file, and nobody sees half of the new one.
place() {
  mkdir -p "$(dirname -- "$2")" || fail "$(dirname -- "$2") could not be made: another --prefix, or more rights"
  cp "$1" "$2.new" && chmod "$3" "$2.new" && mv -f "$2.new" "$2" || fail "$2 could not be written"
}

for program in edge agent; do
  place "$unpacked/$program" "$prefix/bin/$program" 755
  place "$unpacked/completions/$program.bash" "$prefix/share/bash-completion/completions/$program" 644
  place "$unpacked/completions/_$program" "$prefix/share/zsh/site-functions/_$program" 644
  place "$unpacked/completions/$program.fish" "$prefix/share/fish/vendor_completions.d/$program.fish" 644
done
for name in LICENSE THIRD-PARTY-LICENSES; do
  place "$unpacked/$name" "$prefix/share/doc/runnel/$name" 644
done
for unit in "$unpacked"/systemd/*; do
  [ ! -e "$unit" ] || place "$unit" "$prefix/share/runnel/systemd/$(basename -- "$unit")" 644
done

printf 'install: %s\n' "$("$prefix/bin/edge" --version)" "$("$prefix/bin/agent" --version)"
bin=$(cd "$prefix/bin" && pwd)
case :$PATH: in
  *":$prefix/bin:"* | *":$bin:"*) ;;
  *) printf 'install: %s is not on PATH: export PATH="%s:$PATH"\n' "$bin" "$bin" ;;
esac
