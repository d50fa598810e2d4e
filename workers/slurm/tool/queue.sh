# queue.sh: the clients of Slurm, on the machine where jobs are submitted. The input of
# each verb begins with two lines: the configuration file, and the folder of the clients;
# each may be empty.
#
# Beside what any unit has, that of rank 0 has
#
#	asked.N       MARK PID BOOT TIME: that submission asks Slurm to queue the job. A next one
#	              takes over once it is dead, and looks first whether Slurm has the job
#	queue         the number of the job in Slurm
#	confided      secrets, as long as the rank waits
#	told, heard   Slurm has told the batch script to end; all processes
#	ruled         CAUSE WORDS: what Slurm said of an end that the rank cannot explain itself

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

# search: the number of $job in Slurm, found by its name and its folder; empty: none.
search() {
	all=$(client squeue --noheader --states=all --user="$me" --name="$job" --format='%i|%Z' </dev/null) || return 1
	ours "$all" && return
	all=$(client sacct --allocations --noheader --parsable2 --user="$me" --name="$job" --starttime=now-7days --format=JobIDRaw,WorkDir </dev/null 2>/dev/null) || return 0
	ours "$all" || return 0
}

# ours LINES: the number on the line with our folder.
ours() {
	printf '%s\n' "$1" | while IFS='|' read -r number dir; do
		if [ "$dir" = "$here/jobs/$job" ]; then
			echo "$number"
			exit 1
		fi
	done || return 0
	return 1
}

# number: read the number of $job; it is recorded, or was asked for by somebody who died.
number() {
	number=
	if [ -e "$u/queue" ]; then
		read -r number <"$u/queue"
	elif [ -e "$u/asked.1" ]; then
		number=$(search) || die "Slurm cannot be asked for the job"
	fi
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
	trap 'rm -f "$u/confided.$mark"' EXIT
	cat >"$u/confided.$mark"
	[ "$(tail -n 1 "$u/confided.$mark" 2>/dev/null)" = "# whole" ] || decided || die "what the job is given was cut off on its way"
	each "$job" "$ranks" confide
	decided || [ -e "$u/queue" ] || ask "$@"
	if [ -e "$u/stop" ] || [ -e "cleaned/$job" ]; then withdraw; fi # it came meanwhile
}

# decided: the job has started, or never will; whoever decided that removes secrets.
decided() { [ -e "$u/started" ] || [ -e "$u/stop" ] || [ -e "cleaned/$job" ]; }

# confide: leave the secrets of rank $r where it finds them once it starts. One that has
# started looks no more, and may have done so while we wrote.
confide() {
	[ -e "$r/started" ] || decided ||
		{ cp "$u/confided.$mark" "$r/confided.to.$mark" && mv -f "$r/confided.to.$mark" "$r/confided"; } 2>/dev/null ||
		[ -e "$r/started" ] || decided || die "the disk takes no more"
	[ ! -e "$r/started" ] || rm -f "$r"/confided "$r/confided.to.$mark"
}

# ask OPTION…: ask Slurm to queue $job, unless another submission has or does.
ask() {
	if decided; then return 0; fi # it was let go, or cancelled, just now
	while last_asked; do
		if asking; then
			nap
			continue
		fi
		[ ! -e "$u/queue" ] || return 0
		found=$(search) || exit 1
		[ -z "$found" ] || { first "$u/queue" "$found" && return 0; }
		break
	done
	first "$u/asked.$((asked + 1))" "$mark $$ $boot $(date +%s)"
	read -r by _ <"$u/asked.$((asked + 1))"
	if [ "$by" != "$mark" ]; then
		ask "$@" # that one was faster
		return
	fi
	found=$(printf '#!/bin/sh\ncd %s && exec /bin/sh %s batch %s %s %s\nexit 97\n' "$(quoted "$here")" "$0" "$job" "$ranks" "$launch" |
		client sbatch --parsable --job-name="$job" --comment="amlflow:$job" --chdir="$here/$u" --output="$here/$u/slurm" --open-mode=append --no-requeue "$@") || exit 1
	first "$u/queue" "${found%%;*}"
}

# quoted TEXT: it, as one word of a shell.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# last_asked: read the newest question; false when there was none.
last_asked() {
	asked=0
	while [ -e "$u/asked.$((asked + 1))" ]; do asked=$((asked + 1)); done
	[ "$asked" -gt 0 ] && read -r _ asker its_boot at <"$u/asked.$asked"
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
	strike --state=PENDING
	if [ ! -e "$u/started" ] || [ -e "$u/gone" ]; then return 0; fi
	# To the shell of the batch script alone; a signal to steps would go to the processes.
	[ "$ranks" -gt 1 ] || strike --signal=USR1 --batch
}

# forget_secrets: also those of a submission that was cut off.
forget_secrets() { rm -f "$r"/confided*; }

# strike OPTION…: scancel for $number, if it has our name: a controller that has lost its
# memory gives numbers again. That the job is over is fine.
strike() {
	said=$(client scancel "$@" --name="$job" "$number" </dev/null 2>&1) && return
	case $said in *"Invalid job id"* | *"already completing or completed"* | *"not running"* | *pending*) ;; *) die "$said" ;; esac
}

# snapshot: all that Slurm has of this user.
verb_snapshot() {
	settings
	client squeue --noheader --states=all --user="$me" --format='%i|%T|%Z|%r' </dev/null
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
	*" WorkDir=$here/$u "*)
		echo "scontrol $said"
		return
		;;
	*"JobId="* | *"Invalid job id"*) ;; # it has forgotten it, and may have given the number again
	*) die "$said" ;;
	esac
	said=$(client sacct --allocations --noheader --parsable2 --name="$job" --jobs="$number" --format=State,ExitCode </dev/null 2>/dev/null) && [ -n "$said" ] || said=
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
