# reach.sh: what mpirun needs between hosts.

# reaches ID: whether this host can start processes on others as mpirun does. The input is the
# command that logs in, then a host a line. Of each it says: ok; blind, which logs in and does
# not see the folder of the unit; or refused, and the last words.
verb_reaches() {
	u=jobs/$1
	sealed || die "the folder of the job is gone"
	IFS= read -r agent
	if ! command -v "${agent%% *}" >/dev/null; then
		echo "missing ${agent%% *}"
		return
	fi
	patience=
	! command -v timeout >/dev/null || patience="timeout 20"
	while IFS= read -r other; do
		said=$($patience $agent "$other" "test -d \"$here/$u/$fill/code\" && echo seen || echo blind" </dev/null 2>&1)
		status=$?
		said=$(printf '%s\n' "$said" | tail -n 1)
		case $status,$said in
		0,seen) echo "ok" ;;
		0,blind) echo "blind" ;;
		124,*) echo "refused it did not answer within 20 seconds" ;;
		*) printf 'refused %s\n' "${said:-exit status $status}" ;;
		esac
	done
}
