# The supervisor of one process. See the doc of package jobdir for the protocol.
# It runs in the process folder, as the leader of its own session and group.
# Descriptor 3 is the open lock: it stays locked exactly as long as this shell
# lives, so it must never reach the job.

# A handler, not '': a signal to the group must end the job, which starts with
# the default action again, and not the shell that waits for its status.
trap : TERM INT HUP QUIT

. ./process.sh # defines enter_limits and job

stat= boot=
if [ -r /proc/$$/stat ]; then
	read -r stat </proc/$$/stat
	read -r boot </proc/sys/kernel/random/boot_id
fi
# Without this record the job counts as never started, so it comes first, and a
# full disk keeps the job waiting.
until printf '%s\n' "$$" "$stat" "$boot" >started; do sleep 1; done
enter_limits

folder=$PWD
(
	exec 3>&-
	# Whoever stops the job writes this file before the signal. Without the look
	# a signal that came before the fork would have reached no one.
	[ -e stop ] && exit 143
	# The trap is gone once the job has taken this shell's place.
	trap ': >"$folder/unstarted"' EXIT
	job
) </dev/null >>log 2>&1
status=$?

# The newline makes the record whole, so no rename is needed. A full disk must
# not turn an ended job into a lost one.
until echo "$status" >exit; do sleep 1; done
kill -KILL 0
