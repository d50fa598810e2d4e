# The first process of a job's container; what stands above defines deadline, grace and
# job. See the doc of package docker. Its own output is the container's log, which holds
# nothing unless something is wrong here.

life=/amlflow/life

# Whoever stops the container signals this process, and so all of its processes: -1 is
# everybody but the sender and process 1.
trap 'stopped=1; kill -TERM -1 2>/dev/null' TERM
stopped=

# The job is a child, because for process 1 no signal has its default action.
(
	# The trap is gone once the job has taken this shell's place.
	trap ': >"$life/unstarted"' EXIT
	job
) </dev/null >>"$life/log" 2>&1 &
pid=$!
[ -z "$stopped" ] || kill -TERM "$pid"

# A timeout that holds although no worker is alive. Mostly a worker is sooner. Without
# sleep in the image nothing happens.
if [ "$deadline" -gt 0 ]; then
	(
		trap - TERM
		sleep "$deadline" || exit
		: >"$life/overtime"
		kill -TERM -1
		sleep "$grace"
		kill -KILL -1
	) </dev/null >/dev/null 2>&1 &
fi

# A signal ends the wait, and not the job.
while :; do
	wait "$pid"
	status=$?
	kill -0 "$pid" 2>/dev/null || break
done

# Not every engine notices when the kernel kills a part of a container for want of memory.
# The kernel counts it, in one file or the other.
for counts in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
	[ ! -r "$counts" ] || while read -r what times; do
		[ "$what" != oom_kill ] || [ "$times" = 0 ] || : >"$life/oom"
	done <"$counts"
done

# The engine says 255 of containers that were running when it went down; this file tells
# a job that says so itself.
echo "$status" >"$life/exit"
exit "$status"
