# held.sh: nodes that Slurm lends for longer than one job. Such a loan is a job of Slurm, a
# hold, which starts what it is given in its folder, and ends when it is let go, or when
# nobody has vouched for it for a while and it has nothing to do. A hold has
#
#	jobs/HOLD/asked.N queue   as other jobs that Slurm has
#	          up              ADDRESS JOB KNOWS: the node is there, and is reached by this. What holds it
#	                          outlives amlflow; one that knows parts starts all that is said here
#	          lease           touched by whoever keeps the hold
#	          work/ID         N RANKS GPUS ADDRESS…: start rank N of a job, which has GPUS of the node's;
#	                          and on a line of its own EACH LAUNCHER LENT: the ranks from N on, how they
#	                          begin, and which of the GPUs they see, as cut takes it.
#	                          Instead of N, -: the node is kept for the job, whose mpirun has processes there
#	          took/ID         the same, once it was begun with
#
# and a job that runs on holds has
#
#	jobs/ID/held              GPUS HOLD…: those that it was given, by node; the first counts
#	jobs/ID/port              a port of the node of rank 0

# hold ID SECONDS: the job of Slurm that holds a node, on the node. Its lease is so long.
verb_hold() {
	hold=jobs/$1 lease=$2 told= children=
	[ -d "$hold" ] && [ ! -e "$hold/stop" ] || exit 0
	trap 'told=yes' TERM
	trap : HUP INT QUIT USR1 USR2
	address=$(scontrol -o show node "$SLURMD_NODENAME" 2>/dev/null | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p')
	mkdir -p "$hold/work" "$hold/took" || exit 1
	: >"$hold/lease"
	first "$hold/up" "${address:-$(uname -n)} $SLURM_JOB_ID parts"
	[ -z "${CUDA_VISIBLE_DEVICES-}" ] || echo "$CUDA_VISIBLE_DEVICES" >"$hold/gpus"
	while [ -z "$told" ] && [ ! -e "$hold/stop" ] && [ -d "$hold" ] && vouched; do
		for w in $(ls "$hold/work"); do
			mv "$hold/work/$w" "$hold/took/$w" 2>/dev/null || continue
			k=$(ranks_here "$hold/took/$w")
			while [ "$k" -gt 0 ]; do
				k=$((k - 1))
				/bin/sh "$0" held "$w" "$1" $$ "$k" &
				children="$children $!"
			done
		done
		wink
	done
	# What Slurm has told this shell is passed on once: it may have told all at once.
	[ -z "$children" ] || kill -TERM $children 2>/dev/null
	while busy; do wink; done
}

# ranks_here FILE: how many ranks of a job are begun on this node.
ranks_here() {
	each=1 how=env
	{ read -r _ && read -r each how _; } <"$1" || each=1
	[ "$how" != mpi ] || each=1 # mpirun begins the others
	echo "$each"
}

# wink: a moment, in which children that have ended are noticed. A file server is asked for
# listings; a name that was missing may be remembered.
wink() {
	sleep 0.2 2>/dev/null &
	wait $! || {
		sleep 1 &
		wait $!
	}
	ls "$hold" >/dev/null 2>&1
}

# busy: something that was begun is alive.
busy() {
	left=
	for child in $children; do
		if kill -0 "$child" 2>/dev/null; then left="$left $child"; fi
	done
	children=$left
	[ -n "$children" ]
}

# vouched: somebody keeps the hold, or it is busy. The clock of the file server is the one
# that counts; it is asked now and then.
winks=0
vouched() {
	winks=$((winks + 1))
	[ $((winks % 25)) -eq 0 ] || return 0
	if busy; then return 0; fi
	: >"$hold/clock" && at=$(modified "$hold/clock") && since=$(modified "$hold/lease") || return 0
	[ $((at - since)) -lt "$lease" ]
}

# held ID HOLD PID K: the rank of a job that is the K-th of its ranks on a hold whose shell
# that is, until nothing of it is alive.
verb_held() {
	trap : USR2
	job=$1
	{
		read -r n ranks gpus hosts || exit 0
		read -r each how slots || each=1 how=env slots=1-$gpus
	} <"jobs/$2/took/$1"
	if [ "$n" = - ]; then
		until [ -e "jobs/$job/gone" ] || [ ! -d "jobs/$job" ]; do
			sleep 1
			ls "jobs/$job" >/dev/null 2>&1
		done
		exit 0
	fi
	n=$((n + $4))
	unit=$1
	[ "$n" = 0 ] || unit=$1+$n
	u=jobs/$unit
	if [ ! -d "$u" ] || begun; then exit 0; fi
	SLURM_PROCID=$n
	lent=
	[ ! -e "jobs/$2/gpus" ] || read -r lent <"jobs/$2/gpus"
	if [ -n "$lent" ] && [ "$gpus" -gt 0 ]; then
		CUDA_VISIBLE_DEVICES=$(echo "$lent" | cut -d , -f "$slots")
		export CUDA_VISIBLE_DEVICES
	fi
	if [ "$ranks" -gt 1 ]; then
		[ "$n" != 0 ] || first "jobs/$job/port" "$(verb_port "$((20000 + $(date +%s) % 12000))")"
		until [ -e "jobs/$job/port" ] || [ -e "$u/stop" ] || [ ! -d "$u" ]; do
			nap
			ls "jobs/$job" >/dev/null 2>&1
		done
		MASTER_ADDR=${hosts%% *}
		MASTER_PORT=
		[ ! -e "jobs/$job/port" ] || read -r MASTER_PORT <"jobs/$job/port"
		export MASTER_ADDR MASTER_PORT
	fi
	[ "$how" != mpi ] || list_held "$each" $hosts
	/bin/sh "$0" mind $$ "$3" "$unit" </dev/null >/dev/null 2>&1 &
	mind=$!
	trap 'kill "$mind" 2>/dev/null' EXIT
	verb_rank "$job" "$ranks" "$each" "$how" $hosts
}

# list_held EACH ADDRESS…: the file that mpirun reads. Each node is lent by itself, so that
# Slurm would start its daemons on the first alone: they are started by logins. Several nodes
# of one machine add up.
list_held() {
	each=$1
	shift
	sealed || return 0
	printf '%s\n' "$@" | awk -v each="$each" '!($1 in slots) { order[++n] = $1 } { slots[$1] += each } END { for (i = 1; i <= n; i++) print order[i] " slots=" slots[order[i]] }' >"$u/$fill/hostfile"
}

# mind PID HOLD UNIT: should the shell of a hold die, then nobody would hear of the end of
# the loan, and nobody be there to end what runs: it ends with it, as told.
verb_mind() {
	u=jobs/$3 spare= far=
	while kill -0 "$1" 2>/dev/null; do
		if ! kill -0 "$2" 2>/dev/null; then
			kill -TERM "$1"
			k=0
			while [ "$k" -lt 10 ] && kill -0 "$1" 2>/dev/null; do sleep 1 && k=$((k + 1)); done
			reap
			return
		fi
		sleep 1
	done
}

# assign ID RANKS EACH LAUNCHER LENT: give a job its holds, with so many ranks on each. The input
# goes on with how many GPUs each node is to show, the holds in the order of ranks, a line
# each, an empty line, and what the process is confided.
verb_assign() {
	job=$1 ranks=$2 each=$3 how=$4 slots=$5 u=jobs/$1 holds=
	IFS= read -r conf
	IFS= read -r clients
	IFS= read -r gpus
	while IFS= read -r h && [ -n "$h" ]; do holds="$holds $h"; done
	umask 077
	confided=$u/confided.$mark
	trap 'rm -f "$confided"' EXIT
	cat >"$confided"
	[ "$(tail -n 1 "$confided" 2>/dev/null)" = "# whole" ] || decided || die "what the job is given was cut off on its way"
	each "$job" "$ranks" confide
	if decided; then return 0; fi
	first "$u/held" "$gpus$holds" || die "the disk takes no more"
	read -r gpus holds <"$u/held"
	hosts=
	for h in $holds; do
		address=unknown
		[ ! -e "jobs/$h/up" ] || read -r address _ <"jobs/$h/up"
		hosts="$hosts $address"
	done
	n=0
	for h in $holds; do
		if [ ! -e "jobs/$h/took/$job" ] && [ -d "jobs/$h/work" ]; then
			printf '%s\n' "$n $ranks $gpus$hosts" "$each $how $slots" >"jobs/$h/work.$mark" && mv -f "jobs/$h/work.$mark" "jobs/$h/work/$job"
		fi
		if [ "$how" = mpi ]; then n=-; else n=$((n + each)); fi
	done
}

# loan HOLD: how Slurm has it: a state of Slurm's, or UNASKED, GONE, FORGOTTEN, UNKNOWN.
loan() {
	if [ -e "cleaned/$1" ] && [ ! -d "jobs/$1" ]; then
		echo GONE
	else
		allocation "$1"
	fi
}

allocation() (
	job=$1 u=jobs/$1
	if ! number; then
		echo UNASKED
		exit
	fi
	said=$(client scontrol -o show job "$number" </dev/null 2>&1)
	case $said in
	*" WorkDir=$here/$u "*)
		state=${said#*JobState=} why=${said#* Reason=}
		echo "${state%% *} ${why%% *}"
		exit
		;;
	*"JobId="* | *"Invalid job id"*) ;;
	*)
		echo UNKNOWN
		exit
		;;
	esac
	said=$(client sacct --allocations --noheader --parsable2 --name="$job" --jobs="$number" --format=State </dev/null 2>/dev/null)
	said=${said%% *}
	echo "${said:-FORGOTTEN}"
)

# lapse ID RANKS: of a job that runs on holds: which are lent no more, each with its rank and
# what Slurm says. Ranks that were on them end, as they cannot tell themselves how.
verb_lapse() {
	job=$1 ranks=$2 u=jobs/$1
	settings
	[ -e "$u/held" ] || return 0
	read -r _ holds <"$u/held"
	set -- "$1" "$2" $holds
	nodes=$(($# - 2)) each=$((ranks / ($# - 2))) node=0
	for h in $holds; do
		state=$(loan "$h")
		case ${state%% *} in
		PENDING | RUNNING | SUSPENDED | COMPLETING | CONFIGURING | RESIZING | STAGE_OUT | SIGNALING | STOPPED | UNKNOWN) ;;
		*)
			echo "$node ${state%% *}"
			why "${state%% *}"
			n=$((node * each)) k=0
			if [ "$ranks" -lt "$nodes" ] && [ "$node" -gt 0 ]; then
				bereave
			fi
			while [ "$k" -lt "$each" ] || [ "$node$k" = 00 ]; do
				r=jobs/$1
				[ "$n" = 0 ] || r=jobs/$1+$n
				lapsed
				n=$((n + 1)) k=$((k + 1))
			done
			;;
		esac
		node=$((node + 1))
	done
}

# bereave: the node of processes is gone that mpirun has begun, which runs elsewhere.
bereave() {
	[ ! -e "$u/end" ] || return 0
	first "$u/ruled" "preempted ${why#* }"
	first "$u/stop" "preempted $(date +%s)"
}

# why STATE: what follows from how a loan has ended.
why() {
	case $1 in
	NODE_FAIL | BOOT_FAIL) why="lost a node has failed while it had the job ($1)" ;;
	FAILED) why="preempted what held its node for amlflow has died, and the node was given back" ;;
	FORGOTTEN) why="lost Slurm knows nothing of its node any more" ;;
	OUT_OF_MEMORY) why="oom out of memory: Slurm has ended the allocation that was its node; raise \`node.memory\` of the target" ;;
	TIMEOUT | DEADLINE) why="preempted the allocation that was its node has come to its time limit: raise \`provider.time\` of the target" ;;
	PREEMPTED) why="preempted Slurm has taken its node away for a job that goes first" ;;
	CANCELLED) why="preempted the allocation that was its node was cancelled in Slurm" ;;
	*) why="preempted the allocation that was its node has ended ($1)" ;;
	esac
}

# lapsed: the loan of the node of rank $r is over.
lapsed() {
	if [ -e "$r/gone" ]; then
		# One that was told, or killed, cannot say why.
		read -r how status _ by 2>/dev/null <"$r/end" || return 0
		case "$how $status $by" in "exit "*" told" | "exit 137 -") first "$u/ruled" "$why" ;; esac
		return 0
	fi
	first "$u/ruled" "$why"
	cause=${why%% *} words=${why#* }
	conclude_rank
}

# holds ID…: how holds are, a line each: the name, whether it is up or old, and what Slurm says.
# Whoever asks vouches for them.
verb_holds() {
	settings
	all=$(client squeue --noheader --states=all --user="$me" --format='%i|%T|%Z|%r' </dev/null) || exit 1
	for h in "$@"; do
		up=-
		if read -r _ _ up 2>/dev/null <"jobs/$h/up"; then
			[ "$up" = parts ] && up=up || up=old
			touch "jobs/$h/lease"
		fi
		line=$(printf '%s\n' "$all" | grep -F "|$here/jobs/$h|" | head -n 1)
		if [ -n "$line" ]; then
			line=${line#*|}
			echo "$h $up ${line%%|*} ${line##*|}"
		else
			echo "$h $up $(loan "$h")"
		fi
	done
}

# letgo ID: end a hold. The answer tells that it has not ended yet. The marks come first: a
# question that is under way, of this program or of one that has died, finds them, or is
# found. So the folder of one that was never asked for stays.
verb_letgo() {
	job=$1 u=jobs/$1
	settings
	if [ -e "cleaned/$job" ] && [ ! -d "$u" ]; then return 0; fi
	mkdir -p -m 700 "$u"
	first "$u/stop" "cancel $(date +%s)" 2>/dev/null && : >"cleaned/$job" || {
		if [ -e "cleaned/$job" ]; then return 0; fi # another has just let it go
		die "the disk takes no more"
	}
	if ! last_asked; then return 0; fi
	if [ ! -e "$u/queue" ] && asking; then
		echo asking
		return
	fi
	if number; then
		strike --name="$name"
		case $(allocation "$job") in
		PENDING* | RUNNING* | SUSPENDED* | COMPLETING* | CONFIGURING* | RESIZING* | STAGE_OUT* | SIGNALING* | STOPPED* | UNKNOWN*)
			echo ending
			return
			;;
		esac
	fi
	mv "$u" "removed/tmp.$mark.$job" && discard "removed/tmp.$mark.$job"
}
