"""Start and stop the servers under test, Apache ZooKeeper 3.9.3 and Ostler, from the same zoo.cfg.

Both kinds take a directory, a port and zoo.cfg properties, so a test names its server once and runs against
either. Nothing is shared between tests: each server has its own directory, which holds `zoo.cfg`, `server.log`,
`server.pid` and `data/`. Standard library only. Used by interop/run, interop/apache, wire/replay.py, storage/.
"""
import os
import random
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(HERE, ".cache")
JAVA_LIB = os.path.join(CACHE, "java", "lib")
APACHE_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"

# What every test server has; properties of the test come after and win. `forceSync` is left at its default (fsync on).
BASE = {
    "tickTime": "2000",
    "maxClientCnxns": "0",
    "admin.enableServer": "false",
    "4lw.commands.whitelist": "*",
}


class Failed(Exception):
    """A server that could not be started or stopped; the text says what to look at."""


def apache_classpath():
    """Jars of Apache 3.9.3, its run-time dependencies and Curator, as one -cp value."""
    if not os.path.exists(os.path.join(JAVA_LIB, "zookeeper-3.9.3.jar")):
        raise Failed("Apache ZooKeeper is not installed in %s\n  hint: run interop/install" % JAVA_LIB)
    return os.path.join(JAVA_LIB, "*")


def ostler_binary():
    """$OSTLER, else target/release/ostler of this checkout."""
    path = os.environ.get("OSTLER") or os.path.join(HERE, "..", "target", "release", "ostler")
    if not os.access(path, os.X_OK):
        raise Failed("there is no Ostler binary at %s\n  hint: cargo build --release, or set OSTLER" % path)
    return os.path.abspath(path)


# What free_port gave out: those who asked may listen only later.
GIVEN = set()


def free_port():
    """A port nobody listens on at this moment, each once. Not one that the system gives to outgoing connections: a client of another
    suite could have it before the server is up."""
    while True:
        port = random.randrange(12_000, 32_000)
        if port in GIVEN:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                GIVEN.add(port)
                return port
            except OSError:
                pass


def four_letters(port, word, timeout=2.0):
    """The answer to a four-letter word, "" if there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as s:
            s.sendall(word.encode())
            out = b""
            while True:
                part = s.recv(65536)
                if not part:
                    return out.decode("utf-8", "replace")
                out += part
    except OSError:
        return ""


def alive(pid):
    """Whether the process exists and is not a zombie."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Server:
    """One server process. kind is "apache" or "ostler"; properties go to zoo.cfg, system to -D arguments of both
    (for settings that Apache reads only there), jvm only to Apache's java."""

    def __init__(self, kind, directory, port=None, properties=None, jvm=(), data=None, system=None):
        if kind not in ("apache", "ostler"):
            raise Failed("no such server: %r\n  hint: apache or ostler" % kind)
        self.kind, self.dir = kind, os.path.abspath(directory)
        self.port = port or free_port()
        self.jvm = list(jvm)
        self.system = ["-D%s=%s" % kv for kv in (system or {}).items()]
        self.data = os.path.abspath(data or os.path.join(self.dir, "data"))
        self.properties = dict(BASE, **{k: str(v) for k, v in (properties or {}).items()})
        self.log = os.path.join(self.dir, "server.log")
        self.process = None
        self.pid = None

    def config(self):
        """Text of zoo.cfg."""
        rows = dict(self.properties, dataDir=self.data, clientPort=str(self.port))
        return "".join("%s=%s\n" % kv for kv in rows.items())

    def command(self):
        cfg = os.path.join(self.dir, "zoo.cfg")
        if self.kind == "ostler":
            return [ostler_binary(), *self.system, cfg]
        jvm = self.jvm or ["-Xmx1g"]
        # "Started" lines and warnings are worth having; debug output of the JVM's start is not.
        # Java 17 hashes paths in the charset of the locale; the digest of the format is over UTF-8.
        return ["java", "-Dfile.encoding=UTF-8", "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
                "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
                *jvm, *self.system, "-cp", apache_classpath(), APACHE_MAIN, cfg]

    def start(self, wait_s=180, detach=False):
        """Starts the process and returns when it serves. Raises Failed with the end of its log otherwise."""
        return self.launch(detach).wait_serving(wait_s)

    def launch(self, detach=False):
        """Starts the process. A member of an ensemble serves only when others are there: see wait_serving."""
        os.makedirs(self.dir, exist_ok=True)
        os.makedirs(self.data, exist_ok=True)
        self.write_config()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, cwd=self.dir, start_new_session=detach)
        self.pid = self.process.pid
        with open(os.path.join(self.dir, "server.pid"), "w") as f:
            f.write("%d\n" % self.pid)
        return self

    def write_config(self):
        with open(os.path.join(self.dir, "zoo.cfg"), "w") as f:
            f.write(self.config())

    def mode(self):
        """What it says it is: standalone, leader, follower, observer; "" if it serves nobody."""
        for line in four_letters(self.port, "srvr").splitlines():
            if line.startswith("Mode: "):
                return line[len("Mode: "):]
        return ""

    def wait_serving(self, wait_s=180):
        """Returns when it serves. Raises Failed with the end of its log otherwise."""
        end = time.monotonic() + wait_s
        while not self.mode():
            if self.process.poll() is not None:
                raise Failed("%s ended with code %d at start\n%s" % (self.kind, self.process.returncode, self.log_end()))
            if time.monotonic() > end:
                self.kill()
                raise Failed("%s does not serve on port %d after %d s\n%s" % (self.kind, self.port, wait_s, self.log_end()))
            time.sleep(0.05)
        return self

    def log_end(self, lines=15):
        """The last lines of the log, for messages."""
        try:
            with open(self.log, errors="replace") as f:
                text = "".join(f.readlines()[-lines:])
        except OSError as e:
            text = str(e)
        return "  the log %s ends:\n%s" % (self.log, text)

    def stop(self, sig=signal.SIGTERM, wait_s=60):
        """Asks it to end (SIGTERM), and after wait_s kills it and says so."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(sig)
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("%s (pid %d) did not end %d s after signal %d" % (self.kind, self.pid, wait_s, sig)) from None

    def kill(self):
        """kill -9."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def remove(self):
        """Kills it and deletes its directory."""
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
