# python.sh: virtual environments of Python, each in envs/DIGEST: made, a token, and under
# that name the environment. It cannot be moved, so each try makes its own, and the first
# that is complete is the one.

# python NAME…: what each program of these names in PATH says of itself when it is asked
# with the input: its path, and five lines.
verb_python() {
	asks=$(cat)
	for name in "$@"; do
		rest=${PATH-}:
		while [ -n "$rest" ]; do
			p=${rest%%:*}/$name rest=${rest#*:}
			case $p in /*) ;; *) continue ;; esac
			[ -f "$p" ] && [ -x "$p" ] || continue
			said=$("$p" -I -S -c "$asks" 2>/dev/null </dev/null) || continue
			[ "$(printf '%s\n' "$said" | wc -l)" -ne 5 ] || printf '%s\n%s\n' "$p" "$said"
		done
	done
}

# equipped DIGEST: where the environment is, if it is made and its Python is still there.
verb_equipped() {
	[ -e "envs/$1/made" ] && read -r token <"envs/$1/made" && [ -x "envs/$1/$token/bin/python" ] || return 0
	touch -c "envs/$1/made"
	echo "$here/envs/$1/$token"
}

# equip DIGEST TOKEN: make the environment that the input asks for: a line with the Python,
# then the requirements. Another that is at it is waited for, as long as it lives.
verb_equip() {
	e=envs/$1 v=envs/$1/$2
	mkdir -p -m 700 "$e" || exit 1
	IFS= read -r python
	cat >"$v.txt"
	[ "$(tail -n 1 "$v.txt")" = "# whole" ] || die "the requirements were cut off"
	trap 'rm -rf "$v.txt" "$v.log" "$v.tmp"' EXIT
	until made=$(verb_equipped "$1") && [ -n "$made" ]; do
		if (set -C && echo "$$ $boot" >"$e/making") 2>/dev/null; then
			rm -f "$e/made"
			assemble
			first "$e/made" "$2"
			rm -f "$e/making"
		elif read -r pid its_boot 2>/dev/null <"$e/making" && [ "$its_boot" = "$boot" ] && kill -0 "$pid" 2>/dev/null; then
			sleep 1
		else
			rm -f "$e/making"
		fi
	done
	[ "$made" = "$here/$v" ] || discard "$v"
	echo "$made"
}

# users DIGEST: the units that are there and use an environment, as far as their files tell.
users() {
	for f in jobs/*/*/venv; do
		[ -e "$f" ] && read -r digest <"$f" && [ "$digest" = "$1" ] || continue
		f=${f#jobs/}
		echo "${f%%/*}"
	done
}

# unequip DIGEST TIME: remove an environment that no unit uses, and none has asked for since.
# One that is being made has no mark, and stays.
verb_unequip() {
	at=$(modified "envs/$1/made") && [ "$at" -lt "$2" ] && [ -z "$(users "$1")" ] || return 0
	mv "envs/$1" "removed/tmp.$mark.env" && discard "removed/tmp.$mark.env" && echo removed
}

# assemble: the work of equip. What the tools say last, and which it was, is the complaint.
assemble() {
	mkdir -p "$v.tmp"
	tool=venv
	TMPDIR=$here/$v.tmp "$python" -I -m venv "$here/$v" >"$v.log" 2>&1 </dev/null || unequipped $?
	grep -qv '^#' "$v.txt" || return 0
	tool=pip
	TMPDIR=$here/$v.tmp "$here/$v/bin/python" -I -m pip --disable-pip-version-check --no-input install --requirement "$here/$v.txt" >>"$v.log" 2>&1 </dev/null || unequipped $?
}

unequipped() {
	tail -c 6000 "$v.log" >&2
	printf '\n%s %s\n' "$tool" "$1" >&2
	discard "$v"
	rm -f "$e/making"
	exit 3
}

