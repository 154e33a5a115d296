# Read by the other scripts here: where Ostler and its configuration are, as Apache's zkEnv.sh says it.
#
# OSTLER        the binary; else beside these scripts, in ../target/release, or on the path
# ZOOCFGDIR     where zoo.cfg is; else ../conf, else ../etc/zookeeper. `--config DIR` as first arguments says it too
# ZOOCFG        the name of the file, or a path
# Heap sizes, JMX and other settings of a JVM are taken and have no meaning here.

ZOOBINDIR="${ZOOBINDIR:-$(cd "$(dirname "$0")" && pwd)}"
ZOOKEEPER_PREFIX="$(cd "${ZOOBINDIR}/.." && pwd)"

if [ "$1" = "--config" ]; then
    if [ $# -lt 2 ]; then
        echo "Usage: $(basename "$0") [--config <conf-dir>] ..." >&2
        exit 1
    fi
    ZOOCFGDIR="$2"
    ZOO_SHIFT=2
else
    ZOO_SHIFT=0
fi

if [ -z "$ZOOCFGDIR" ]; then
    if [ -e "${ZOOKEEPER_PREFIX}/conf" ]; then
        ZOOCFGDIR="${ZOOKEEPER_PREFIX}/conf"
    else
        ZOOCFGDIR="${ZOOKEEPER_PREFIX}/etc/zookeeper"
    fi
fi

if [ -f "${ZOOCFGDIR}/zookeeper-env.sh" ]; then
    . "${ZOOCFGDIR}/zookeeper-env.sh"
fi
if [ -f "${ZOOCFGDIR}/java.env" ]; then
    . "${ZOOCFGDIR}/java.env"
fi

ZOOCFG="${ZOOCFG:-zoo.cfg}"
ZOO_LOG_DIR="${ZOO_LOG_DIR:-${ZOOKEEPER_PREFIX}/logs}"

if [ -z "$OSTLER" ]; then
    if [ -x "${ZOOBINDIR}/ostler" ]; then
        OSTLER="${ZOOBINDIR}/ostler"
    elif [ -x "${ZOOKEEPER_PREFIX}/target/release/ostler" ]; then
        OSTLER="${ZOOKEEPER_PREFIX}/target/release/ostler"
    elif command -v ostler > /dev/null 2>&1; then
        OSTLER="$(command -v ostler)"
    else
        echo "there is no Ostler binary in ${ZOOBINDIR}, in ${ZOOKEEPER_PREFIX}/target/release or on the path" >&2
        echo "hint: cargo build --release, or set OSTLER to its place" >&2
        exit 1
    fi
fi
export OSTLER ZOOCFGDIR ZOO_LOG_DIR
