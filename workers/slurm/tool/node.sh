# node.sh: what runs on the nodes that Slurm lends. Units are supervised as on any other
# machine; here is what lies between Slurm and a supervisor.
elsewhere=yes
unasked='batch task rank watch held mind '

# task ARRAY RANKS EACH LAUNCHER: the job that this task of an array is.
verb_task() {
	job=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "arrays/$1/list")
	[ -n "$job" ] || exit 97
	[ ! -d "jobs/$job" ] || exec >>"jobs/$job/slurm" 2>&1
	shift
	verb_batch "$job" "$@"
}

# batch ID RANKS EACH LAUNCHER: the job of Slurm, with so many ranks on each node. Of several
# the first is on this node, and its address is the one by which Slurm itself reaches it.
verb_batch() {
	if [ "$4" = hold ]; then
		verb_hold "$1" "$3"
		exit 0
	fi
	hosts= launcher=$4
	if [ "$4" = mpi ]; then
		list_hosts "$1" "$3"
	elif [ "$2" -gt 1 ]; then
		for name in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do
			address=$(scontrol -o show node "$name" | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p')
			hosts="$hosts ${address:-$name}"
		done
	fi
	[ "$2" -gt 1 ] || verb_rank "$1" 1
	MASTER_ADDR=${hosts# }
	MASTER_ADDR=${MASTER_ADDR%% *}
	MASTER_PORT=$(verb_port "$((20000 + SLURM_JOB_ID % 12000))")
	export MASTER_ADDR MASTER_PORT
	# A rank that fails stops the others by itself, with their grace.
	exec srun --nodes="$(($2 / $3))" --ntasks="$2" --ntasks-per-node="$3" --distribution=block --kill-on-bad-exit=0 --mpi=none --output=none --error=none \
		/bin/sh "$0" rank "$1" "$2" "$3" "$4" $hosts
}

# list_hosts ID EACH: the file that mpirun reads: the names by which Slurm knows the nodes,
# since mpirun has Slurm start its daemons there.
list_hosts() {
	u=jobs/$1
	sealed || return 0
	for host in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do echo "$host slots=$2"; done >"$u/$fill/hostfile"
}

# workers EACH HOST…: TF_CONFIG of rank $n: all ranks, each with a port of its own.
workers() {
	each=$1 i=0 list=
	shift
	for host in "$@"; do
		k=0
		while [ "$k" -lt "$each" ]; do
			list="$list${list:+, }\"$host:$((MASTER_PORT + i))\""
			i=$((i + 1)) k=$((k + 1))
		done
	done
	TF_CONFIG="{\"cluster\": {\"worker\": [$list]}, \"task\": {\"type\": \"worker\", \"index\": $n}}"
}

# rank ID RANKS [EACH LAUNCHER HOST…]: one rank, until nothing of it is alive. Its status is
# that of the process.
verb_rank() {
	job=jobs/$1 n=0 told= nudged= spare=
	[ "$2" = 1 ] || n=${SLURM_PROCID:-0}
	TF_CONFIG=
	id=$1 ranks=$2
	if [ "${4-}" = tf ] && [ "$2" -gt 1 ]; then
		shift 2 && each=$1 && shift 2 && workers "$each" "$@"
	fi
	set -- "$id" "$ranks"
	unit=$1
	[ "$n" = 0 ] || unit=$1+$n
	u=jobs/$unit
	trap 'told=yes' TERM
	trap 'nudged=yes' USR1
	trap : HUP INT QUIT USR2 # for the process, perhaps: Slurm sends signals to all
	[ -d "$u" ] || exit 0 # it was cleaned while it waited
	if begun; then
		again
		exit 0
	fi
	if [ -e "$job/stop" ]; then first "$u/stop" "$(cat "$job/stop")"; fi
	token=$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}.$n
	supervise
	follow
	# Another job of Slurm may have been faster, and what it has started is not ours.
	begun || exit 0
	if [ "$its_token" != "$token" ]; then
		again
		exit 0
	fi
	[ -e "$u/end" ] || { reap && first "$u/end" "lost $(now) its supervisor ended without a record of its exit"; }
	[ -e "$u/gone" ] || : >"$u/gone" # from here on the folder may be removed
	[ -e "$u/end" ] && read -r how status at cause <"$u/end" || exit 0
	case $how in exit) ;; *) status=137 cause=$at ;; esac
	if [ "$status" != 0 ] || [ "$cause" != - ]; then peers "$1" "$2"; fi
	exit "$status"
}

# again: it was started before. If that was by this job of Slurm, then Slurm has ended it
# and queued the job again; and nothing is ever started twice. If it was by another, this
# one must not be over before it: what Slurm says of this one's end is taken for the end.
again() {
	case $its_token in
	"$SLURM_JOB_ID".*)
		first "$u/ruled" "preempted Slurm has taken its nodes away, and queued it again"
		first "$u/end" "killed $(now) preempted"
		: >"$u/gone"
		;;
	*)
		until [ -e "$u/gone" ] || ! queued "${its_token%%.*}"; do
			sleep 1 &
			wait $!
			ls "$u" >/dev/null # see watch
		done
		;;
	esac
}

# queued NUMBER: Slurm has the job and it is not over, or cannot be asked.
queued() {
	said=$(squeue --noheader --jobs="$1" 2>&1) || case $said in *"Invalid job id"*) return 1 ;; *) return 0 ;; esac
	[ -n "$said" ]
}

# supervise: start the supervisor of $unit. Of the environment it keeps what tells which
# devices are lent, and which job this is.
supervise() {
	secrets=/dev/null
	[ ! -e "$u/confided" ] || secrets=$u/confided
	set -- env -i PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C "AMLFLOW_PROCESS=$here/$u:"
	for name in MASTER_ADDR MASTER_PORT TF_CONFIG SLURM_JOB_ID SLURM_JOB_NODELIST CUDA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES HIP_VISIBLE_DEVICES ZE_AFFINITY_MASK GPU_DEVICE_ORDINAL; do
		eval "value=\${$name-}"
		[ -z "$value" ] || set -- "$@" "$name=$value"
	done
	if [ "${launcher-}" = mpi ]; then # it asks Slurm for the nodes, as whoever was lent them
		for name in $(env | sed -n 's/^\(SLURM_[A-Z0-9_]*\)=.*/\1/p'); do
			eval "set -- \"\$@\" \"$name=\$$name\""
		done
	fi
	setsid "$@" /bin/sh "$0" supervise "$unit" "$token" <"$secrets" >/dev/null 2>&1 &
	supervisor=$!
	setsid /bin/sh "$0" watch "$unit" $$ </dev/null >/dev/null 2>&1 &
	watch=$!
}

# follow: wait for the end of the supervisor, and hand on to the process what this shell is
# told. Only the first time: many programs take a second TERM for a wish to end unsaved.
follow() {
	passed= stopping=
	while kill -0 "$supervisor" 2>/dev/null; do
		wait "$supervisor"
		if [ -n "$nudged" ] && [ -z "$stopping" ] && [ -e "$u/stop" ]; then
			stopping=yes
			pass_on
			sealed && detach /bin/sh "$0" outstay "$unit" "$grace" 4</dev/null
		elif [ -n "$told" ] && [ ! -e "$u/told" ]; then
			first "$u/told" "$(date +%s)"
			nap && nap && nap # until those whom Slurm has told, too, have heard of it
			[ -e "$u/heard" ] || pass_on
		fi
	done
	kill -KILL "$watch" 2>/dev/null # TERM would have it say that it has heard of something
}

pass_on() {
	[ -z "$passed" ] || return 0
	passed=yes
	kill -TERM "-$supervisor" 2>/dev/null
	kill -CONT "-$supervisor" 2>/dev/null
}

# watch UNIT PID: look whether the unit is to stop, and tell that shell. Slurm may tell the
# shell alone of an end, or all processes at once: whether this one hears of it tells which.
verb_watch() {
	u=jobs/$1
	trap ': >"$u/heard"' TERM
	trap : HUP INT QUIT USR1 USR2
	while kill -0 "$2" 2>/dev/null && [ ! -e "$u/end" ]; do
		sleep 1 &
		wait $!
		ls "$u" >/dev/null # a listing is asked of the file server; a name that was missing may be remembered
		if [ -e "$u/stop" ] && read -r cause _ <"$u/stop" && [ "$cause" != timeout ]; then # a timeout does it all itself
			kill -USR1 "$2"
			return
		fi
	done
}

# peers ID RANKS: one rank has failed, and the others are to stop: for the same reason when
# it was stopped itself.
peers() {
	[ "$cause" != - ] && [ "$cause" != told ] && [ "$how" != lost ] || cause=peer
	i=0
	while [ "$i" -lt "$2" ]; do
		other=jobs/$1
		[ "$i" = 0 ] || other=jobs/$1+$i
		[ -e "$other/end" ] || first "$other/stop" "$cause $(date +%s)"
		i=$((i + 1))
	done
}
