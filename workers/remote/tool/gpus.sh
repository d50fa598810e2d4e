# gpus.sh: the GPUs of a machine, lent in turn to whoever uses its work folder. Who has which
# is in gpus/BOOT, so that after a restart nobody has any, and under a lock that the kernel
# takes from whoever dies:
#
#	held/DEVICE    UNIT…: the units of the job that has it
#	queue/NUMBER   WANTS UNIT…: a job that waits, in the order of the numbers; written to
#	               when somebody asks for it
#
# What a job has is free once no process of it is alive, which its units tell: there is
# nothing to give back, and so nothing that a kill could keep lent.

# forsaken is after how many seconds a job that has not started, and that nobody asks for, no
# longer keeps what it has or its place in the queue.
forsaken=120

# lending: take the lock. Those who are started under it must not inherit it.
lending() {
	g=gpus/$boot
	command -v flock >/dev/null || die "the host cannot lend its GPUs in turn: install flock there (it is part of util-linux, and of busybox)"
	mkdir -p "$g/held" "$g/queue" && exec 9>"$g/lock" && flock 9 || die "the disk of the host takes no more"
}

# stale FILE: nobody has written to it for long.
stale() {
	at=$(modified "$1") && [ "$(($(date +%s) - at))" -gt "$forsaken" ]
}

# through FILE UNIT…: no process of these units is alive, or will be.
through() {
	of=$1
	shift
	for unit in "$@"; do
		case $(look "$unit") in
		*" running "*) return 1 ;;
		*" waiting") stale "$of" || return 1 ;;
		esac
	done
}

# borrow WANTS DEVICES UNIT…: lend these units so many of the devices together, which are
# numbers with commas between them, once it is their turn: as many are free as they want and
# as all before them want. It says "lent DEVICES", or "waits FREE BEFORE".
verb_borrow() {
	wants=$1 devices=$(echo "$2" | tr , ' ')
	shift 2
	us=$* mine= free= count=0 before=0 ahead=0 place=
	lending
	for d in $devices; do
		holders=
		[ ! -e "$g/held/$d" ] || read -r holders <"$g/held/$d"
		if [ "$holders" = "$us" ]; then
			mine="$mine $d"
		elif [ -z "$holders" ] || through "$g/held/$d" $holders; then
			free="$free $d" count=$((count + 1))
		fi
	done
	set -- $mine
	if [ $# -eq "$wants" ]; then
		lent "$@"
		return
	fi
	free="$free$mine" count=$((count + $#)) # of a loan that was cut off half way
	for f in "$g"/queue/*; do
		[ -e "$f" ] && read -r wanted who <"$f" || continue
		if [ "$who" = "$us" ]; then
			place=$f
			break
		elif stale "$f" || through "$f" $who; then
			rm -f "$f"
		else
			before=$((before + wanted)) ahead=$((ahead + 1))
		fi
	done
	if [ "$count" -lt "$((before + wants))" ]; then
		[ -n "$place" ] || place=$(next_place)
		echo "$wants $us" >"$place"
		echo "waits $count $ahead"
		return
	fi
	set --
	for d in $free; do
		if [ $# -lt "$wants" ]; then set -- "$@" "$d"; fi
	done
	for d in "$@"; do
		echo "$us" >"$g/held/.$d" && mv -f "$g/held/.$d" "$g/held/$d" || die "the disk of the host takes no more"
	done
	[ -z "$place" ] || rm -f "$place"
	lent "$@"
}

# lent DEVICE…: say so, and that it was asked for now.
lent() {
	for d in "$@"; do touch -c "$g/held/$d"; done
	echo "lent $(echo "$*" | tr ' ' ,)"
}

# next_place: the name of the end of the queue.
next_place() {
	last=0
	for f in "$g"/queue/*; do
		if [ -e "$f" ]; then last=${f##*/}; fi
	done
	last=$(echo "$last" | sed 's/^0*//')
	printf '%s/queue/%09d\n' "$g" "$((${last:-0} + 1))"
}

# keeps DEVICES UNIT: the unit still has them.
keeps() {
	for d in $(echo "$1" | tr , ' '); do
		[ -e "$g/held/$d" ] && read -r holders <"$g/held/$d" || return 1
		case " $holders " in *" $2 "*) ;; *) return 1 ;; esac
	done
}

# employ ID DEVICES: launch a unit with what it was lent, unless somebody else has it by now.
verb_employ() {
	lending
	if ! keeps "$2" "$1"; then
		echo forfeited
		return
	fi
	verb_launch "$1" CUDA_DEVICE_ORDER=PCI_BUS_ID "CUDA_VISIBLE_DEVICES=$2"
}

# devices: what the host says of its GPUs: whether they can be lent, and a line for each that
# nvidia-smi knows.
verb_devices() {
	if command -v flock >/dev/null; then echo yes; else echo no; fi
	if command -v nvidia-smi >/dev/null; then nvidia-smi -L 2>&1 || true; else echo unknown; fi
}
