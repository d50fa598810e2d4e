# Makes a virtual environment of Python in a volume, at $at, with what $names and $version ask
# for and the requirements in the file list; what stands above sets these and the variables of
# pip. It says what it was at, and why that was in vain, with its last line: TOOL STATUS PYTHON
# VERSION.

umask 022
cd /amlflow || exit 1
export HOME=/amlflow/home TMPDIR=/amlflow/tmp
mkdir -p home tmp || exit 1
[ ! -e "$at/made" ] || exit 0

# vain TOOL STATUS: say so, and end.
vain() {
	printf '\n%s %s %s %s\n' "$1" "$2" "${python:--}" "${found:--}"
	exit 1
}

python= found= there=
for name in $names; do
	p=$(command -v "$name") || continue
	found=$("$p" -I -S -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
	case $found. in
	"${version:-$found}".*)
		python=$p
		break
		;;
	esac
	there="$there $found"
done
[ -n "$python" ] || found=$there
[ -n "$python" ] || vain none 0

# What is left of a try that was cut off is of no use.
rm -rf "$at/venv"
"$python" -I -m venv "$at/venv" </dev/null || vain venv $?
if [ -s list ]; then
	"$at/venv/bin/python" -I -m pip --disable-pip-version-check --no-input install --no-cache-dir --requirement list </dev/null || vain pip $?
fi
! command -v sync >/dev/null || sync
echo whole >"$at/.made" && mv "$at/.made" "$at/made" || vain venv 1
