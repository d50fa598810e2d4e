# verbs.sh: the folders of units.

# hello OWNER: who and where we are, a line each. What all use is left alone as long as
# another owner, a state folder, was here lately.
verb_hello() {
	mkdir -p -m 700 jobs store trees envs cleaned removed owners || exit 1
	[ "${1:--}" = - ] || : >"owners/$1"
	printf '%s\n' "$here" "$boot" "$(uname -sm)"
	for value in "${PATH-}" "${HOME-}" "${USER-}" "${LOGNAME-}" "${SHELL-}" "$lang" "${TZ-}"; do
		printf '%s\n' "${value%%"$nl"*}"
	done
	command -v tar >/dev/null || die "the host has no tar: install it there"
	printf 'x' >"store/tmp.$mark" || die "the disk of the host takes no more"
	sums "store/tmp.$mark" >/dev/null || die "the host cannot compute SHA-256: install coreutils there"
	rm -f "store/tmp.$mark"
	tidy
}

# begin ID: what has become of a unit, before it is filled, or again.
verb_begin() {
	u=jobs/$1
	if [ ! -e "cleaned/$1" ]; then mkdir -p -m 700 "$u" || exit 1; fi
	if [ -e "cleaned/$1" ]; then
		rmdir "$u" 2>/dev/null
		echo cleaned
	elif [ -e "$u/started" ]; then
		echo started
	elif [ -e "$u/stop" ]; then
		echo stopped
	elif sealed; then
		echo sealed
	else
		echo new
	fi
}

# fill ID TOKEN: the folder of a unit: a tar of its files, among them how the rest is
# laid out. Another submission that was faster has removed what this one makes.
verb_fill() {
	u=jobs/$1 f=jobs/$1/$2
	vain() { if sealed; then exit 0; else die "$@"; fi; }
	mkdir "$f" && tar -xof - -C "$f" && [ -e "$f/whole" ] || vain "the files of the job were cut off"
	mkdir "$f/code" "$f/tmp" "$f/in" "$f/out" || vain "the folder of the job is gone"
	while read -r what ref name; do
		case $what in
		fresh) discard "$f/$name" && read -r dir <"trees/$ref.at" && mkdir -p "$f/$name" && cp -R "trees/$dir/." "$f/$name/" ;;
		tree) read -r dir <"trees/$ref.at" && mkdir -p "$f/$name" && cp -R "trees/$dir/." "$f/$name/" ;;
		file) cp "store/$ref" "$f/$name" ;;
		folder) mkdir -p "$f/$name" ;;
		esac || vain "the files of the job could not be laid out"
	done <"$f/layout"
	first "$u/sealed" "$2" && sealed || exit 1
	for d in "$u"/*/; do
		[ "$d" = "$u/$fill/" ] || discard "$d"
	done
}

# record ID: what was laid down for later calls.
verb_record() {
	u=jobs/$1
	if sealed; then cat "$u/$fill/job.json"; fi
}

# read ID FILE OFFSET: what is there, and its bytes from an offset on.
verb_read() {
	u=jobs/$1 file=jobs/$1/log most=0
	sealed
	if [ "$2" != log ]; then
		file=$u/$fill/$2
	elif [ -n "$fill" ] && [ -e "$u/$fill/most" ]; then
		read -r most <"$u/$fill/most"
	fi
	what=$(kind "$file")
	if [ "$what" != file ]; then
		echo "$what 0"
		return
	fi
	size=$(($(wc -c <"$file")))
	if [ "$most" != 0 ] && [ "$size" -gt "$((most / 2))" ]; then # before that nothing is ever left out
		echo "parts $size $most"
		parts "$3" "$size"
		return
	fi
	echo "file $size"
	[ "$size" -le "$3" ] || tail -c "+$(($3 + 1))" "$file" | head -c "$((size - $3))"
}

# report ID FILE…: of each file what it is, its size, its name, and what is odd in it.
verb_report() {
	u=jobs/$1
	if [ -e "$u/end" ]; then flush "$u/end" "$u"; fi
	sealed || return 0
	shift
	cd "$u/$fill" || exit 1
	for file in "$@"; do
		what=$(kind "$file") size=0 odd=
		case $what in
		file) size=$(($(wc -c <"$file"))) ;;
		folder)
			odd=$(find "$file" ! -type f ! -type d | head -n 1)
			if [ -n "$odd" ]; then what=odd; elif [ -z "$(ls -A "$file")" ]; then what=empty; fi
			;;
		esac
		echo "$what $size $file $odd"
	done
}

# fetch ID FOLDER: a folder that a unit has left, as a tar.
verb_fetch() {
	u=jobs/$1
	sealed && cd "$u/$fill/$2" && tar -cf - .
}

# enter FOLDER: go to a folder of the unit's files; not where a link of the job leads.
enter() {
	cd "$u/$fill/$1" 2>/dev/null && [ "$(pwd -P)" = "$here/$u/$fill/$1" ]
}

# written ID: what is in the folder of its files that the input names: what time it is
# there, then of each thing when it was written to, its size, its kind and its path.
verb_written() {
	u=jobs/$1
	IFS= read -r folder
	sealed && enter "$folder" || return 0
	# The clock of the file system is the one that counts.
	clock=$here/$u/clock.$mark
	: >"$clock"
	if find "$clock" -printf '%T@\n' 2>/dev/null; then
		find . -name . -o -printf '%T@ %s %y %p\n'
	else
		modified "$clock"
		find . -name . -o -type d -exec stat -c '%Y %s d %n' {} + -o -type f -exec stat -c '%Y %s f %n' {} + -o -exec stat -c '%Y %s o %n' {} +
	fi 2>/dev/null
	rm -f "$clock"
}

# pick ID: of a folder that the input names, the files and folders named after it, as a tar.
verb_pick() {
	u=jobs/$1
	IFS= read -r folder
	set --
	while IFS= read -r name; do set -- "$@" "$name"; done
	sealed && enter "$folder" && tar -cf - "$@"
}

# clean ID: remove it, unless it runs. The mark comes first, for submissions that are
# under way, and then a look whether one was faster.
verb_clean() {
	u=jobs/$1
	[ -d "$u" ] || return 0
	case $(look "$1") in
	*" running "*)
		echo running
		return
		;;
	esac
	whose >"cleaned/$1" || exit 1
	if begun && alive "$pid"; then
		rm -f "cleaned/$1"
		echo running
		return
	fi
	mv "$u" "removed/tmp.$mark.$1" && discard "removed/tmp.$mark.$1" || [ ! -d "$u" ]
}

# modified PATH: when, in seconds since 1970.
modified() { stat -c '%Y' "$1" 2>/dev/null || stat -f '%m' "$1" 2>/dev/null; }

# whose: the owner of the unit, a line; - where none has left a mark.
whose() {
	sealed
	owner=
	[ -z "$fill" ] || [ ! -e "$u/$fill/owner" ] || read -r owner <"$u/$fill/owner"
	echo "${owner:--}"
}

# kept OWNER: what there is of its jobs and marks, and of what all use when nobody else does:
# kilobytes, when it was used, its name, and who uses it.
verb_kept() {
	mine=$1 shared=yes
	for f in owners/*; do
		[ ! -e "$f" ] || [ "${f#owners/}" = "$mine" ] || [ -n "$(find "$f" -prune -mtime +60)" ] || shared=
	done
	for d in jobs/*/; do
		[ -d "$d" ] || continue
		u=${d%/}
		if [ "$(whose)" != "$mine" ]; then
			shared=
			continue
		fi
		kilobytes=$(du -sk "$u") || continue
		echo "job ${kilobytes%%[!0-9]*} $(modified "$u") $u"
	done
	for f in cleaned/*; do
		[ -e "$f" ] || continue
		owner=
		read -r owner <"$f"
		[ "${owner:--}" != "$mine" ] || echo "mark 0 $(modified "$f") $f"
	done
	[ -n "$shared" ] || return 0
	for f in store/* trees/*.at; do
		[ ! -f "$f" ] || echo "content $((($(wc -c <"$f") + 1023) / 1024)) $(modified "$f") $f"
	done
	for e in envs/*/; do
		[ -e "$e/made" ] && kilobytes=$(du -sk "$e") || continue
		e=${e%/}
		echo "environment ${kilobytes%%[!0-9]*} $(modified "$e/made") $e" $(users "${e#envs/}")
	done
}

# unmark ID TIME: remove the marks of the ranks of a job that were cleaned before a time.
verb_unmark() {
	for f in "cleaned/$1" "cleaned/$1"+*; do
		at=$(modified "$f") || continue
		[ -e "jobs/${f#cleaned/}" ] || [ "$at" -ge "$2" ] || { rm -f "$f" && echo removed; }
	done
}

# forget NAME TIME: remove a content, or a folder of contents, that no job has used since. A
# job that comes has it sent again; those that are there have copies of their own.
verb_forget() {
	case $1 in
	*.at) f=trees/$1 ;;
	*) f=store/$1 ;;
	esac
	at=$(modified "$f") && [ "$at" -lt "$2" ] || return 0
	dir=
	[ "$f" = "store/$1" ] || read -r dir <"$f"
	rm -f "$f" && echo removed
	[ -z "$dir" ] || discard "trees/$dir"
}

# port N: the first of the ports from N on that nobody listens on (state 0A).
verb_port() {
	port=$1
	while grep -qi ":$(printf '%04X' "$port") [0-9A-F]*:0000 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null; do port=$((port + 1)); done
	echo "$port"
}

# serve: short verbs, one on each line of the input, until it ends: a session costs more
# than most of them. After each comes a line with the mark, the status, and the last
# line of complaint.
verb_serve() {
	while IFS= read -r line; do
		status=0
		{ said=$("verb_${line%% *}" ${line#* } 2>&1 >&3 3>&-) || status=$?; } 3>&1
		printf '\n%s %s %s\n' "$mark" "$status" "${said##*"$nl"}"
	done
}
