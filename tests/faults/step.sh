#!/bin/bash
# One step of a storm: it says in the witness that it starts and that it ends, and in between does what KIND asks.
#   step.sh WITNESS ID NAME STEP KIND SECONDS
# What it leaves behind carries the witness's path as its name, so that the harness finds it whatever it does to its
# session and its environment; and it holds the lock of the task's id, so that a run which meets it says so.
witness=$1 id=$2 name=$3 step=$4 kind=$5 seconds=$6
linger='exec -a "$0" sleep "$1"'

say() { printf '%s %s %s\n' "$1" "$name" "$step" >>"$witness"; }
rest() { bash -c "$linger" "$witness" "$seconds"; }

exec 9>"$witness.locks/$id"
flock -n 9 || say overlap
say start
case $kind in
  quick) ;;
  slow) rest ;;
  loud) printf '%300000s' x ;;
  group) bash -c "$linger" "$witness" 1000 & ;;
  session) setsid bash -c "$linger" "$witness" 1000 & rest ;;
  double_fork) (setsid bash -c "(trap '' HUP TERM; $linger) & disown" "$witness" 1000 &) ; rest ;;
  bare) env -i /usr/bin/setsid /bin/bash -c "$linger" "$witness" 1000 </dev/null >/dev/null 2>&1 & rest ;;
esac
say end
