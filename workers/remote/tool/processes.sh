# processes.sh: the processes of a unit, found by their mark, and what follows from them.

# marked: the processes of the unit, wherever they went; not those named in $spare.
# The colon ends the mark, so that no unit is the beginning of another.
marked() {
	[ -r /proc/self/environ ] || return 0
	grep -lF "AMLFLOW_PROCESS=$here/$u:" /proc/[0-9]*/environ 2>/dev/null |
		while IFS=/ read -r _ _ marked _; do
			case " $spare " in *" $marked "*) ;; *) echo "$marked" ;; esac
		done
}

# reap: kill all processes of the unit but $spare; true when there is none. Two looks in
# a row must find nothing: in the middle of an exec a process shows no environment.
reap() {
	if [ -n "$far" ]; then
		[ -e "$u/gone" ]
		return
	fi
	none=0 round=0
	while [ $none -lt 2 ] && [ $round -lt 25 ]; do
		round=$((round + 1))
		found=$(marked)
		if [ -z "$found" ]; then
			none=$((none + 1))
		else
			none=0
			kill -KILL $found 2>/dev/null
			[ $round -lt 3 ] || nap
		fi
	done
	[ $none -ge 2 ]
}

# alive PID: is it the supervisor of the unit? A number alone is never trusted: it may
# have been given again.
alive() {
	if [ -n "$far" ]; then
		[ ! -e "$u/gone" ]
		return
	fi
	kill -0 "$1" 2>/dev/null || return 1
	if [ -r /proc/self/environ ]; then
		grep -qF "AMLFLOW_PROCESS=$here/$u:" "/proc/$1/environ" 2>/dev/null
	else
		ps -o args= -p "$1" | grep -qF " supervise ${u#jobs/} "
	fi
}

# detach COMMAND…: run it in a session of its own, which outlives ours. Descriptor 4
# is its standard input. (nohup is what there is without setsid; then it is a group.)
detach() {
	if command -v setsid >/dev/null 2>&1; then
		setsid "$@" <&4 4<&- >/dev/null 2>&1 &
	else
		set -m
		nohup "$@" <&4 4<&- >/dev/null 2>&1 &
		set +m
	fi
}

# conclude: there is no record of an end. If the supervisor is gone, or will never be
# because the unit was asked to stop, there is one now; else this is false.
conclude() {
	if begun; then
		if alive "$pid"; then return 1; fi
		[ -e "$u/end" ] && return 0 # it was written just before the supervisor ended
		reap || return 1
		if wished; then
			first "$u/end" "killed $(now) $cause"
		elif [ "$its_boot" != "$boot" ]; then
			first "$u/end" "lost $(now) the machine was restarted while it ran"
		else
			first "$u/end" "lost $(now) its supervisor ended without a record of its exit"
		fi
	else
		wished && first "$u/end" "never $at $cause" && { [ -z "$far" ] || : >"$u/gone"; }
	fi
}

# overdue: kill what has outstayed its grace, which is done by whoever looks, too.
overdue() {
	wished && sealed && [ "$(($(date +%s) - at))" -gt "$((${grace%.*} + 1))" ] || return 0
	spare=$pid
	reap
}

# look ID: say in a line how it is. An end is told once nothing of the unit is alive.
look() {
	u=jobs/$1 spare=
	if [ -e "cleaned/$1" ] || [ ! -d "$u" ]; then
		echo "$1 unknown"
		return
	fi
	if [ ! -e "$u/end" ] && ! conclude; then
		if begun; then
			overdue
			traits
			echo "$1 running $begin $(now) $traits"
		else
			echo "$1 waiting"
		fi
		return
	fi
	begin=0
	begun
	if [ ! -e "$u/gone" ]; then
		if ! reap; then
			traits
			echo "$1 running $begin $(now) $traits"
			return
		fi
		[ -n "$far" ] || release
		: >"$u/gone"
	fi
	read -r end <"$u/end"
	traits
	echo "$1 end $begin $traits $end"
}

# traits: what else there is to know of a unit, in a word.
traits() {
	traits=-
	for trait in unstarted starved watched unwatched unlimited; do
		if [ -e "$u/$trait" ]; then traits=$traits,$trait; fi
	done
}

verb_look() { for id in "$@"; do look "$id"; done; }
