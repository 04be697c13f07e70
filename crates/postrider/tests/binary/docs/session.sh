# What a session of the documentation's tests begins with. `dev`, `serve` and `sim`, which a reader runs in a terminal of
# their own, are started in the background and are there when the command returns; started again, the one before is
# stopped first, as with Ctrl-C.
set -eE -o pipefail
trap 'echo "exit code $? of: $BASH_COMMAND" >&2' ERR

postrider() {
  case "${1-}" in
    dev | serve | sim)
      case " $* " in
        *" --help "* | *" --print-"*) command postrider "$@" ;;
        *) in_another_terminal "$@" ;;
      esac
      ;;
    *) command postrider "$@" ;;
  esac
}

# What `make run` does once it has built the program.
make() {
  [ "$*" = run ]
  postrider dev
}

in_another_terminal() {
  local kind=$1 mark data=postrider-data log="$RUN/$1.log" given=" $* " pid previous=
  stop_terminal "$kind"
  case "$kind" in
    dev)
      mark='Messages of the sandbox:'
      case "$given" in *" --listen "*) ;; *) set -- "$@" --listen "$AT:$PORT_8080" ;; esac
      case "$given" in *" --metrics-listen "*) ;; *) set -- "$@" --metrics-listen "$AT:$PORT_9090" ;; esac
      for argument in "$@"; do
        [ "$previous" != --data ] || data=$argument
        previous=$argument
      done
      rm -f "$data/demo.json"
      ;;
    serve) mark='APIs listening' ;;
    sim)
      mark='SMPP on'
      case "$given" in *" --listen "*) ;; *) set -- "$@" --listen "$AT:$PORT_2775" ;; esac
      case "$given" in *" --control "*) ;; *) set -- "$@" --control "$AT:$PORT_2780" ;; esac
      ;;
  esac
  : >"$log"
  command postrider "$@" >>"$log" 2>&1 </dev/null &
  pid=$!
  eval "pid_$kind=$pid"
  until grep -q "$mark" "$log" && { [ "$kind" != dev ] || [ -s "$data/demo.json" ]; }; do
    kill -0 "$pid" 2>/dev/null || {
      cat "$log" >&2
      wait "$pid"
      return 1
    }
    sleep 0.02
  done
}

stop_terminal() {
  local pid
  eval "pid=\${pid_$1-}"
  [ -n "$pid" ] || return 0
  eval "pid_$1="
  kill -TERM "$pid"
  wait "$pid"
}
