# For programs of others that are built from their own Go modules: to be sourced by a script that has set `what`, `oldest_go` and
# `newer_go`. Modules come from the Go module proxy, checked by Go's checksum database.

say() { printf '[%s] %s\n' "$what" "$*" >&2; }

is_new_enough() { [ "$(printf '%s\n' "$oldest_go" "$1" | sort -V | head -n 1)" = "$oldest_go" ]; }

find_go() {
  local go found
  for go in go /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
    found=$("$go" env GOVERSION 2>/dev/null) || continue
    is_new_enough "${found#go}" && printf '%s\n' "$go" && return
  done
  return 1
}

any_go() {
  local go
  for go in go /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
    "$go" env GOVERSION >/dev/null 2>&1 && printf '%s\n' "$go" && return
  done
  return 1
}

# A module, and where it is then.
folder_of() {
  local go=$1 module=$2 n found
  for n in 1 2 3; do
    found=$(cd / && GOTOOLCHAIN=local "$go" mod download -json "$module" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') || true
    [ -n "$found" ] && printf '%s\n' "$found" && return
    say "attempt $n of 3 failed: $module"
    sleep $((n * 3))
  done
  return 1
}

# An older Go fetches a newer one, which is a module like others but for its files not being executable.
fetch_go() {
  local go module home
  go=$(any_go) || return 1
  module=golang.org/toolchain@v0.0.1-$newer_go.$("$go" env GOOS)-$("$go" env GOARCH)
  say "fetching $newer_go with $("$go" env GOVERSION)"
  home=$(folder_of "$go" "$module") || return 1
  chmod -R u+w "$home"
  chmod +x "$home"/bin/* "$home"/pkg/tool/*/*
  printf '%s\n' "$home/bin/go"
}

# Builds one program of a module into a folder: the module with its version, the package in it, the program's name, the folder.
build_program() {
  local module=$1 package=$2 program=$3 folder=$4 go source started
  go=$(find_go || fetch_go) || {
    say "no Go is here to build it with, nor to fetch Go $oldest_go with"
    return 1
  }
  mkdir -p "$folder"
  built=$(mktemp -d "$folder/build.XXXXXX")
  trap 'rm -rf "$built"' EXIT
  say "building ${module##*@} with $("$go" env GOVERSION)"
  started=$SECONDS
  # The module's own go.mod and go.sum say what it is made of: not `go install`, which would ask for its later versions.
  source=$(folder_of "$go" "$module") || return 1
  # Without a C compiler, so that none is needed; nice, for it goes beside other work.
  GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 nice "$go" build -C "$source" -mod=readonly -buildvcs=false -trimpath \
    -o "$built/$program" "$package"
  mv "$built/$program" "$folder/$program"
  say "$folder/$program, after $((SECONDS - started)) s"
}
