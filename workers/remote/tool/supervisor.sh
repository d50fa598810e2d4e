# supervisor.sh: the supervisor of a unit, and those who stop it.

# supervise ID TOKEN: it runs in a session of its own, with the mark in its environment,
# and its pid is the group of the process. Its output goes nowhere, its input brings the
# secrets, and descriptor 3 is closed once the start is certain.
verb_supervise() {
	u=jobs/$1 spare=
	unset AMLFLOW_PROCESS # what it calls must not look like the job
	# A handler, not '': a signal to the group must end the job, which starts with
	# the default action again, and not the shell that waits for its status.
	heard=
	trap 'heard=yes' TERM
	trap : INT HUP QUIT USR1 USR2
	confided=$(cat)
	# Cut off on its way, it would be the half of what the job is to be given.
	case $confided in *"$nl# whole") ;; *) exit 0 ;; esac
	eval "$confided"
	confided=
	exec </dev/null
	sealed || exit 0
	# Whoever makes this file runs the process, and nobody ever does again.
	first "$u/started" "$$ $boot $(uname -n) $(now) $2" || exit 0
	begun && [ "$its_token" = "$2" ] || exit 0
	flush "$u/started" "$u"
	exec 3>&-
	[ ! -e "$u/confided" ] || rm -f "$u"/confided* # they waited there, see above
	[ ! -e "cleaned/$1" ] || exit 0
	timeout=0 memory=0 quota=0 most=0
	. "./$u/$fill/process.sh"
	[ "$memory$quota" = 00 ] || limit
	if [ "$most" != 0 ] || [ -e "$u/watched" ]; then
		exec 4</dev/null
		detach env "AMLFLOW_PROCESS=$here/$u:" /bin/sh "$0" attend "$1"
		exec 4<&-
	fi
	if [ "$timeout" != 0 ]; then
		exec 4</dev/null
		detach env "AMLFLOW_PROCESS=$here/$u:" /bin/sh "$0" expire "$1" "$timeout"
		exec 4<&-
	fi
	mine=$here/$u
	(
		# Whoever stops the unit makes this file before the signal. Without the look
		# a signal that came before the fork would have reached no one.
		if [ -e "$u/stop" ] || [ -e "$u/told" ]; then exit 143; fi
		# The trap is gone once the process has taken this shell's place.
		trap ': >"$mine/unstarted"' EXIT
		enter_groups
		job
	) >>"$u/log" 2>&1
	status=$?
	# Whoever lends the machine may tell all processes at once to end, in any order.
	if [ -n "$elsewhere" ]; then
		nap
		[ -z "$heard" ] || first "$u/told" "$(date +%s)"
	fi
	! starved || : >"$u/starved"
	[ "$most" = 0 ] || trim
	wished
	# Whoever kills what the job left may take the shell that asks for the time for a
	# part of it: it carries the mark, too.
	until ended=$(now) && [ -n "$ended" ]; do :; done
	# A full disk must not turn an ended job into a lost one. Without a folder there is
	# nobody left to tell.
	until first "$u/end" "exit $status $ended $cause" || [ ! -d "$u" ]; do sleep 1; done
	/bin/sh "$0" reap "$1" $$ # a process that does not carry the mark
}

verb_reap() {
	u=jobs/$1 spare=$2
	reap && release && : >"$u/gone"
}

# expire ID SECONDS: the timeout, which holds while nobody is connected. It carries the
# mark, so that it ends with the unit.
verb_expire() {
	sleep "$2" 2>/dev/null || sleep "$((${2%.*} + 1))"
	unset AMLFLOW_PROCESS # to be none of those that it may have to kill
	exec /bin/sh "$0" late "$1"
}

verb_late() { verb_stop "$1" timeout; }

# attend ID: look at what the unit writes and takes, every second, while there is cause to. It
# carries the mark, so that it ends with the unit.
verb_attend() {
	u=jobs/$1 spare=
	unset AMLFLOW_PROCESS # what it calls must not look like the job
	sealed && begun || exit 0
	. "./$u/$fill/process.sh"
	page=$(getconf PAGESIZE 2>/dev/null) || page=4096
	length=0
	while [ ! -e "$u/end" ] && alive "$pid"; do
		pause=3
		if [ -e "$u/watched" ] || [ "$length" -gt "$((most / 4))" ]; then pause=1; fi
		AMLFLOW_PROCESS=$here/$u: sleep $pause
		[ "$most" = 0 ] || trim
		[ ! -e "$u/watched" ] || weigh
	done
}

# outstay ID SECONDS: the grace.
verb_outstay() {
	u=jobs/$1
	sleep "$2" 2>/dev/null || sleep "$((${2%.*} + 1))"
	begun && spare=$pid && [ ! -e "$u/end" ] && reap
}

# stop ID CAUSE: ask it to end. It never starts after this, if it has not.
verb_stop() {
	u=jobs/$1 spare=
	[ ! -e "cleaned/$1" ] || return 0
	mkdir -p -m 700 "$u"
	[ ! -e "$u/end" ] || return 0
	new=yes
	[ ! -e "$u/stop" ] || new=no
	first "$u/stop" "$2 $(date +%s)" || die "the disk of the host takes no more"
	flush "$u/stop" "$u"
	[ -z "$far" ] && begun && alive "$pid" || return 0
	kill -TERM "-$pid" 2>/dev/null
	kill -CONT "-$pid" 2>/dev/null # one that is stopped could not act on it
	[ $new = yes ] && sealed || return 0
	exec 4</dev/null
	detach /bin/sh "$0" outstay "$1" "$grace"
	exec 4<&-
}

verb_stopping() { if [ -e "jobs/$1/stop" ]; then echo yes; fi; }

# launch ID NAME=VALUE…: start it, at most once; the input is what it is confided. The pipe
# ends when the supervisor is certain, or is no more. Its environment is its own, so that
# nothing that the job was given can change what it does; the job has those values, too.
verb_launch() {
	u=jobs/$1 unit=$1
	shift
	if [ ! -e "$u/started" ] && [ ! -e "$u/stop" ] && sealed; then
		exec 4<&0
		: "$(
			exec 3>&1
			detach env -i PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C "AMLFLOW_PROCESS=$here/$u:" "$@" /bin/sh "$0" supervise "$unit" "$mark" 9>&-
		)"
	fi
	if [ -e "cleaned/$unit" ] || [ -e "$u/started" ] || [ -e "$u/stop" ]; then return 0; fi
	die "the supervisor of the job did not start: is the disk of the host full?"
}
