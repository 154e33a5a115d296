#!/bin/sh
# Apache's shell, without a JVM: the same arguments, the same output, the same exit codes.
#   zkCli.sh [-server HOST:PORT[,...][/chroot]] [-timeout MS] [-r] [-waitforconnection] [CMD ARGS...]
# OSTLER_ZKCLI_PLAIN=1: no prompt and no echo when lines come through a pipe.

ZOOBIN="$(readlink -f "$0" 2> /dev/null || echo "$0")"
ZOOBINDIR="$(cd "$(dirname "$ZOOBIN")" && pwd)"
. "${ZOOBINDIR}/zkEnv.sh"
shift "$ZOO_SHIFT"

exec "$OSTLER" zkcli "$@"
