# limits.sh: what holds a unit to the memory and the processors that it asked for: control
# groups where the host lets this user make them (version 1 or 2, see cgroups(7)), and for
# memory a process that watches where it does not. Set by process.sh: $memory, bytes, and
# $quota, of 100000 for each processor; 0 is no limit.
#
#	groups      the control groups that were made for it, a line each
#	starved     something of it was killed for want of memory
#	watched     its memory is watched, and not in a group
#	unlimited   its processors are not limited
#	unwatched   nor is its memory

# Where the kernel says what is mounted, and in which groups we are.
kernel=/proc/self

# mounted KIND OPTION: where control groups of this kind are, mounted with the option.
mounted() {
	while read -r _ at kind options _; do
		[ "$kind" = "$1" ] || continue
		case ",$options," in *",$2,"*)
			printf '%s\n' "$at"
			return
			;;
		esac
	done 2>/dev/null <"$kernel/mounts"
}

# own MOUNT CONTROLLER: the group of a hierarchy that we are in. In a container the path may
# be one that only its host sees.
own() {
	while IFS=: read -r _ controllers path; do
		case ",$controllers," in *",$2,"*) [ ! -d "$1$path" ] || set -- "$1${path%/}" "$2" ;; esac
	done 2>/dev/null <"$kernel/cgroup"
	printf '%s\n' "$1"
}

# put FILE TEXT: write to a control file, which the kernel has made. It is a shell of its own,
# which moves itself when it writes 0 to cgroup.procs.
put() { [ -e "$1" ] && (echo "$2" >"$1") 2>/dev/null; }

# gives GROUP CONTROLLER: the children of a group of version 2 have a controller.
gives() {
	given=
	[ -e "$1/cgroup.subtree_control" ] && read -r given <"$1/cgroup.subtree_control"
	case " $given " in *" $2 "*) ;; *) put "$1/cgroup.subtree_control" "+$2" ;; esac
}

# hold GROUP CONTROLLER: write the limit of a group.
hold() {
	case $2 in
	memory)
		put "$1/memory.limit_in_bytes" "$memory" || put "$1/memory.max" "$memory" || return 1
		put "$1/memory.memsw.limit_in_bytes" "$memory" || put "$1/memory.swap.max" 0 || : # many systems count no swap
		;;
	cpu) put "$1/cpu.cfs_quota_us" "$quota" || put "$1/cpu.max" "$quota 100000" ;;
	esac
}

# group PARENT CONTROLLER…: make a group for the unit, and try whether we may enter it. It is
# on record before it is there.
group() {
	g=$1/amlflow-$fill new=
	shift
	grep -qxF "$g" "$u/groups" 2>/dev/null || printf '%s\n' "$g" >>"$u/groups"
	if mkdir "$g" 2>/dev/null; then new=yes; elif [ ! -d "$g" ]; then return 1; fi
	for c in "$@"; do
		hold "$g" "$c" || set -- fails
	done
	if [ "$1" != fails ] && put "$g/cgroup.procs" 0; then return 0; fi
	[ -z "$new" ] || rmdir "$g" 2>/dev/null
	return 1
}

# unified CONTROLLER…: make one group of version 2 that has them all: a process is in one only.
unified() {
	m=$(mounted cgroup2 rw)
	[ -n "$m" ] || return 1
	# A group that holds processes cannot have children with limits, so the first ancestor
	# that gives the controllers to its children is taken.
	parent=$(own "$m" "")
	while [ "${parent#"$m"}" != "$parent" ]; do
		able=yes
		for c in "$@"; do gives "$parent" "$c" || able=; done
		if [ -n "$able" ] && group "$parent" "$@"; then return 0; fi
		parent=${parent%/*}
	done
	return 1
}

# limit: do what can be done, before the process is there.
limit() {
	rest= unheld=
	if [ "$memory" != 0 ]; then rest=memory; fi
	if [ "$quota" != 0 ]; then rest="$rest cpu"; fi
	for controller in $rest; do # of version 1, where each has a tree of its own
		m=$(mounted cgroup "$controller")
		[ -n "$m" ] || continue
		rest=$(echo " $rest " | sed "s/ $controller / /")
		group "$(own "$m" "$controller")" "$controller" || unheld="$unheld $controller"
	done
	set -- $rest
	if [ $# = 0 ] || unified "$@"; then :; elif [ $# = 2 ] && unified memory; then
		unheld="$unheld cpu"
	else
		unheld="$unheld $*"
	fi
	case " $unheld " in
	*" memory "*) if [ -r /proc/self/smaps_rollup ]; then : >"$u/watched"; else : >"$u/unwatched"; fi ;;
	esac
	case " $unheld " in
	*" cpu "*) : >"$u/unlimited" ;;
	esac
}

# enter_groups: move this shell into the groups of the unit.
enter_groups() {
	[ -e "$mine/groups" ] || return 0
	while IFS= read -r g; do
		[ ! -d "$g" ] || echo 0 >"$g/cgroup.procs"
	done <"$mine/groups" 2>/dev/null
}

# starved: the kernel has killed something of the unit, since its memory had reached the limit.
starved() {
	[ -e "$u/groups" ] || return 1
	while IFS= read -r g; do
		for f in "$g/memory.events" "$g/memory.oom_control"; do
			[ -e "$f" ] || continue
			while read -r key n; do
				if [ "$key" = oom_kill ] && [ "$n" != 0 ]; then return 0; fi
			done <"$f"
		done
	done <"$u/groups"
	return 1
}

# release: remove the groups of a unit of which nothing is alive. The last process may need a
# moment to be gone.
release() {
	[ -e "$u/groups" ] || return 0
	while IFS= read -r g; do
		tries=0
		until [ ! -d "$g" ] || rmdir "$g" 2>/dev/null || [ $tries -ge 20 ]; do
			tries=$((tries + 1))
			nap
		done
	done <"$u/groups"
}

# resident PID…: how many pages they have in memory, at least: what they share counts for each.
resident() {
	pages=0
	for p in "$@"; do
		if read -r _ n _ 2>/dev/null <"/proc/$p/statm"; then pages=$((pages + n)); fi
	done
	echo "$pages"
}

# occupied PID…: how many kilobytes of memory they take together. What several share counts
# once, and files that are only mapped do not count, since the kernel can drop them.
occupied() {
	kilobytes=0
	for p in "$@"; do
		[ -r "/proc/$p/smaps_rollup" ] || continue
		all= parts=
		while read -r key n _; do
			case $key in
			Pss:) all=$n ;;
			Pss_Anon: | Pss_Shmem:) parts=$((${parts:-0} + n)) ;;
			esac
		done 2>/dev/null <"/proc/$p/smaps_rollup"
		kilobytes=$((kilobytes + ${parts:-${all:-0}}))
	done
	echo "$kilobytes"
}

# weigh: kill what takes more memory than it may, where there is no group.
weigh() {
	spare="$pid $$"
	found=$(marked)
	[ "$(resident $found)" -gt "$((memory / page))" ] && [ "$(occupied $found)" -gt "$((memory / 1024))" ] || return 0
	: >"$u/starved"
	reap
}
