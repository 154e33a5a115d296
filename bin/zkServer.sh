#!/bin/sh
# Starts, stops and asks a server, as Apache's zkServer.sh does: the same words, files and exit codes (operations.md section 7.3).
#   zkServer.sh [--config DIR] {start|start-foreground|stop|version|restart|status|print-cmd} [CFG]

ZOOBIN="$(readlink -f "$0" 2> /dev/null || echo "$0")"
ZOOBINDIR="$(cd "$(dirname "$ZOOBIN")" && pwd)"
. "${ZOOBINDIR}/zkEnv.sh"
shift "$ZOO_SHIFT"

WORD="$1"
if [ -n "$2" ]; then
    ZOOCFG="$2"
fi
case "$ZOOCFG" in
    */*) ;;
    *) ZOOCFG="${ZOOCFGDIR}/${ZOOCFG}" ;;
esac

# The last value of a key of the configuration, cut out as Apache's script does it.
setting() {
    grep "^[[:space:]]*$1" "$2" 2> /dev/null | sed -e 's/.*=//' -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//' | tail -n 1
}

say_which() {
    if [ "$JMXDISABLE" = "" ] || [ "$JMXDISABLE" = "false" ]; then
        echo "ZooKeeper JMX enabled by default" >&2
    else
        echo "JMX disabled by user request" >&2
    fi
    echo "Using config: $ZOOCFG" >&2
}

if [ "$WORD" != "version" ] && [ "$WORD" != "" ]; then
    say_which
fi

DATADIR="$(setting dataDir "$ZOOCFG")"
ZOOPIDFILE="${ZOOPIDFILE:-${DATADIR}/zookeeper_server.pid}"
OUTPUT="${ZOO_LOG_DIR}/zookeeper-${USER:-$(id -un)}-server-$(hostname).out"

is_alive() {
    kill -0 "$1" > /dev/null 2>&1
}

start() {
    printf 'Starting zookeeper ... '
    if [ -f "$ZOOPIDFILE" ] && is_alive "$(cat "$ZOOPIDFILE")"; then
        echo "already running as process $(cat "$ZOOPIDFILE")."
        exit 1
    fi
    mkdir -p "$ZOO_LOG_DIR"
    # shellcheck disable=SC2086 -- the variable holds several words
    nohup "$OSTLER" $ZOO_ARGS "$ZOOCFG" > "$OUTPUT" 2>&1 < /dev/null &
    PID=$!
    mkdir -p "$(dirname "$ZOOPIDFILE")" 2> /dev/null
    if ! printf '%s' "$PID" > "$ZOOPIDFILE"; then
        echo FAILED TO WRITE PID
        exit 1
    fi
    sleep 1
    if is_alive "$PID"; then
        echo STARTED
    else
        echo FAILED TO START
        tail -n 4 "$OUTPUT" >&2
        exit 1
    fi
}

stop() {
    printf 'Stopping zookeeper ... '
    if [ ! -f "$ZOOPIDFILE" ]; then
        echo "no zookeeper to stop (could not find file $ZOOPIDFILE)"
        return
    fi
    PID="$(cat "$ZOOPIDFILE")"
    kill "$PID" 2> /dev/null
    rm -f "$ZOOPIDFILE"
    sleep 1
    echo STOPPED
}

# Where clients connect: of zoo.cfg, else of the own server line, there or in the dynamic file.
find_client() {
    ADDRESS="$(setting 'clientPortAddress[^[:alpha:]]' "$ZOOCFG")"
    PORT="$(setting 'clientPort[^[:alpha:]]' "$ZOOCFG")"
    SSL=false
    if [ -z "$PORT" ]; then
        ID="$(cat "${DATADIR}/myid" 2> /dev/null)"
        DYNAMIC="$(setting dynamicConfigFile "$ZOOCFG")"
        LINE="$(cat "$ZOOCFG" "${DYNAMIC:-/dev/null}" 2> /dev/null | grep "^[[:space:]]*server\.${ID}[^0-9]" | tail -n 1)"
        case "$LINE" in
            *\;*)
                CLIENT="${LINE##*;}"
                PORT="${CLIENT##*:}"
                [ "$CLIENT" = "$PORT" ] || ADDRESS="${CLIENT%:*}"
                ;;
        esac
    fi
    if [ -z "$PORT" ]; then
        PORT="$(setting secureClientPort "$ZOOCFG")"
        ADDRESS="$(setting secureClientPortAddress "$ZOOCFG")"
        [ -n "$PORT" ] && SSL=true
    fi
    case "$ADDRESS" in
        "" | 0.0.0.0 | ::) ADDRESS=localhost ;;
    esac
}

status() {
    find_client
    if [ -z "$PORT" ]; then
        echo "Client port not found in the server configs. It is looking for clientPort, secureClientPort, or server.N=...;PORT." >&2
        exit 1
    fi
    echo "Client port found: $PORT. Client address: $ADDRESS. Client SSL: $SSL."
    MODE="$("$OSTLER" word srvr --server "$ADDRESS:$PORT" 2> /dev/null | grep '^Mode:')"
    if [ -n "$MODE" ]; then
        echo "$MODE"
    else
        echo "Error contacting service. It is probably not running."
        exit 1
    fi
}

case "$WORD" in
    start) start ;;
    start-foreground)
        # shellcheck disable=SC2086 -- the variable holds several words
        if [ -n "$ZOO_NOEXEC" ]; then
            "$OSTLER" $ZOO_ARGS "$ZOOCFG"
        else
            exec "$OSTLER" $ZOO_ARGS "$ZOOCFG"
        fi
        ;;
    print-cmd) echo "\"$OSTLER\" $ZOO_ARGS \"$ZOOCFG\" > \"$OUTPUT\" 2>&1 < /dev/null" ;;
    stop) stop ;;
    version)
        printf 'Apache ZooKeeper, version 3.9.3-ostler-%s 2026-11-21 00:00 UTC\n' "$("$OSTLER" --version | sed 's/.* //')"
        ;;
    restart)
        stop
        sleep 3
        start
        ;;
    status) status ;;
    *) echo "Usage: $0 [--config <conf-dir>] {start|start-foreground|stop|version|restart|status|print-cmd}" >&2 ;;
esac
