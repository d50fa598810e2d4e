# log.sh: the log of a unit, of which about $most bytes are kept, 0: all. Of a longer one the
# middle is left out. Offsets count what was written, and so what is left out, too: it stays
# in the file as a hole, and "cut" says from where to where. From stays, and to grows.

# cut_of: read what is left out.
cut_of() {
	from=0 to=0
	[ ! -e "$u/cut" ] || read -r from to <"$u/cut"
}

# trim: leave out what is too much. The disk has the place back where the file system can make
# holes, and the host has the tool for it. It is locked: of two who cut at once the one could
# free what the record of the other still keeps.
trim() {
	[ -f "$u/log" ] && [ ! -h "$u/log" ] && length=$(stat -c %s "$u/log" 2>/dev/null) || return 0
	[ "$length" -gt "$most" ] && command -v flock >/dev/null || return 0
	(
		flock 8 || exit 0
		cut_of
		[ "$((length - to + from))" -gt "$most" ] || exit 0
		[ "$to" != 0 ] || from=$((most / 2))
		to=$((length - most / 4))
		# The record comes first: a reader that has seen zeros finds why.
		echo "$from $to" >"$u/.cut" && mv -f "$u/.cut" "$u/cut" && fallocate -n -p -o "$from" -l "$((to - from))" "$u/log"
	) 8>>"$u/trimming" 2>/dev/null
	return 0
}

# parts OFFSET SIZE: what is kept of the log from there on: "here N" with so many bytes behind
# it, or "gone N". What is left out while it is read may have been read as zeros, so a part is
# told only once it is certain.
parts() {
	at=$1 t=$u/part.$mark
	trap 'rm -f "$t"' EXIT
	while [ "$at" -lt "$2" ]; do
		cut_of
		n=$(($2 - at))
		[ "$n" -le 4194304 ] || n=4194304
		if [ "$at" -lt "$from" ]; then
			[ "$n" -le "$((from - at))" ] || n=$((from - at))
		elif [ "$at" -lt "$to" ]; then
			echo "gone $((to - at))"
			at=$to
			continue
		fi
		tail -c "+$((at + 1))" "$u/log" | head -c "$n" >"$t"
		wanted=$n n=$(($(wc -c <"$t")))
		if [ "$n" -lt "$wanted" ]; then
			[ "$(($(wc -c <"$u/log")))" -lt "$((at + wanted))" ] || die "the disk of the host takes no more"
			[ "$n" != 0 ] || return 0 # somebody cut it short
		fi
		was=$to
		cut_of
		[ "$to" != "$was" ] && [ "$to" -gt "$at" ] && [ "$from" -lt "$((at + n))" ] && continue
		echo "here $n"
		cat "$t"
		at=$((at + n))
	done
}
