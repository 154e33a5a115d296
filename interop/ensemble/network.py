"""Network namespaces joined by a switch of our own, which delays, loses and blocks packets: for faults.py.

Each server gets a namespace with one TUN device; the kernel hands every packet that leaves to the switch, a thread of this
program, and it hands it on to the namespace it is for, or does not. Both ends are real TCP of the kernel. (netem and iptables would do the
same, but not every kernel has them; TUN devices are in all of them.) The program itself is a host of the network too.
Needs root.
"""
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
MTU = 9000


def ip(*words):
    r = subprocess.run(["ip", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if r.returncode:
        raise OSError("ip %s: %s\n  hint: this needs root and network namespaces" % (" ".join(words), r.stdout.strip()))


class Network:
    """Hosts 1 to count, each in a namespace, and this program as host 0. Faults are by (sender, receiver)."""

    def __init__(self, count):
        # 198.18.0.0/15 is for measurements; part of it for each run, so that two do not meet.
        self.net = "198.18.%d" % (os.getpid() % 250)
        self.name = "ostler%d" % os.getpid()
        self.hosts = range(count + 1)
        self.blocked, self.slow, self.lossy = set(), {}, {}
        self.random = random.Random(1)
        self.devices, self.spaces, self.seen, self.dropped = [], [], 0, 0
        self.ending = False
        try:
            for host in self.hosts:
                self.devices.append(self.attach(host))
        except OSError:
            self.remove()
            raise
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    def address(self, host):
        return "%s.%d" % (self.net, host + 1)

    def space(self, host):
        return "%s-%d" % (self.name, host)

    def attach(self, host):
        """The file of the TUN device of a host."""
        device = ("o%d-%d" % (os.getpid(), host))[:15]
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22s", device.encode(), IFF_TUN | IFF_NO_PI, b""))
        inside = []
        if host:
            ip("netns", "add", self.space(host))
            self.spaces.append(host)
            ip("link", "set", device, "netns", self.space(host))
            inside = ["-n", self.space(host)]
            ip(*inside, "link", "set", "lo", "up")
        ip(*inside, "addr", "add", self.address(host) + "/24", "dev", device)
        ip(*inside, "link", "set", device, "mtu", str(MTU), "up")
        return fd

    def inside(self, host, command):
        """The command that runs `command` at a host; its process id is that of the command."""
        return ["ip", "netns", "exec", self.space(host), *command]

    # --- faults: each is on until heal() ---------------------------------------------------------------------------
    def block(self, senders, receivers):
        self.blocked |= {(a, b) for a in senders for b in receivers if a != b}

    def part(self, some, others):
        self.block(some, others)
        self.block(others, some)

    def delay(self, pairs, least_ms, most_ms):
        self.slow.update({pair: (least_ms / 1e3, most_ms / 1e3) for pair in pairs})

    def lose(self, pairs, share):
        self.lossy.update({pair: share for pair in pairs})

    def heal(self):
        self.blocked, self.slow, self.lossy = set(), {}, {}

    # --- the switch ------------------------------------------------------------------------------------------------
    def carry(self):
        poll = select.epoll()
        by_fd = {fd: host for host, fd in enumerate(self.devices)}
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        later, number = [], 0
        last = {}
        while not self.ending:
            wait = 0.2 if not later else max(0.0, min(0.2, later[0][0] - time.monotonic()))
            for fd, _ in poll.poll(wait):
                for _ in range(64):
                    try:
                        packet = os.read(fd, 65536)
                    except (BlockingIOError, OSError):
                        break
                    to = packet[19] - 1 if len(packet) >= 20 and packet[0] >> 4 == 4 else -1
                    if to not in self.hosts:
                        continue
                    pair = (by_fd[fd], to)
                    self.seen += 1
                    if pair in self.blocked or self.random.random() < self.lossy.get(pair, 0.0):
                        self.dropped += 1
                    elif pair in self.slow or last.get(pair, 0.0) > time.monotonic():
                        # In order, as one line would: what is slow holds up what comes behind it.
                        due = time.monotonic() + self.random.uniform(*self.slow.get(pair, (0.0, 0.0)))
                        last[pair] = due = max(due, last.get(pair, 0.0))
                        number += 1
                        heapq.heappush(later, (due, number, to, packet))
                    else:
                        self.hand_over(to, packet)
            while later and later[0][0] <= time.monotonic():
                _, _, to, packet = heapq.heappop(later)
                self.hand_over(to, packet)

    def hand_over(self, to, packet):
        try:
            os.write(self.devices[to], packet)
        except OSError:
            # Its queue is full, or it is going away: lost, as on any line.
            self.dropped += 1

    def remove(self):
        self.ending = True
        if hasattr(self, "thread"):
            self.thread.join(5)
        for fd in self.devices:
            os.close(fd)
        for host in self.spaces:
            subprocess.run(["ip", "netns", "del", self.space(host)], check=False)
