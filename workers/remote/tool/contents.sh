# contents.sh: contents and folders by their digests.

# sums FILE…: the SHA-256 of each, as sha256sum says it.
sums() {
	if command -v sha256sum >/dev/null 2>&1; then
		sha256sum "$@"
	elif command -v shasum >/dev/null 2>&1; then
		shasum -a 256 "$@"
	else
		openssl dgst -sha256 -r "$@"
	fi
}

# verify: compare the files of this folder with their names.
verify() {
	sums * | while read -r sum name; do
		name=${name#\*}
		[ "$sum" = "${name%.x}" ] || die "the content $name has arrived as $sum"
	done
}

# have: of the contents on the input, those that are not here. The others are in use now.
verb_have() {
	set --
	while read -r name; do
		case $name in
		*.at) at=trees/$name ;;
		*) at=store/$name ;;
		esac
		if [ -e "$at" ]; then set -- "$@" "$at"; else echo "$name"; fi
	done
	[ $# -eq 0 ] || touch -c "$@"
}

# put: a tar of contents, each under its name.
verb_put() {
	t=store/tmp.$mark
	mkdir "$t" && trap 'rm -rf "$t"' EXIT
	tar -xof - -C "$t" || exit 1
	set -- "$t"/*
	[ -e "$1" ] || return 0 # all were too large for it
	(cd "$t" && verify) || exit 1
	touch "$@" # a tar brings times along, and what is old is removed
	mv -f "$@" store/
}

# receive NAME: one content, of any size.
verb_receive() {
	t=store/tmp.$mark
	mkdir "$t" && trap 'rm -rf "$t"' EXIT
	cat >"$t/$1" || exit 1
	(cd "$t" && verify) || exit 1
	case $1 in *.x) chmod 755 "$t/$1" ;; *) chmod 644 "$t/$1" ;; esac
	mv -f "$t/$1" store/
}

# plant DIGEST TOKEN: a folder: a tar of links to contents, below store/tmp.TOKEN/tree.
verb_plant() {
	t=store/tmp.$2
	mkdir "$t" "$t/tree" && trap 'rm -rf "$t"' EXIT
	tar -xof - || exit 1
	[ -e "$t/whole" ] || die "the list of a folder was cut off"
	mv "$t/tree" "trees/$2" || exit 1
	first "trees/$1.at" "$2" && read -r dir <"trees/$1.at" && [ "$dir" = "$2" ] || discard "trees/$2"
}

# tidy: remove what no job has used for long, and what was cut off half way.
tidy() {
	find store -type f ! -path '*/*/*' -mtime +30 -exec rm -f {} +
	find trees -type f -name '*.at' -mtime +30 | while read -r index; do
		case $index in trees/*/*) continue ;; esac
		read -r dir <"$index" && rm -f "$index" && discard "trees/$dir"
	done
	for e in envs/*/; do
		e=${e%/} && verb_unequip "${e#envs/}" "$(($(date +%s) - 60 * 24 * 3600))" >/dev/null
	done
	for t in store/tmp.* removed/tmp.*; do
		if [ -n "$(find "$t" -prune -mtime +1)" ]; then discard "$t"; fi
	done
} 2>/dev/null
