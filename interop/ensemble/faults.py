#!/usr/bin/env python3
"""Three Ostler servers, each in a network namespace, while their network, processes and disks are broken: a checking client looks on.

usage: ensemble/faults.py [--minutes N] [--seed N] [--dir DIR]

Root. Needs `cargo build --release --bin ostler --example faults`. Rounds of one fault each (the table FAULTS, drawn by seed): partitions both ways, one
way, and the kind where one server sees both others but these not each other; delay and loss; SIGKILL of one, two or all; SIGSTOP;
a full disk (each data directory is a small tmpfs). While it lasts the client (crates/bench/examples/faults.rs) goes on writing, in sessions that
must not be lost; where a majority can still talk, writes must go on. Then everything is mended, all servers must
serve within a minute, and the client compares what all of them have with what was acknowledged. Prints a line for each round.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import servers  # noqa: E402
from network import Network  # noqa: E402

CLIENT = os.path.join(HERE, "..", "..", "target", "release", "examples", "faults")
PORT, QUORUM, ELECTION = 2181, 2888, 3888
TICK_MS = 500
SERVE_S = 60
# From here on a majority must have found itself: detection takes syncLimit ticks, and a lost packet of a connection is sent again late.
PROGRESS_AFTER_S = 6.0
NUMBERS = (1, 2, 3)
# Old logs go when a server starts (autopurge), which happens all the time here.
DISK_MB = 512


class Wrong(Exception):
    """What the run found."""


class Members:
    """The processes of the servers."""

    def __init__(self, directory, network):
        self.network, self.dir = network, directory
        self.processes, self.mounted, self.ended_at_full_disk = {}, [], 0
        # Servers whose disk was full in this round.
        self.filled = set()
        for number in NUMBERS:
            home = self.home(number)
            data = os.path.join(home, "data")
            os.makedirs(data)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MB, "tmpfs", data], check=True)
            self.mounted.append(data)
            with open(os.path.join(data, "myid"), "w") as f:
                f.write("%d\n" % number)
            with open(os.path.join(home, "zoo.cfg"), "w") as f:
                f.write("tickTime=%d\ninitLimit=20\nsyncLimit=5\nmaxSessionTimeout=40000\nsnapCount=5000\npreAllocSize=64\n"
                        "autopurge.snapRetainCount=3\nautopurge.purgeInterval=1\n4lw.commands.whitelist=*\nadmin.enableServer=false\ndataDir=%s\nclientPort=%d\n" % (TICK_MS, data, PORT))
                for other in NUMBERS:
                    f.write("server.%d=%s:%d:%d\n" % (other, network.address(other), QUORUM, ELECTION))

    def home(self, number):
        return os.path.join(self.dir, "server-%d" % number)

    def start(self, number):
        with open(os.path.join(self.home(number), "server.log"), "ab") as log:
            self.processes[number] = subprocess.Popen(
                self.network.inside(number, [servers.ostler_binary(), os.path.join(self.home(number), "zoo.cfg")]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def runs(self, number):
        return number in self.processes and self.processes[number].poll() is None

    def signal(self, number, what):
        self.processes[number].send_signal(what)

    def kill(self, number):
        if self.runs(number):
            self.processes[number].kill()
            self.processes[number].wait()

    def mode(self, number):
        return mode(self.network.address(number))

    def leader(self):
        return next((n for n in NUMBERS if self.mode(n) == "leader"), None)

    def wait_serving(self):
        """All serve; who leads."""
        end = time.monotonic() + SERVE_S
        while True:
            modes = {n: self.mode(n) for n in NUMBERS}
            if all(modes.values()) and "leader" in modes.values():
                return next(n for n in NUMBERS if modes[n] == "leader")
            for number in NUMBERS:
                if not self.runs(number) and number in self.filled:
                    # It met the full disk just before there was room again.
                    self.filled.discard(number)
                    self.ended_at_full_disk += 1
                    self.start(number)
                elif not self.runs(number):
                    raise Wrong("server %d ended with %s" % (number, self.processes[number].returncode))
            if time.monotonic() > end:
                raise Wrong("%d s after everything was mended not all serve: %s" % (SERVE_S, modes))
            time.sleep(0.05)

    def filler(self, number):
        return os.path.join(self.home(number), "data", "filler")

    def fill(self, number):
        """Its disk is full."""
        with open(self.filler(number), "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 65536)
            except OSError:
                pass
            try:
                while True:
                    f.write(b"x")
            except OSError:
                pass

    def mend(self):
        """Everything runs that should."""
        self.network.heal()
        self.filled.clear()
        for number in NUMBERS:
            if os.path.exists(self.filler(number)):
                os.remove(self.filler(number))
                if self.runs(number):
                    self.filled.add(number)
                else:
                    self.ended_at_full_disk += 1
            if self.runs(number):
                self.signal(number, signal.SIGCONT)
            else:
                self.start(number)

    def remove(self):
        for number in NUMBERS:
            self.kill(number)
        for data in self.mounted:
            subprocess.run(["umount", data], check=False)


def mode(address):
    """What a server says it is, "" if it serves nobody."""
    import socket
    try:
        with socket.create_connection((address, PORT), 1.0) as s:
            s.sendall(b"srvr")
            out = b""
            while part := s.recv(65536):
                out += part
    except OSError:
        return ""
    return next((line[len("Mode: "):] for line in out.decode().splitlines() if line.startswith("Mode: ")), "")


class Client:
    """The checking client; every answer is a line."""

    def __init__(self, addresses, log):
        self.log = log
        self.process = subprocess.Popen([CLIENT, "--servers", ",".join("%s:%d" % (a, PORT) for a in addresses)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(log, "ab"), text=True)
        self.line("start")

    def line(self, what, wait_s=150):
        late = threading.Timer(wait_s, self.process.kill)
        late.start()
        line = self.process.stdout.readline()
        late.cancel()
        if not line:
            with open(self.log) as f:
                raise Wrong("the client, at %s: %s" % (what, f.read()[:2000] or "it did not end within %d s" % wait_s))
        return line.split()[-1]

    def ask(self, command):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # It has ended: the next line, which does not come, says why.
        return self.line(command)

    def progress(self):
        return int(self.ask("progress"))

    def check(self):
        return int(self.ask("check"))

    def kill(self):
        self.process.kill()
        self.process.wait()


def others(number):
    return [n for n in NUMBERS if n != number]


def pairs():
    return [(a, b) for a in NUMBERS for b in NUMBERS if a != b]


# Each fault: name, what it does (members, network, the server it is about, random), whether a majority can work meanwhile.
def isolate(m, net, who, rng):
    net.part([who], others(who))


def isolate_from_all(m, net, who, rng):
    net.part([who], others(who) + [0])


def cannot_send(m, net, who, rng):
    net.block([who], others(who))


def cannot_hear(m, net, who, rng):
    net.block(others(who), [who])


def bridge(m, net, who, rng):
    a, b = others(who)
    net.part([a], [b])


def one_way_link(m, net, who, rng):
    net.block([who], [rng.choice(others(who))])


def all_apart(m, net, who, rng):
    net.block(NUMBERS, NUMBERS)


def delays(m, net, who, rng):
    net.delay(pairs(), 20, rng.choice([60, 150, 300]))


def slow_server(m, net, who, rng):
    net.delay([p for p in pairs() if who in p], 100, 400)


def losses(m, net, who, rng):
    net.lose(pairs() + [(0, n) for n in NUMBERS] + [(n, 0) for n in NUMBERS], rng.choice([0.02, 0.1, 0.2]))


def kill_one(m, net, who, rng):
    m.kill(who)


def kill_two(m, net, who, rng):
    for n in others(who):
        m.kill(n)


def kill_all(m, net, who, rng):
    for n in NUMBERS:
        m.kill(n)


def kill_and_return(m, net, who, rng):
    m.kill(who)
    m.start(who)


def stop_one(m, net, who, rng):
    m.signal(who, signal.SIGSTOP)


def stop_all(m, net, who, rng):
    for n in NUMBERS:
        m.signal(n, signal.SIGSTOP)


def disk_full(m, net, who, rng):
    m.fill(who)


def kill_in_delays(m, net, who, rng):
    net.delay(pairs(), 20, 100)
    m.kill(who)


def flapping(m, net, who, rng):
    for _ in range(6):
        net.part([who], others(who))
        time.sleep(rng.uniform(0.2, 1.5))
        net.heal()
        time.sleep(rng.uniform(0.1, 0.8))


# (A server that is deaf, but is heard, stands for election and is elected again as long as its votes arrive. Nothing in the protocol tells the
# others that they cannot reach it: what does is that nothing is acknowledged on its election connections (DEV-13).)
FAULTS = [
    ("partition", isolate, True), ("partition, also from the clients", isolate_from_all, True), ("one way: cannot send", cannot_send, True),
    ("one way: cannot hear", cannot_hear, True), ("bridge", bridge, True), ("one link, one way", one_way_link, True),
    ("all apart", all_apart, False), ("delay", delays, True), ("one slow", slow_server, True), ("loss", losses, False),
    ("SIGKILL", kill_one, True), ("SIGKILL of two", kill_two, False), ("SIGKILL of all", kill_all, False),
    ("SIGKILL, started at once", kill_and_return, True), ("SIGSTOP", stop_one, True), ("SIGSTOP of all", stop_all, False),
    ("disk full", disk_full, True), ("SIGKILL in delay", kill_in_delays, True), ("flapping", flapping, False),
]


def round_of(fault, members, network, client, rng, counts):
    """One fault. The line about it."""
    name, what, majority = fault
    leader = members.wait_serving()
    who = rng.choice([leader, leader, *others(leader)])
    lasts = rng.choice([rng.uniform(0.3, 3.0), rng.uniform(PROGRESS_AFTER_S + 3, 12.0)])
    before = client.progress()
    began = time.monotonic()
    what(members, network, who, rng)
    went_on = "-"
    if majority and lasts > PROGRESS_AFTER_S:
        time.sleep(PROGRESS_AFTER_S)
        middle = client.progress()
        time.sleep(max(0.0, began + lasts - time.monotonic()))
        went_on = client.progress() - middle
        if went_on == 0:
            raise Wrong("%s, server %d (the leader is %d): a majority can work, but nothing was written from %.0f s to %.0f s" % (
                name, who, leader, PROGRESS_AFTER_S, lasts))
    else:
        time.sleep(max(0.0, began + lasts - time.monotonic()))
    members.mend()
    mended = time.monotonic()
    after = members.wait_serving()
    back = time.monotonic() - mended
    client_total = client.check()
    counts[name] = counts.get(name, 0) + 1
    return "%-34s server %d%s %5.1f s, %5s writes in it, %5s after %.0f s; all serve after %4.1f s%s; %d acknowledged" % (
        name, who, " (leads)" if who == leader else "        ", lasts, client_total - before, went_on, PROGRESS_AFTER_S, back,
        ", %d leads now" % after if after != leader else "", client_total)


def main():
    ap = argparse.ArgumentParser(usage="ensemble/faults.py [--minutes N] [--seed N] [--dir DIR]")
    ap.add_argument("--minutes", type=float, default=2.0)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--dir", help="for the servers' logs and data; kept")
    a = ap.parse_args()
    if not os.access(CLIENT, os.X_OK):
        raise servers.Failed("there is no %s\n  hint: cargo build --release --bin ostler --example faults" % os.path.relpath(CLIENT))
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As ctrl-c: namespaces, mounts and servers go before this program does.
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    directory = os.path.abspath(a.dir) if a.dir else tempfile.mkdtemp(prefix="ostler-faults-")
    os.makedirs(directory, exist_ok=True)
    rng = random.Random(a.seed)
    network = Network(len(NUMBERS))
    members, client, failure, counts = None, None, None, {}
    began = time.monotonic()
    total = rounds = 0
    try:
        members = Members(directory, network)
        for number in NUMBERS:
            members.start(number)
        members.wait_serving()
        client = Client([network.address(n) for n in NUMBERS], os.path.join(directory, "client.log"))
        waiting = []
        while time.monotonic() - began < a.minutes * 60:
            # Each fault once before any comes again.
            waiting = waiting or rng.sample(FAULTS, len(FAULTS))
            line = round_of(waiting.pop(), members, network, client, rng, counts)
            rounds += 1
            print("%6.1f s  round %d: %s" % (time.monotonic() - began, rounds, line), flush=True)
        client.ask("end")
    except Wrong as e:
        failure = str(e)
    finally:
        if client:
            client.kill()
        if failure and members:
            for number in NUMBERS:
                members.kill(number)
                shutil.copytree(os.path.join(members.home(number), "data"), os.path.join(members.home(number), "data-kept"), ignore=shutil.ignore_patterns("filler"))
        if members:
            members.remove()
        network.remove()
    print("%d rounds in %.1f min (%s); %d packets carried, %d dropped; %d servers ended at a full disk" % (
        rounds, (time.monotonic() - began) / 60, ", ".join("%s %d" % c for c in sorted(counts.items())), network.seen, network.dropped,
        members.ended_at_full_disk if members else 0))
    if failure:
        print("FAILED in round %d: %s\nhint: the servers' logs and data are in %s; the same faults: --seed %d" % (rounds + 1, failure, directory, a.seed))
        return 1
    print("faults: %d rounds, nothing acknowledged is lost" % rounds)
    if not a.dir:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (servers.Failed, OSError) as e:
        print("faults: %s" % e, file=sys.stderr)
        sys.exit(1)
