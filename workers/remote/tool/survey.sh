# survey.sh: what the host has, and what would hold a unit there to its limits.

# version CONTROLLER: which control groups have it.
version() { if [ -n "$(mounted cgroup "$1")" ]; then echo v1; else echo v2; fi; }

# survey: the processors, the kilobytes of memory, and what holds units to memory and to
# processors: v1, v2, watched or nobody. Then a line for each GPU that nvidia-smi knows, or
# "unknown". What holds a unit is tried, with groups that nothing enters but for a moment.
verb_survey() {
	u=removed/survey.$mark fill=survey.$mark memory=1099511627776 quota=100000
	mkdir -m 700 "$u" || exit 1
	trap 'release; rm -rf "$u"' EXIT
	trap 'exit 1' HUP INT TERM
	limit
	if [ -e "$u/watched" ]; then m=watched; elif [ -e "$u/unwatched" ]; then m=nobody; else m=$(version memory); fi
	if [ -e "$u/unlimited" ]; then c=nobody; else c=$(version cpu); fi
	kilobytes=$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo 2>/dev/null)
	echo "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 0) ${kilobytes:-0} $m $c"
	if command -v nvidia-smi >/dev/null; then nvidia-smi -L 2>/dev/null || echo unknown; else echo unknown; fi
}
