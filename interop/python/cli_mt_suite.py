"""Debian's cli_mt, the shell of the C client, against the server. usage: cli_mt_suite.py HOST:PORT

It reads commands from stdin and prints the answers of its asynchronous calls on stdout and stderr, its log included."""
import queue
import re
import subprocess
import sys
import threading
import time
import uuid

from checks import check, run_all

BINARY = "/usr/lib/zookeeper/bin/cli_mt"


class Cli:
    """A running cli_mt with a fresh root. `says` sends a line and waits for a text in what it prints."""

    def __init__(self, at):
        self.p = subprocess.Popen([BINARY, at], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.lines, self.text = queue.Queue(), ""
        threading.Thread(target=lambda: [self.lines.put(line) for line in self.p.stdout], daemon=True).start()
        self.wait("Watcher SESSION_EVENT state = CONNECTED_STATE")
        self.root = "/mt-" + uuid.uuid4().hex[:10]
        self.says("create %s" % self.root, "rc = 0", "name = " + self.root)

    def wait(self, pattern):
        end = time.monotonic() + 60
        while not (m := re.search(pattern, self.text)):
            try:
                self.text += self.lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError("no %r within 60 s in %r" % (pattern, self.text[-600:])) from None
        self.text = self.text[m.end():]
        return m

    def says(self, line, *patterns):
        self.text = ""
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        return [self.wait(p) for p in patterns]

    def exists(self, path):
        """Sets a watch; `exists` prints nothing for a node that is there, so an answer to something else is awaited."""
        self.says("exists " + path)
        self.says("sync " + path, "name = %s\n" % path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.p.stdin.write("quit\n")
            self.p.stdin.close()
            self.p.wait(60)
        finally:
            self.p.kill()


@check
def create_in_all_its_forms(at):
    with Cli(at) as c:
        p = c.root
        c.says("create +e %s/e" % p, "rc = 0", "name = %s/e\n" % p)
        c.says("create +s %s/s" % p, "rc = 0", "name = %s/s0000000001\n" % p)
        c.says("create +es %s/es" % p, "rc = 0", "name = %s/es0000000002\n" % p)
        c.says("create +c %s/c" % p, "rc = 0", "name = %s/c\n" % p)
        c.says("create +t=600000 %s/t" % p, "rc = 0", "name = %s/t\n" % p)
        c.says("create2 %s/two" % p, "rc = 0", "name = %s/two\n" % p, "ephemeralOwner = 0")
        c.says("acreate %s/async" % p, "rc = 0")
        c.says("create %s/e" % p, "rc = -110")
        c.says("create %s/none/x" % p, "rc = -101")


@check
def get_set_and_versions(at):
    with Cli(at) as c:
        p = c.root
        c.says("get %s" % p, "rc = 0", "value_len = 3\nnew\n", "version=0")
        c.says("set %s hello" % p, "rc = 0", "version=1")
        c.says("aget %s" % p, "rc = 0", "value_len = 5\nhello\n", "version=1")
        c.says("get %s/none" % p, "rc = -101")
        c.says("set %s/none x" % p, "rc = -101")


@check
def lists(at):
    with Cli(at) as c:
        p = c.root
        c.says("create %s/kid" % p, "rc = 0")
        c.says("ls %s" % p, "%s: rc = 0\n\tkid\n" % p)
        c.says("ls2 %s" % p, "%s: rc = 0\n\tkid\n" % p, "czxid=")
        c.says("ls %s/none" % p, "rc = -101")


@check
def watches(at):
    with Cli(at) as c:
        p = c.root
        c.says("get %s" % p, "rc = 0")
        c.says("set %s x" % p, "Watcher CHANGED_EVENT state = CONNECTED_STATE for path %s\n" % p)
        c.says("wexists %s/later" % p, "Error -101")
        c.says("create %s/later" % p, "Watcher CREATED_EVENT state = CONNECTED_STATE for path %s/later\n" % p)
        c.says("ls %s" % p, "rc = 0")
        c.says("delete %s/later" % p, "Watcher CHILD_EVENT state = CONNECTED_STATE for path %s\n" % p)
        c.exists(p)
        c.says("delete %s" % p, "Watcher DELETED_EVENT state = CONNECTED_STATE for path %s\n" % p)


@check
def delete(at):
    with Cli(at) as c:
        p = c.root
        c.says("create %s/kid" % p, "rc = 0")
        c.says("delete %s" % p, "rc = -111")
        c.says("delete %s/kid" % p, "rc = 0")
        c.says("delete %s/kid" % p, "rc = -101")
        c.says("adelete %s" % p, "rc = 0")


@check
def sync_auth_config_and_session(at):
    with Cli(at) as c:
        p = c.root
        c.says("sync %s" % p, "rc = 0", "name = %s\n" % p)
        c.says("addauth digest someone:secret")
        c.says("config", "/zookeeper/config: rc = 0", "value_len = 0")
        c.says("reconfig -add server.9=h:1:2;3", "rc = -123")
        c.exists(p)


@check
def ephemerals_go_with_quit(at):
    with Cli(at) as watcher:
        with Cli(at) as owner:
            owner.says("create +e %s/e" % watcher.root, "rc = 0")
            watcher.exists(watcher.root + "/e")
        watcher.wait("Watcher DELETED_EVENT state = CONNECTED_STATE for path %s/e\n" % watcher.root)


if __name__ == "__main__":
    sys.exit(run_all(sys.argv[1]))
