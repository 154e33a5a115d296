"""Our zkCli.sh in place of Apache's: first every check of zkcli_suite.py, then the same lines through both shells, against
the same server, and what they print compared line by line, stdout and stderr apart.
usage: shell_suite.py HOST:PORT CLASSPATH ZKCLI.SH"""
import re
import subprocess
import sys
import uuid

import zkcli_suite
from checks import check, equal, run_all, that

# Session events come at any time: both messages of one may have a command's line between them.
EVENT = re.compile(r"\n(?:WATCHER::|WatchedEvent .*)\n")


def run(command, at, lines, options, env=None):
    """(exit code, stdout, stderr, events) of a shell whose lines these are, or of one command."""
    if isinstance(lines, str):
        command, text = [*command, "-server", at, "-waitforconnection", *options, *lines.split()], None
    else:
        command, text = [*command, "-server", at, *options], "".join(line + "\n" for line in lines)
    r = subprocess.run(command, input=text, stdin=subprocess.DEVNULL if text is None else None, capture_output=True, text=True, timeout=180, check=False, env=env)
    out = r.stdout
    events = sorted(re.findall(r"WatchedEvent .*", out))
    while EVENT.search(out):
        out = EVENT.sub("", out)
    return r.returncode, out, r.stderr, events


def masked(text, root):
    """What differs from run to run replaced by words."""
    if isinstance(text, list):
        return [masked(line, root) for line in text]
    text = text.replace(root, "ROOT")
    for pattern, word in ((r"Zxid = 0x[0-9a-f]+", "Zxid = Z"), (r"time = .*", "time = T"), (r"zxid: \d+", "zxid: N"),
                          (r"ephemeralOwner = 0x[1-9a-f][0-9a-f]*", "ephemeralOwner = SESSION"), (r"(CLI version: 3\.9\.3-).*", r"\1V")):
        text = re.sub(pattern, word, text)
    return text


def twins(at, lines, options=("-waitforconnection",), suffix="", prompt=False):
    """Both shells do the same below a root of their own, and say the same. @ stands for the root. Without a prompt there is no
    echo either: the library that Apache's shell has for it breaks long lines."""
    found = []
    ours = [zkcli_suite.OURS]
    if prompt:
        shells = (zkcli_suite.java(zkcli_suite.CLASSPATH), None), (ours, None)
    else:
        shells = (zkcli_suite.java(zkcli_suite.without_jline()), None), zkcli_suite.plain_shell()
    for command, env in shells:
        root = "/t-" + uuid.uuid4().hex[:8]
        equal(0, subprocess.run([*ours, "-server", at, "create", root, "x"], capture_output=True, timeout=60, check=False).returncode)
        filled = lines.replace("@", root) if isinstance(lines, str) else [line.replace("@", root) for line in lines]
        code, out, err, heard = run(command, at + suffix.replace("@", root), filled, options, env)
        found.append((code, masked(out, root), masked(err, root), masked(heard, root)))
    (code, out, err, heard), (our_code, our_out, our_err, our_heard) = found
    for name, expected, got in (("stdout", out, our_out), ("stderr", err, our_err)):
        for number, (one, other) in enumerate(zip(expected.split("\n"), got.split("\n"))):
            that(one == other, "%s, line %d: Apache's shell says %r, ours %r" % (name, number + 1, one, other))
        equal(len(expected.split("\n")), len(got.split("\n")))
    equal(heard, our_heard)
    equal(code, our_code)
    return out, err


@check
def twins_create(at):
    twins(at, ["create @/a data", "create @/a", "create @/n", "create -s @/s-", "create -e @/e", "create -s -e @/es- x", "create -c @/c",
               "create -t 600000 @/t x", "create -s -t 600000 @/t- x", "create @/acl d world:anyone:r", "create @/acl/x", "create @/e/x", "create @/none/x",
               "create", "create rel", "create @/", "create -z @/x", "create -s -e -c @/x", "create -e -t 5 @/x", "create -c -t 5 @/x",
               "create -t abc @/x", "create -t", "create @/p d world:anyone:rx", "create @/q d world", "create @/a d world:anyone:r,bad",
               "create @/r d ip:a:b:r", "create @/w two words three", "create -se @/se-", "ls @"])


@check
def twins_get(at):
    twins(at, ["create @/n", "get @", "get -s @", "get @/n", "get -s @/n", "get -x @", "get -b @", "get -x @/n", "get -b @/n", "get", "get -z @", "get @/none",
               "get -bs @", "set @/n 0123456789abcdefX", "get -x @/n", "get @/none extra", "set @/n \u00e4\u20ac", "get @/n", "get -x @/n"])


@check
def twins_set_and_delete(at):
    twins(at, ["set @", "set @ b c", "set -v 99 @ b", "set -s @ b", "set -b @ aGVsbG8=", "get @", "set -v", "set @/none x", "set", "set @ -5", "get @", "delete",
               "create @/a", "create @/a/b", "delete @/a", "delete -v 7 @/a/b", "delete @/a/b 5", "delete @/a/b", "delete -v 0 @/a", "delete @/a"])


@check
def twins_ls_and_stat(at):
    twins(at, ["ls", "ls @", "create @/b", "create @/a", "create @/a/x", "create @/a/x/y", "create @/a.b", "ls @", "ls -s @", "ls -R @", "ls -z @", "ls @/none", "ls -R @/none",
               "stat", "stat @/a", "stat @/none", "getAllChildrenNumber", "getAllChildrenNumber @", "getAllChildrenNumber @/none",
               "getEphemerals @", "create -e @/e", "getEphemerals @", "create -e @/f", "getEphemerals @/e", "getEphemerals a b"])


@check
def twins_deprecated_forms(at):
    twins(at, ["get @ watch", "stat @ watch", "ls @ watch", "create @/a", "delete @/a 3", "set @ x"])


@check
def twins_deleteall(at):
    twins(at, ["deleteall", "deleteall @/none", *("create @/%d" % i for i in range(12)), "create @/3/x", "create @/3/x/y", "deleteall @/3 -b 1",
               "ls @", "deleteall -b 4 @", "ls @", "deleteall /zookeeper/config"])


@check
def twins_acls(at):
    twins(at, ["getAcl", "getAcl @/none", "getAcl -s @", "setAcl", "setAcl @", "create @/a", "create @/a/b", "setAcl @/a/b world:anyone:r", "getAcl @/a/b",
               "setAcl @/a/b world:anyone:cdrwa", "setAcl -s -v 1 @/a/b world:anyone:r", "setAcl @/a bad", "setAcl @/a foo:bar:r", "setAcl @/none world:anyone:r",
               "setAcl -v 7 @/a world:anyone:r", "setAcl -s @/a world:anyone:cdrwa,ip:10.0.0.0/8:r", "getAcl @/a", "create @/c", "create @/c/d",
               "setAcl -R @/c world:anyone:cdra", "getAcl @/c/d", "setAcl -R @/none world:anyone:r",
               "create @/z", "create @/z/a", "setAcl @/z/a world:anyone:r", "setAcl -R @/z world:anyone:cdrwa", "getAcl @/z", "setAcl -R @/z bad", "getAcl @/z",
               "setAcl -R -s @/c world:anyone:cdrwa", "getAcl @/c/d"])


@check
def twins_addauth(at):
    twins(at, ["addauth", "addauth digest joe:pw", "create @/mine x auth::cdrwa", "getAcl @/mine", "get @/mine", "whoami x"])


@check
def twins_quotas(at):
    twins(at, ["setquota", "setquota @", "create @/k", "setquota -n 5 @", "listquota @", "setquota -n 1 -b 5 @", "setquota -b 1 @", "set @/k 12345", "listquota @",
               "setquota -n 1 @", "setquota -N 2 @", "setquota -B 8 @", "listquota @", "setquota -n 5 @/k", "setquota -n 5 /", "setquota -n 5 @/none", "listquota",
               "listquota @/none", "set @/k 1234567890", "create @/k2", "delquota", "delquota -n @", "listquota @", "delquota -n -b @", "delquota @", "delquota @", "delquota -n @",
               "create @/x", "create @/x/y", "setquota -n 9 @/x/y", "setquota -n 9 @", "setquota -n 9 @/x", "delquota @/x/y", "setquota -N 1 @", "delquota @"])


@check
def twins_watches(at):
    twins(at, ["create @/a", "get -w @/a", "get -w @/a", "ls -w @", "stat -w @/none", "set @/a x", "create @/none", "addWatch", "addWatch -m FOO @", "addWatch -m PERSISTENT @/a",
               "set @/a y", "create @/a/b", "set @/a/b z", "delete @/a/b", "addWatch -m PERSISTENT_RECURSIVE @/none", "create @/none/x", "set @/none/x 1", "delete @/none/x",
               "get -w @/a", "ls -w @/a", "delete @/a", "sync @", "sync @", "printwatches off", "set @/none 2", "sync @"])


@check
def twins_removewatches(at):
    twins(at, ["removewatches", "removewatches @", "get -w @", "removewatches @ -c", "removewatches @ -d", "ls -w @", "removewatches @ -c", "addWatch -m PERSISTENT @",
               "removewatches @ -p", "get -w @", "removewatches @ -a", "addWatch -m PERSISTENT_RECURSIVE @", "removewatches @", "set @ x", "sync @"])


@check
def twins_config_sync_version(at):
    twins(at, ["config", "config -c", "config -s", "config x", "reconfig", "reconfig -add server.9=h:1:2:participant;3", "reconfig -add x -members y", "reconfig -file x -members y",
               "reconfig -file /nonexistent", "reconfig -remove 3", "sync", "sync @/none", "sync rel", "version"])


@check
def twins_history(at):
    twins(at, ["create @/a", "ls @", "history", "redo", "redo 1", "redo 9999", "history", "redo 3", "history", "printwatches", "printwatches off", "printwatches", "printwatches x",
               "printwatches on", "", "ls @", *("ls @/%d" % i for i in range(12)), "history"])


@check
def twins_unknown_commands(at):
    out, err = twins(at, ["help", "foo bar", "CREATE @/x", "   ", "ls   @   ", "history"])
    that("Command not found: Command not found foo" in err, err)


@check
def twins_words(at):
    twins(at, ['create "@/q x" "two words"', 'get "@/q x"', "create @/sq 'it is \"x\"'", "get @/sq", "create @/uq ab\"c", "get @/uq", 'create @/empty ""', "get @/empty",
               "create @/tab\tx", "get @/tab", "get \"@", "create @/j '{\"a\": [1, 2]}'", "get @/j"])


@check
def twins_prompt_and_echo(at):
    twins(at, ["ls @", "get @", "history", "", "get @/none", "close", "ls @"], prompt=True)
    twins(at, ["ls @", "quit", "ls @"], prompt=True)


@check
def twins_bad_paths(at):
    twins(at, ["get rel", "get @/", "get @//b", "get @/./b", "get @/..", "ls rel", "stat @/", "delete @//x", "deleteall rel", "getAcl rel", "setAcl rel world:anyone:r",
               "getAllChildrenNumber rel", "set rel x", "listquota rel", "sync @/"])


@check
def twins_close_and_connect(at):
    twins(at, ["create -e @/e", "close", "ls @", "whoami", "history", "printwatches", "close", "foo", "connect " + at, "ls @", "quit", "ls @"])


@check
def twins_chroot(at):
    twins(at, ["create /a x", "get /a", "ls /", "ls -R /", "get /none", "create -s /s-", "get -w /a", "set /a y", "delete /a", "deleteall /s-0000000001", "ls /"], suffix="@")


@check
def twins_one_command(at):
    for line in ("ls @", "get @", "get -s @", "stat @", "create @/a b", "create -e @/e", "set @ new", "get @/none", "delete @/none", "getAcl @", "whoami", "version", "nonsense", "get",
                 "history", "redo 7", "config", "quit"):
        twins(at, line, options=())


@check
def twins_arguments(at):
    twins(at, ["ls @"], options=("-waitforconnection", "-unknown"))
    twins(at, "ls @", options=("-timeout", "20000", "-r"))


@check
def twins_without_a_server(_at):
    theirs = run(zkcli_suite.java(zkcli_suite.CLASSPATH, "-timeout", "3000"), "127.0.0.1:1", "ls /", ())
    ours = run([zkcli_suite.OURS, "-timeout", "3000"], "127.0.0.1:1", "ls /", ())
    equal((theirs[0], theirs[1]), (ours[0], ours[1]))


if __name__ == "__main__":
    sys.exit(run_all(sys.argv[1]))
