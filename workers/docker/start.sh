# The first process of a job's container; what stands above defines ranks, deadline, grace,
# most and job. See the doc of package docker. Its own output is the container's log, which
# holds nothing unless something is wrong here. Files are made with echo: a shell may end
# when a redirection of the builtin : fails, on a full disk.

life=/amlflow/life

# Whoever stops the container signals this process, and so all of its processes: -1 is
# everybody but the sender and process 1.
trap 'stopped=1; echo >"$life/stopping"; kill -TERM -1 2>/dev/null' TERM
stopped=

# begin starts rank $1, whose files end with $2. It is a child, because for process 1 no
# signal has its default action.
begin() {
	suffix=$2
	(
		# A signal that came before this line may have met the trap of the parent. Whoever
		# stops all leaves the file first.
		[ -z "$stopped" ] && [ ! -e "$life/stopping" ] || exit 143
		# This trap is gone once the job has taken this shell's place.
		trap 'echo >"$life/unstarted$suffix"' EXIT
		job "$1"
	) </dev/null >>"$life/log$2" 2>&1 &
	pid=$!
}

# await waits for the end of pid: a signal ends the wait, and not the job.
await() {
	while :; do
		wait "$pid"
		status=$?
		kill -0 "$pid" 2>/dev/null || break
	done
}

# follow is the life of rank $1 of several. Lines of one file have an order, so that the
# first rank that failed can be told from those that were stopped for its sake.
follow() {
	trap : TERM
	begin "$1" "$2"
	await
	echo "$1 $status" >>"$life/ends"
	[ "$status" != 0 ] || return
	[ ! -e "$life/stopping" ] || return
	echo >"$life/stopping"
	kill -TERM -1
	(sleep "$grace" && kill -KILL -1) &
}

# shorten keeps each log to about most bytes: of a longer one the middle goes, and its
# beginning and its end stay. The system takes a part out of a file at once and for good,
# whoever writes to it, if file system and image can; else nothing happens. What is on
# record is "where, bytes gone so far, bytes that go now, size before that".
shorten() {
	trap : TERM
	for tool in sleep stat mv fallocate; do
		command -v "$tool" || return
	done
	while :; do
		sleep 1
		stat -c '%s %n' "$life"/log* | while read -r size log; do
			[ "$size" -le "$most" ] || take "$size" "${log#"$life/log"}" || exit 1
		done || [ $? != 1 ] || return
	done
}

# take takes the middle out of a log of $1 bytes, whose name ends with $2.
take() {
	where=$((most / 2 / 65536 * 65536))
	now=$((($1 - most / 4 - where) / 65536 * 65536))
	gone=0
	[ ! -r "$life/cut$2" ] || read -r _ gone _ <"$life/cut$2"
	record "$where $gone $now $1" "$2"
	if fallocate -c -o "$where" -l "$now" "$life/log$2"; then
		record "$where $((gone + now)) 0 0" "$2"
	else
		record "$where $gone 0 0" "$2"
		return 1
	fi
}

record() { echo "$1" >"$life/cut.new" && mv "$life/cut.new" "$life/cut$2"; }

if [ "$ranks" = 1 ]; then
	begin 0 ''
	job=$pid
else
	followers=
	rank=0
	while [ "$rank" -lt "$ranks" ]; do
		suffix=
		[ "$rank" = 0 ] || suffix=.$rank
		(follow "$rank" "$suffix") </dev/null >/dev/null 2>&1 &
		followers="$followers $!"
		rank=$((rank + 1))
	done
fi

shorten </dev/null >/dev/null 2>&1 &

# A timeout that holds although no worker is alive. Mostly a worker is sooner. Without
# sleep in the image nothing happens.
if [ "$deadline" -gt 0 ]; then
	(
		trap - TERM
		sleep "$deadline" || exit
		echo >"$life/overtime"
		echo >"$life/stopping"
		kill -TERM -1
		sleep "$grace"
		kill -KILL -1
	) </dev/null >/dev/null 2>&1 &
fi

if [ "$ranks" = 1 ]; then
	pid=$job
	await
else
	for pid in $followers; do
		await
	done
	# A rank whose follower was killed has left no line.
	status=0
	count=0
	[ ! -e "$life/ends" ] || while read -r rank code; do
		[ "$status" != 0 ] || status=$code
		count=$((count + 1))
	done <"$life/ends"
	[ "$status" != 0 ] || [ "$count" = "$ranks" ] || status=137
fi

# Not every engine notices when the kernel kills a part of a container for want of memory.
# The kernel counts it, in one file or the other.
for counts in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
	[ ! -r "$counts" ] || while read -r what times; do
		[ "$what" != oom_kill ] || [ "$times" = 0 ] || echo >"$life/oom"
	done <"$counts"
done

# The engine says 255 of containers that were running when it went down; this file tells
# a job that says so itself.
echo "$status" >"$life/exit"
exit "$status"
