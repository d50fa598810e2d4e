# queue.sh: the clients of Slurm, on the machine where jobs are submitted. The input of
# each verb begins with two lines: the configuration file, and the folder of the clients;
# each may be empty.
#
# Beside what any unit has, that of rank 0 has
#
#	asked.N       MARK PID BOOT TIME ARRAY: that submission asks Slurm to queue the job, as
#	              one of an array, perhaps. A next one takes over once it is dead, and looks
#	              first whether Slurm has the job
#	queue         NUMBER ARRAY: the number of the job in Slurm
#	confided      secrets, as long as the rank waits
#	told, heard   Slurm has told the batch script to end; all processes
#	ruled         CAUSE WORDS: what Slurm said of an end that the rank cannot explain itself
#
# Jobs that are submitted together and ask for the same are one array of Slurm, in a folder:
#
#	arrays/ARRAY/list   the ids of the jobs, in the order of the tasks of the array
#	arrays/ARRAY/slurm  what their batch scripts said before they were in the folders of jobs

# settings: read the first lines.
settings() {
	IFS= read -r conf
	IFS= read -r clients
	[ -z "$conf" ] || SLURM_CONF=$conf
	[ -z "$clients" ] || PATH=$clients:$PATH
	me=$(id -un)
	command -v sbatch >/dev/null || die "there is no sbatch: install the clients of Slurm there, or name their folder as \`bin\` of the target"
}

# client COMMAND…: run a client. It must not wait for ever for a controller that is gone,
# and nothing of our environment is to travel with the job.
patience=30
client() {
	timeout -k 5 "$patience" env -i PATH="$PATH" HOME="${HOME-}" USER="$me" LOGNAME="$me" LC_ALL=C ${SLURM_CONF:+"SLURM_CONF=$SLURM_CONF"} "$@"
	set -- $?
	[ "$1" != 124 ] || echo "no answer from Slurm within $patience seconds" >&2
	return "$1"
}

# each ID RANKS COMMAND…: run it for every rank, with its folder as $r.
each() {
	job=$1 ranks=$2 i=0
	shift 2
	while [ "$i" -lt "$ranks" ]; do
		r=jobs/$job
		[ "$i" = 0 ] || r=jobs/$job+$i
		"$@"
		i=$((i + 1))
	done
}

# search: the number of $job in Slurm, found by its name and its folder, or by those of the
# arrays that it was asked for with; empty: none.
search() {
	names=$job arrays=
	for f in "$u"/asked.*; do
		read -r _ _ _ _ array <"$f" || continue
		[ -z "$array" ] || { names=$names,$array arrays="$arrays $array"; }
	done
	all=$(client squeue --noheader --states=all --user="$me" --name="$names" --format='%i|%Z' </dev/null) || return 1
	ours "$all" && return
	all=$(client sacct --allocations --noheader --parsable2 --user="$me" --name="$names" --starttime=now-7days --format=JobID,WorkDir </dev/null 2>/dev/null) || return 0
	ours "$all" || return 0
}

# ours LINES: NUMBER and ARRAY of $job, from the line with its folder, or with that of an
# array that has it. Slurm numbers what waits of an array as one.
ours() {
	found=$(printf '%s\n' "$1" | while IFS='|' read -r number dir; do
		if [ "$dir" = "$here/jobs/$job" ]; then
			echo "$number"
			break
		fi
		for array in $arrays; do
			[ "$dir" = "$here/arrays/$array" ] && task=$(task_of "$array") || continue
			echo "${number%%_*}_$task $array"
			break 2
		done
	done)
	[ -z "$found" ] || echo "$found"
	[ -n "$found" ]
}

# task_of ARRAY: which of its tasks $job is.
task_of() {
	at=$(grep -n -x -F "$job" "arrays/$1/list" 2>/dev/null) || return 1
	echo "$((${at%%:*} - 1))"
}

# number: read the number of $job, the folder that it has in Slurm, and its name there; it
# is recorded, or was asked for by somebody who died.
number() {
	number= array=
	if [ -e "$u/queue" ]; then
		read -r number array <"$u/queue"
	elif [ -e "$u/asked.1" ]; then
		found=$(search) || die "Slurm cannot be asked for the job"
		read -r number array <<-end
			$found
		end
	fi
	name=$job workdir=$here/$u
	[ -z "$array" ] || name=$array workdir=$here/arrays/$array
	[ -n "$number" ]
}

# enqueue ID RANKS EACH LAUNCHER: have Slurm queue the job, once. The input goes on with the options of
# sbatch, a line each, an empty line, and what the process is confided.
verb_enqueue() {
	job=$1 ranks=$2 launch="$3 $4" u=jobs/$1
	settings
	set --
	while IFS= read -r option && [ -n "$option" ]; do set -- "$@" "$option"; done
	umask 077
	confided=$u/confided.$mark
	trap 'rm -f "$confided"' EXIT
	cat >"$confided"
	[ "$(tail -n 1 "$confided" 2>/dev/null)" = "# whole" ] || decided || die "what the job is given was cut off on its way"
	each "$job" "$ranks" confide
	decided || [ -e "$u/queue" ] || ask "$@"
	if [ -e "$u/stop" ] || [ -e "cleaned/$job" ]; then withdraw; fi # it came meanwhile
}

# decided: the job has started, or never will; whoever decided that removes secrets.
decided() { [ -e "$u/started" ] || [ -e "$u/stop" ] || [ -e "cleaned/$job" ]; }

# confide: leave the secrets of rank $r, which are in $confided, where it finds them once it starts. One that has
# started looks no more, and may have done so while we wrote.
confide() {
	[ -e "$r/started" ] || decided ||
		{ cp "$confided" "$r/confided.to.$mark" && mv -f "$r/confided.to.$mark" "$r/confided"; } 2>/dev/null ||
		[ -e "$r/started" ] || decided || die "the disk takes no more"
	[ ! -e "$r/started" ] || rm -f "$r"/confided "$r/confided.to.$mark"
}

# ask OPTION…: ask Slurm to queue $job, unless another submission has or does.
ask() {
	while :; do
		if decided; then return 0; fi # it was let go, or cancelled, just now
		if claim; then break; fi
		[ ! -e "$u/queue" ] || return 0
		nap
	done
	found=$(printf '#!/bin/sh\ncd %s && exec /bin/sh %s batch %s %s %s\nexit 97\n' "$(quoted "$here")" "$0" "$job" "$ranks" "$launch" |
		client sbatch --parsable --job-name="$job" --comment="amlflow:$job" --chdir="$here/$u" --output="$here/$u/slurm" --open-mode=append --no-requeue "$@") || exit 1
	first "$u/queue" "${found%%;*}"
}

# claim: have the right to ask Slurm for $job; false: somebody else asks now, or Slurm has
# it already.
claim() {
	if last_asked; then
		if asking || [ -e "$u/queue" ]; then return 1; fi
		found=$(search) || exit 1
		[ -z "$found" ] || { first "$u/queue" "$found" && return 1; }
	fi
	first "$u/asked.$((asked + 1))" "$mark $$ $boot $(date +%s)"
	read -r by _ <"$u/asked.$((asked + 1))"
	[ "$by" = "$mark" ]
}

# muster ARRAY RANKS EACH LAUNCHER: have Slurm queue many jobs as one array. The input goes on
# as that of enqueue, with the ids of the jobs, a line each, and an empty line before what
# each of them is confided. It tells which are left for enqueue: of those Slurm was asked
# for before.
verb_muster() {
	array=$1 ranks=$2 launch="$3 $4" a=arrays/$1 left=
	settings
	set --
	while IFS= read -r option && [ -n "$option" ]; do set -- "$@" "$option"; done
	umask 077
	mkdir -p "$a" || exit 1
	confided=$a/confided
	trap 'rm -f "$confided"' EXIT
	while IFS= read -r job && [ -n "$job" ]; do echo "$job"; done >"$a/all"
	cat >"$confided"
	[ "$(tail -n 1 "$confided" 2>/dev/null)" = "# whole" ] || die "what the jobs are given was cut off on its way"
	at=$(date +%s)
	while IFS= read -r job; do
		u=jobs/$job
		each "$job" "$ranks" confide
		if decided || [ -e "$u/queue" ]; then
			decided && settle_task
		elif [ -e "$u/asked.1" ] || ! { first "$u/asked.1" "$mark $$ $boot $at $array" && read -r by _ <"$u/asked.1" && [ "$by" = "$mark" ]; }; then
			left="$left $job"
		else
			echo "$job"
		fi
	done <"$a/all" >"$a/list.new"
	mv "$a/list.new" "$a/list" && flush "$a/list" "$a" || die "the disk takes no more"
	count=$(($(wc -l <"$a/list")))
	[ "$count" -eq 0 ] || call_up "$@"
	for job in $left; do echo "$job"; done
}

# call_up OPTION…: ask for the array. Those that it has are on record one by one.
call_up() {
	found=$(printf '#!/bin/sh\ncd %s && exec /bin/sh %s task %s %s %s\nexit 97\n' "$(quoted "$here")" "$0" "$array" "$ranks" "$launch" |
		client sbatch --parsable --array="0-$((count - 1))" --job-name="$array" --comment="amlflow:$array" --chdir="$here/$a" --output="$here/$a/slurm" --open-mode=append --no-requeue "$@") || exit 1
	task=0
	while IFS= read -r job; do
		u=jobs/$job
		first "$u/queue" "${found%%;*}_$task $array"
		task=$((task + 1))
		settle_task
	done <"$a/list"
}

# settle_task: what came for $job meanwhile counts for its task, too.
settle_task() {
	if [ -e "$u/stop" ] || [ -e "cleaned/$job" ]; then (withdraw) >/dev/null; fi
}

# most: how many tasks an array of this cluster may have. It removes the lists of arrays
# whose jobs are all gone, too.
verb_most() {
	settings
	client scontrol show config </dev/null | sed -n 's/^MaxArraySize *= *\([0-9]*\).*/\1/p'
	for a in arrays/*/; do
		a=${a%/}
		[ -n "$(find "$a" -prune -mtime +1 2>/dev/null)" ] || continue
		while IFS= read -r job; do
			[ ! -d "jobs/$job" ] || continue 2
		done <"$a/list"
		discard "$a"
	done 2>/dev/null
}

# quoted TEXT: it, as one word of a shell.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# last_asked: read the newest question; false when there was none.
last_asked() {
	asked=0
	while [ -e "$u/asked.$((asked + 1))" ]; do asked=$((asked + 1)); done
	[ "$asked" -gt 0 ] && read -r _ asker its_boot at _ <"$u/asked.$asked"
}

# asking: that submission may still get an answer: it is alive, or on another machine. Its
# client has an end, and so has this.
asking() {
	[ ! -e "$u/queue" ] && [ "$(($(date +%s) - at))" -lt "$((3 * patience))" ] || return 1
	[ "$its_boot" != "$boot" ] || kill -0 "$asker" 2>/dev/null
}

# withdraw ID RANKS: a job that was marked to stop leaves the queue, or is told to look at
# the mark, which it does by itself, but not at once.
verb_withdraw() {
	job=$1 ranks=$2 u=jobs/$1
	settings
	withdraw
}

withdraw() {
	each "$job" "$ranks" forget_secrets
	if ! number; then return 0; fi
	if [ -n "$array" ]; then
		withdraw_task
		return
	fi
	strike --state=PENDING --name="$name"
	if [ ! -e "$u/started" ] || [ -e "$u/gone" ]; then return 0; fi
	# To the shell of the batch script alone; a signal to steps would go to the processes.
	[ "$ranks" -gt 1 ] || strike --signal=USR1 --batch --name="$name"
}

# withdraw_task: the same for a task of an array. With options that choose among jobs scancel
# takes one that waits for all that wait of its array. One that runs finds the mark.
withdraw_task() {
	if [ -e "$u/gone" ]; then return 0; fi
	said=$(client scontrol -o show job "$number" </dev/null 2>&1)
	case $said in
	*" WorkDir=$workdir "*) ;;
	*"JobId="* | *"Invalid job id"*) return 0 ;;
	*) die "$said" ;;
	esac
	case $said in *" JobState=PENDING "*) strike ;; esac
}

# forget_secrets: also those of a submission that was cut off.
forget_secrets() { rm -f "$r"/confided*; }

# strike OPTION…: scancel for $number. Its name is among the options: a controller that has lost its
# memory gives numbers again. That the job is over is fine; scancel may fail without a word
# when it ends in this moment. Whatever it was, the job finds its mark by itself.
strike() {
	said=$(client scancel "$@" "$number" </dev/null 2>&1) && return
	case $said in "" | *"Invalid job id"* | *"already completing or completed"* | *"not running"* | *pending*) ;; *) die "$said" ;; esac
}

# snapshot: all that Slurm has of this user, each task of an array with the folder of its job.
verb_snapshot() {
	settings
	all=$(client squeue --noheader --array --states=all --user="$me" --format='%i|%T|%Z|%r' </dev/null) || exit 1
	printf '%s\n' "$all" | arrays=$here/arrays/ jobs=$here/jobs/ awk -F'|' -v OFS='|' '
		index($3, ENVIRON["arrays"]) == 1 {
			if (!($3 in read)) {
				read[$3] = 1
				for (n = 0; (getline id < ($3 "/list")) > 0; n++) of[$3, n] = id
				close($3 "/list")
			}
			task = $1
			sub(/.*_/, "", task)
			if (($3, task) in of) $3 = ENVIRON["jobs"] of[$3, task]
		}
		{ print }'
}

# details ID: what Slurm knows of one job: a line of scontrol, or one of sacct, or none, or
# that it was never asked to queue it.
verb_details() {
	job=$1 u=jobs/$1
	settings
	if ! number; then
		echo unasked
		return
	fi
	said=$(client scontrol -o show job "$number" </dev/null 2>&1)
	case $said in
	*" WorkDir=$workdir "*)
		echo "scontrol $said"
		return
		;;
	*"JobId="* | *"Invalid job id"*) ;; # it has forgotten it, and may have given the number again
	*) die "$said" ;;
	esac
	said=$(client sacct --allocations --noheader --parsable2 --name="$name" --jobs="$number" --format=State,ExitCode </dev/null 2>/dev/null) && [ -n "$said" ] || said=
	echo "${said:+sacct }${said:-none}"
}

# settle ID RANKS: the job is over in Slurm. The input is why, CAUSE WORDS; empty: tell only.
# The first reason counts, and is the answer.
verb_settle() {
	u=jobs/$1
	settings
	if IFS= read -r why && [ -n "$why" ]; then
		first "$u/ruled" "$why" || die "the disk takes no more"
		read -r cause words <"$u/ruled"
		each "$1" "$2" conclude_rank
	fi
	if [ -e "$u/ruled" ]; then cat "$u/ruled"; fi
}

conclude_rank() {
	case $cause in
	lost | exit) first "$r/end" "lost $(now) $words" ;;
	*) first "$r/end" "killed $(now) $cause" ;;
	esac
	: >"$r/gone"
	forget_secrets
}

# probe: would a job be queued? The input goes on with options.
verb_probe() {
	settings
	set --
	while IFS= read -r option && [ -n "$option" ]; do set -- "$@" "$option"; done
	client sbatch --test-only --wrap=true "$@" </dev/null >/dev/null
}

# machines: the third line is a partition, or empty. What the nodes have, a line "node PARTITION COUNT CPUS MEGABYTES GRES" for
# those that are alike, and what of its configuration tells whether it holds jobs to that.
verb_machines() {
	settings
	IFS= read -r partition
	client sinfo --noheader --exact ${partition:+"--partition=$partition"} --format='node %P %D %c %m %G' </dev/null || exit 1
	client scontrol show config </dev/null | grep -E '^(TaskPlugin|SelectTypeParameters|JobAcctGatherParams|ConstrainRAMSpace|ConstrainCores) '
	return 0
}
