# What amlflow does on a machine where it is not installed. These files follow each
# other as one script, the tool, which is run in the work folder as
# `sh bin/DIGEST VERB ARGUMENT…`; see the doc of package remote for what is kept there,
# and for who calls what. It needs a POSIX shell and tar.
#
# records.sh: who we are, and the records of a unit. $u is the folder of the unit.
nl='
'
lang=${LANG-}
LC_ALL=C
export LC_ALL
here=$(pwd -P)

boot=none
if [ -r /proc/sys/kernel/random/boot_id ]; then read -r boot </proc/sys/kernel/random/boot_id; fi

die() {
	printf '%s\n' "$*" >&2
	exit 1
}

# Verbs that are added to these may set elsewhere, when units run on other machines that
# share this folder, and unasked: the verbs that are called there, each with a space
# behind it. To all other verbs far is set: they see no process of a unit.
elsewhere= unasked= far=

# now: seconds since 1970, with a fraction where date can tell it. A signal to the group
# of the job may end date, too.
now() {
	until t=$(date +%s.%N) && [ -n "$t" ]; do :; done
	case $t in *[!0-9.]*) t=${t%%.*} ;; esac
	echo "$t"
}

nap() { sleep 0.02 2>/dev/null || sleep 1; }

# flush FILE…: on the disk for good. Not every sync takes names.
flush() { sync "$@" 2>/dev/null || sync; }

# first FILE TEXT: make FILE unless it is there. It is whole from the first moment on,
# and of several who make it at once one wins (link(2)), also in a shared folder.
first() {
	printf '%s\n' "$2" >"$1.$$.$boot" && ln "$1.$$.$boot" "$1" 2>/dev/null
	rm -f "$1.$$.$boot"
	[ -e "$1" ]
}

# begun: read who supervises the unit.
begun() {
	[ -e "$u/started" ] && read -r pid its_boot its_host begin its_token <"$u/started"
}

# wished: read why and when the unit was asked to stop. "told": somebody else has sent it
# a signal, whoever lends the machine, say.
wished() {
	cause=- at=0
	if [ -e "$u/stop" ]; then
		read -r cause at <"$u/stop"
	elif [ -e "$u/told" ]; then
		cause=told
		read -r at <"$u/told"
	else
		return 1
	fi
}

# sealed: read where the files of the unit are, and the grace of its process.
sealed() {
	fill= grace=0
	[ -e "$u/sealed" ] && read -r fill <"$u/sealed" && read -r grace <"$u/$fill/grace"
}

# kind PATH: what is there.
kind() {
	if [ -h "$1" ]; then
		echo link
	elif [ -f "$1" ]; then
		echo file
	elif [ -d "$1" ]; then
		echo folder
	elif [ -e "$1" ]; then
		echo special
	else
		echo absent
	fi
}

# discard PATH: remove it, also what a job made read-only.
discard() {
	rm -rf "$1" 2>/dev/null || {
		chmod -R u+rwx "$1" 2>/dev/null
		rm -rf "$1"
	}
}
