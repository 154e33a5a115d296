"""Apache's own shell, org.apache.zookeeper.ZooKeeperMain, against the server: one command per process, and with
commands through a pipe. The same checks hold for our zkCli.sh if its path is given (shell_suite.py).
usage: zkcli_suite.py HOST:PORT CLASSPATH [ZKCLI.SH]"""
import base64
import hashlib
import os
import queue
import re
import subprocess
import sys
import threading
import time
import uuid

from checks import check, equal, eventually, run_all, that

CLASSPATH = sys.argv[2]
# What is run in place of Apache's shell.
OURS = sys.argv[3] if len(sys.argv) > 3 else None
MAIN = "org.apache.zookeeper.ZooKeeperMain"
STAT = re.compile(r"cZxid = 0x[0-9a-f]+\nctime = .+\nmZxid = 0x[0-9a-f]+\nmtime = .+\npZxid = 0x[0-9a-f]+\ncversion = -?\d+\n"
                  r"dataVersion = -?\d+\naclVersion = -?\d+\nephemeralOwner = 0x[0-9a-f]+\ndataLength = \d+\nnumChildren = \d+\n?$")


def java(classpath, *args):
    return ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", classpath, MAIN, *args]


def shell(*args):
    """The command of a shell, with its prompt."""
    return [OURS, *args] if OURS else java(CLASSPATH, *args)


def plain_shell(*args):
    """The command of a shell without prompt and echo, and its environment."""
    return ([OURS, *args], dict(os.environ, OSTLER_ZKCLI_PLAIN="1")) if OURS else (java(without_jline(), *args), None)


def one_shot(at, *command, options=()):
    """(exit code, stdout without the first lines, stderr) of one command in a process of its own."""
    r = subprocess.run(shell("-server", at, "-waitforconnection", *options, *command), capture_output=True, text=True, timeout=180, check=False)
    out = re.sub(r"^Connecting to .*\n", "", r.stdout)
    return r.returncode, out.replace("\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null zxid: -1\n", ""), r.stderr


def without_jline():
    """The class path with every jar but jline's: no prompt and no echo, as with a shell that cannot load it."""
    folder = CLASSPATH.rstrip("*")
    return os.pathsep.join(folder + f for f in sorted(os.listdir(folder)) if f.endswith(".jar") and not f.startswith("jline"))


class Shell:
    """A shell that reads commands from a pipe. `run` gives what one command printed, stdout and stderr together."""

    MARK = re.compile(r"printwatches is (?:on|off)\n")

    def __init__(self, at):
        command, env = plain_shell("-server", at, "-waitforconnection")
        self.p = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.text, self.more = "", queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._send("printwatches")
        head = self._until_mark()
        that(head.startswith("Connecting to " + at + "\n") and "Welcome to ZooKeeper!\nJLine support is disabled\n" in head, "unexpected greeting %r" % head)

    def _read(self):
        for line in self.p.stdout:
            self.more.put(line)
        self.more.put(None)

    def _send(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()

    def _until(self, pattern):
        end = time.monotonic() + 90
        while not (m := re.search(pattern, self.text)):
            try:
                line = self.more.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError("no %r within 90 s in %r" % (pattern, self.text)) from None
            that(line is not None, "the shell ended; its text: %r" % self.text)
            self.text += line
        head, self.text = self.text[:m.start()], self.text[m.end():]
        return head

    def _until_mark(self):
        return self._until(self.MARK)

    def run(self, line):
        """What the command prints, without events."""
        self._send(line)
        self._send("printwatches")
        # Events are printed by another thread: their two messages may have a command's line between them.
        return re.sub(r"\n(?:WATCHER::|WatchedEvent .*)\n", "", self._until_mark())

    def event(self, line, kind, path):
        """Runs a command that brings this event."""
        self._send(line)
        self._until(r"WatchedEvent state:SyncConnected type:%s path:%s zxid: \d+\n" % (kind, re.escape(path)))

    def end(self, expected=0):
        """End of input; the exit code is that of the last command."""
        self.p.stdin.close()
        equal(expected, self.p.wait(60))


class Opened:
    """`with Opened(at) as (shell, path)`: a shell and a fresh root."""

    def __init__(self, at):
        self.shell, self.root = Shell(at), "/cli-" + uuid.uuid4().hex[:12]

    def __enter__(self):
        equal("Created %s\n" % self.root, self.shell.run("create " + self.root))
        return self.shell, self.root

    def __exit__(self, kind, *_):
        self.shell.p.stdin.close()
        if kind:
            self.shell.p.kill()
        self.shell.p.wait(60)


# --- one command per process -----------------------------------------------------------------------------------

@check
def one_shot_create_get_set_ls_delete(at):
    p = "/once-" + uuid.uuid4().hex[:8]
    equal((0, "", "Created %s\n" % p), one_shot(at, "create", p, "two words"))
    equal((0, "two words\n", ""), one_shot(at, "get", p))
    equal((0, "", ""), one_shot(at, "set", p, "new"))
    code, out, _ = one_shot(at, "ls", "/")
    that(code == 0 and p[1:] in out and "zookeeper" in out, "ls printed %r" % out)
    equal((0, "", ""), one_shot(at, "delete", p))


@check
def one_shot_errors_and_exit_codes(at):
    equal((1, "", "Node does not exist: /not-there\n"), one_shot(at, "get", "/not-there"))
    code, _, err = one_shot(at, "nonsense")
    that(code == 127 and "Command not found: Command not found nonsense" in err, "code %d, %r" % (code, err))
    code, _, err = one_shot(at, "get")
    that(code == 1 and err.startswith("get [-s] [-w]"), "code %d, %r" % (code, err))


@check
def one_shot_ephemeral_outlives_the_process(at):
    p = "/once-" + uuid.uuid4().hex[:8]
    equal(0, one_shot(at, "create", "-e", p, options=("-timeout", "8000"))[0])
    code, out, _ = one_shot(at, "stat", p)
    that(code == 0 and not re.search("ephemeralOwner = 0x0\n", out), "stat printed %r" % out)
    eventually("the session expires", lambda: one_shot(at, "get", p)[0] == 1, 120)


@check
def one_shot_with_a_chroot(at):
    p = "/once-" + uuid.uuid4().hex[:8]
    equal(0, one_shot(at, "create", p)[0])
    equal(0, one_shot(at + p, "create", "/inside", "x")[0])
    equal((0, "x\n", ""), one_shot(at, "get", p + "/inside"))


@check
def prompt_and_echo_with_jline(at):
    r = subprocess.run(shell("-server", at, "-waitforconnection"), input="ls /zookeeper\nquit\n", capture_output=True, text=True, timeout=180, check=False)
    that("JLine support is enabled" in r.stdout, "no JLine: %r" % r.stdout)
    that("[zk: %s(CONNECTED) 0] ls /zookeeper\n[config, quota]\n[zk: %s(CONNECTED) 1] quit" % (at, at) in r.stdout, "unexpected %r" % r.stdout)


# --- through a pipe ----------------------------------------------------------------------------------------------

@check
def create_in_all_its_forms(at):
    with Opened(at) as (sh, p):
        equal("Created %s/a\n" % p, sh.run("create %s/a data" % p))
        equal("Created %s/s-0000000001\n" % p, sh.run("create -s %s/s-" % p))
        equal("Created %s/e\n" % p, sh.run("create -e %s/e" % p))
        equal("Created %s/es0000000003\n" % p, sh.run("create -s -e %s/es x" % p))
        equal("Created %s/c\n" % p, sh.run("create -c %s/c" % p))
        equal("Created %s/t\n" % p, sh.run("create -t 600000 %s/t" % p))
        equal("Created %s/acl\n" % p, sh.run("create %s/acl data world:anyone:r" % p))
        equal("[a, acl, c, e, es0000000003, s-0000000001, t]\n", sh.run("ls %s" % p))
        equal("null\n", sh.run("get %s/c" % p))
        that("Containers cannot be ephemeral or sequential" in sh.run("create -c -e %s/x" % p), "-c -e")
        equal("Node already exists: %s/a\n" % p, sh.run("create %s/a" % p))
        equal("Node does not exist: %s/none/x\n" % p, sh.run("create %s/none/x" % p))
        equal("Ephemerals cannot have children: %s/e/x\n" % p, sh.run("create %s/e/x" % p))
        equal("Insufficient permission : %s/acl/x\n" % p, sh.run("create %s/acl/x" % p))


@check
def get_and_stat(at):
    with Opened(at) as (sh, p):
        sh.run("create %s/a hello" % p)
        equal("hello\n", sh.run("get %s/a" % p))
        out = sh.run("get -s %s/a" % p)
        that(out.startswith("hello\n") and STAT.match(out[6:]), "get -s printed %r" % out)
        equal("aGVsbG8=\n", sh.run("get -b %s/a" % p))
        that("68 65 6c 6c 6f" in sh.run("get -x %s/a" % p), "get -x")
        out = sh.run("stat %s/a" % p)
        that(STAT.match(out) and "dataLength = 5\n" in out, "stat printed %r" % out)
        equal("Node does not exist: %s/none\n" % p, sh.run("stat %s/none" % p))
        equal('Path must start with / character\n', sh.run("get relative")[-len("Path must start with / character\n"):])
        that("Invalid path string" in sh.run("get %s//x" % p), "a bad path")


@check
def set_and_delete_with_versions(at):
    with Opened(at) as (sh, p):
        sh.run("create %s/a 0" % p)
        equal("", sh.run("set %s/a 1" % p))
        out = sh.run("set -s -v 1 %s/a 2" % p)
        that(STAT.match(out) and "dataVersion = 2\n" in out, "set -s printed %r" % out)
        equal("version No is not valid : %s/a\n" % p, sh.run("set -v 1 %s/a 3" % p))
        equal("", sh.run("set -b %s/a aGVsbG8=" % p))
        equal("hello\n", sh.run("get %s/a" % p))
        equal("version No is not valid : %s/a\n" % p, sh.run("delete -v 9 %s/a" % p))
        sh.run("create %s/a/b" % p)
        equal("Node not empty: %s/a\n" % p, sh.run("delete %s/a" % p))
        equal("", sh.run("delete %s/a/b" % p))
        equal("", sh.run("delete -v 3 %s/a" % p))
        equal("Node does not exist: %s/a\n" % p, sh.run("delete %s/a" % p))


@check
def ls_and_counts(at):
    with Opened(at) as (sh, p):
        for n in ("b", "a", "a/x", "a/x/y"):
            sh.run("create %s/%s" % (p, n))
        equal("[a, b]\n", sh.run("ls %s" % p))
        equal("[]\n", sh.run("ls %s/b" % p))
        out = sh.run("ls -s %s" % p)
        that(out.startswith("[a, b]\n") and STAT.match(out[7:]), "ls -s printed %r" % out)
        equal("%s\n%s/a\n%s/b\n%s/a/x\n%s/a/x/y\n" % (p, p, p, p, p), "".join(sorted(sh.run("ls -R %s" % p).splitlines(True), key=lambda s: (s.count("/"), s))))
        equal("4\n", sh.run("getAllChildrenNumber %s" % p))
        equal("[]\n", sh.run("getEphemerals"))
        sh.run("create -e %s/e" % p)
        equal("[%s/e]\n" % p, sh.run("getEphemerals %s" % p))
        equal("[]\n", sh.run("getEphemerals %s/other" % p))
        equal("Node does not exist: %s/none\n" % p, sh.run("ls %s/none" % p))


@check
def deleteall(at):
    with Opened(at) as (sh, p):
        for i in range(30):
            sh._send("create %s/d%d" % (p, i))
        sh.run("create %s/d0/deep" % p)
        equal("", sh.run("deleteall %s -b 7" % p))
        equal("Node does not exist: %s\n" % p, sh.run("ls %s" % p))


@check
def acls(at):
    with Opened(at) as (sh, p):
        equal("'world,'anyone\n: cdrwa\n", sh.run("getAcl %s" % p))
        out = sh.run("setAcl -s %s world:anyone:rwa" % p)
        that(STAT.match(out) and "aclVersion = 1\n" in out, "setAcl -s printed %r" % out)
        equal("'world,'anyone\n: rwa\n", sh.run("getAcl %s" % p))
        equal("version No is not valid : %s\n" % p, sh.run("setAcl -v 0 %s world:anyone:r" % p))
        equal("Insufficient permission : %s/a\n" % p, sh.run("create %s/a" % p))
        equal("Acl is not valid : %s\n" % p, sh.run("setAcl %s nothing:x:r" % p))
        equal("", sh.run("setAcl %s world:anyone:cdrwa" % p))
        sh.run("create %s/a" % p)
        equal("", sh.run("setAcl -R %s world:anyone:cdrwa,ip:10.0.0.0/8:r" % p))
        equal("'world,'anyone\n: cdrwa\n'ip,'10.0.0.0/8\n: r\n", sh.run("getAcl %s/a" % p))
        that(sh.run("getAcl -s %s" % p).count("\n") == 15, "getAcl -s")


@check
def addauth_and_whoami(at):
    with Opened(at) as (sh, p):
        equal("Auth scheme: User\nip: 127.0.0.1\n", sh.run("whoami"))
        equal("", sh.run("addauth digest joe:pw"))
        equal(["Auth scheme: User", "digest: joe", "ip: 127.0.0.1"], sorted(sh.run("whoami").splitlines()))
        equal("Created %s/mine\n" % p, sh.run("create %s/mine data auth::cdrwa" % p))
        hashed = base64.b64encode(hashlib.sha1(b"joe:pw").digest()).decode()
        equal("'digest,'joe:%s\n: cdrwa\n" % hashed, sh.run("getAcl %s/mine" % p))
        equal((1, "", "Insufficient permission : %s/mine\n" % p), one_shot(at, "get", p + "/mine"))


@check
def quotas(at):
    with Opened(at) as (sh, p):
        q = p + "/q"
        sh.run("create %s" % q)
        that("quota for %s does not exist." % q in sh.run("listquota %s" % q), "listquota without a quota")
        equal("", sh.run("setquota -N 3 %s" % q))
        out = sh.run("listquota %s" % q)
        that("absolute path is /zookeeper/quota%s/zookeeper_limits" % q in out, "listquota printed %r" % out)
        that("Output quota for %s count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3\n" % q in out and "Output stat for %s count=1,bytes=0\n" % q in out, "listquota printed %r" % out)
        sh.run("create %s/1" % q)
        sh.run("create %s/2" % q)
        equal("Quota has exceeded : %s/3\n" % q, sh.run("create %s/3" % q))
        equal("", sh.run("setquota -B 10 %s" % q))
        equal("Quota has exceeded : %s\n" % q, sh.run("set %s 12345678901" % q))
        equal("", sh.run("set %s 1234567890" % q))
        that("count=3,bytes=10" in sh.run("listquota %s" % q), "the bytes are not counted")
        that("has a parent" in sh.run("setquota -n 5 %s/1" % q), "nested quotas")
        equal("", sh.run("delquota -N %s" % q))
        equal("Created %s/3\n" % q, sh.run("create %s/3" % q))
        equal("", sh.run("delquota %s" % q))
        that("does not exist" in sh.run("listquota %s" % q), "listquota after delquota")


@check
def watches_print_events(at):
    with Opened(at) as (sh, p):
        sh.run("create %s/a 1" % p)
        sh.run("get -w %s/a" % p)
        sh.event("set %s/a 2" % p, "NodeDataChanged", p + "/a")
        sh.run("ls -w %s" % p)
        sh.event("create %s/b" % p, "NodeChildrenChanged", p)
        sh.run("stat -w %s/b" % p)
        sh.event("delete %s/b" % p, "NodeDeleted", p + "/b")
        equal("", sh.run("addWatch %s" % p))
        sh.event("create %s/a/deep" % p, "NodeCreated", p + "/a/deep")
        sh.event("set %s/a/deep x" % p, "NodeDataChanged", p + "/a/deep")
        sh.run("removewatches %s" % p)
        equal("", sh.run("addWatch -m PERSISTENT %s/a" % p))
        sh.event("create %s/a/x" % p, "NodeChildrenChanged", p + "/a")
        that("No such watcher" in sh.run("removewatches %s/a/deep -d" % p), "removing a watch that is not there")


@check
def printwatches_off(at):
    with Opened(at) as (sh, p):
        sh.run("printwatches off")
        sh.run("get -w %s" % p)
        equal("", sh.run("set %s x" % p))
        that("WATCHER" not in sh.text, "an event was printed")


@check
def sync_version_config_reconfig(at):
    with Opened(at) as (sh, p):
        equal("Sync is OK\n", sh.run("sync %s" % p))
        that(sh.run("version").startswith("ZooKeeper CLI version: 3.9.3"), "version")
        equal("\n", sh.run("config"))
        that("Reconfig is disabled" in (out := sh.run("reconfig -add server.9=h:1:2:participant;3")) or "KeeperErrorCode" in out, "reconfig printed %r" % out)


@check
def history_and_redo(at):
    sh = Shell(at)
    p = "/cli-" + uuid.uuid4().hex[:12]
    sh.run("create -s %s-" % p)
    that("create -s %s-" % p in sh.run("history"), "history")
    that(re.match(r"Created %s-\d+\n" % p, sh.run("redo 1")), "redo")
    equal("Command index out of range\n", sh.run("redo 99"))
    sh.end()


@check
def close_and_connect(at):
    with Opened(at) as (sh, p):
        sh.run("create -e %s/e" % p)
        sh.run("close")
        that("Not connected" in sh.run("ls /"), "a command after close")
        sh.run("connect %s" % at)
        end = time.monotonic() + 60
        while (out := sh.run("ls %s" % p)) != "[]\n":
            that(time.monotonic() < end, "after connect: %r" % out)
            time.sleep(0.1)


@check
def exit_code_of_the_last_command(at):
    sh = Shell(at)
    sh._send("ls /not-there")
    sh.end(1)
    sh = Shell(at)
    sh._send("ls /")
    sh.end(0)


if __name__ == "__main__":
    sys.exit(run_all(sys.argv[1]))
