#!/bin/sh
# Installs what others use into a folder, pinned, so that `task bench` can measure it
# beside amlflow; says what could not be had, and goes on:
#
#   bench/peers.sh DIR
#
# Nothing outside DIR is changed. make comes with the system. Needs Go, python3 with
# venv, git, and a network.
set -u

dir=${1:?"say where: bench/peers.sh DIR"}
mkdir -p "$dir/bin" && dir=$(cd "$dir" && pwd) || exit 1
missing=""

# have NAME COMMAND…: installs one peer, unless it is there.
have() {
	name=$1
	shift
	if [ -x "$dir/bin/$name" ]; then
		echo "$name: is there"
	elif "$@" >"$dir/$name.log" 2>&1 && [ -x "$dir/bin/$name" ]; then
		echo "$name: installed"
	else
		echo "$name: could not be installed; the last words of $dir/$name.log:" >&2
		tail -n 2 "$dir/$name.log" | sed 's/^/  /' >&2
		missing="$missing $name"
	fi
}

# from_go PACKAGE@VERSION: a program from the Go module proxy.
from_go() { GOBIN="$dir/bin" go install "$1"; }

# from_python PROGRAM REQUIREMENT…: a program from PyPI, in a virtual environment of its own.
from_python() {
	program=$1
	shift
	python3 -m venv "$dir/venv-$program" &&
		"$dir/venv-$program/bin/pip" install -q --disable-pip-version-check "$@" &&
		ln -sf "../venv-$program/bin/$program" "$dir/bin/$program"
}

# Dagu's module holds a page for browsers that is not kept in git; an empty one does.
from_source_dagu() {
	[ -d "$dir/dagu" ] || git clone -q --depth 1 -b "$1" https://github.com/dagucloud/dagu "$dir/dagu" || return 1
	page="$dir/dagu/internal/service/frontend/assets"
	mkdir -p "$page" && touch "$page/index.html"
	(cd "$dir/dagu" && go build -ldflags "-s -w -X main.version=$1" -o "$dir/bin/dagu" ./cmd)
}

have task from_go github.com/go-task/task/v3/cmd/task@v3.54.0
have ninja from_python ninja ninja==1.13.0
have snakemake from_python snakemake snakemake==9.27.1
have cwltool from_python cwltool cwltool==3.3.20260925135507
have dagu from_source_dagu v2.6.10

if [ -n "$missing" ]; then
	echo "not measured, because it is not there:$missing" >&2
fi
