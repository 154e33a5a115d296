"""The ensemble part of bench/compare: members of each kind on one machine, CPU time summed over the members.

Connections go to the members in turn (see the addresses of `ostler bench`). The leader is asked for before each run that
leaves it out: an ensemble may have changed it.
"""
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "interop"))
import servers  # noqa: E402

WORKLOADS = [("get", 128, 1), ("get", 12, 100), ("set", 128, 1), ("set", 12, 100)]
AIMS = {("get", 128, 1): 8, ("get", 12, 100): 20, ("set", 128, 1): 7, ("set", 12, 100): 5}
KINDS = ["apache", "ostler"]
START_S = 60


def free_ports(count):
    """Different ports nobody listens on."""
    ports = set()
    while len(ports) < count:
        ports.add(servers.free_port())
    return sorted(ports)


class Ensemble:
    """Members of one kind with fresh directories."""

    def __init__(self, kind, directory, count, jvm):
        ports = free_ports(2 * count)
        lines = {"server.%d" % n: "127.0.0.1:%d:%d" % (ports[2 * n - 2], ports[2 * n - 1]) for n in range(1, count + 1)}
        properties = dict({"initLimit": "10", "syncLimit": "5"}, **lines)
        self.members = []
        for number in range(1, count + 1):
            member = servers.Server(kind, os.path.join(directory, "%s-%d" % (kind, number)), properties=properties, jvm=jvm)
            os.makedirs(member.data, exist_ok=True)
            with open(os.path.join(member.data, "myid"), "w") as f:
                f.write("%d\n" % number)
            self.members.append(member)

    def start(self):
        for member in self.members:
            member.launch()
        for member in self.members:
            member.wait_serving(START_S)
        return self

    def remove(self):
        for member in self.members:
            member.remove()

    @property
    def pids(self):
        return [member.pid for member in self.members]

    def port_list(self, followers_only=False):
        wanted = [member for member in self.members if not followers_only or member.mode() != "leader"]
        return [member.port for member in wanted]


def measure(run, parts):
    """Runs the parts named, `throughput` and `latency`; `run` is compare's Run."""
    count, jvm = run.args.ensemble, ["-Xmx" + run.args.heap]
    ensembles = {kind: Ensemble(kind, os.path.join(run.dir, "ensemble"), count, jvm) for kind in KINDS}
    run.started += list(ensembles.values())
    for kind in KINDS:
        ensembles[kind].start()
    for workload, clients, depth in WORKLOADS:
        run.say("warming up Apache's ensemble: %s %d x %d" % (workload, clients, depth))
        load(run, ensembles["apache"], workload, clients, depth, seconds=run.args.warmup)
    throughput(run, ensembles)
    if "latency" in parts:
        latency(run, ensembles)


def load(run, ensemble, workload, clients, depth, *options, followers_only=False, seconds=None):
    options = ("-c", clients, "-d", depth, "--size", run.args.size, "--duration", seconds or run.args.seconds,
               "--warmup", 1, *options)
    return run.bench_at(ensemble.port_list(followers_only), ensemble.pids, workload, *options)


def alternately(number):
    return KINDS if number % 2 == 0 else list(reversed(KINDS))


def throughput(run, ensembles):
    rows = run.result["ensemble_throughput"] = []
    for workload, clients, depth in WORKLOADS:
        rounds = []
        for number in range(run.args.rounds):
            one = {}
            for kind in alternately(number):
                report = load(run, ensembles[kind], workload, clients, depth)
                one[kind] = {"us": report["server_cpu_us_per_operation"], "per_second": report["operations_per_second"],
                             "p99": report["latency_us"]["p99"]}
            one["ratio"] = one["apache"]["us"] / one["ostler"]["us"]
            rounds.append(one)
            run.say("ensemble: %s %d x %d: Apache %.1f us, Ostler %.2f us of CPU of all members per operation: %.1fx" % (
                workload, clients, depth, one["apache"]["us"], one["ostler"]["us"], one["ratio"]))
        row = {"workload": workload, "clients": clients, "depth": depth, "rounds": rounds,
               "ratio": statistics.median(r["ratio"] for r in rounds), "aim": AIMS[workload, clients, depth]}
        for kind in KINDS:
            row[kind] = {key: statistics.median(r[kind][key] for r in rounds) for key in ("us", "per_second", "p99")}
        rows.append(row)


def latency(run, ensembles):
    """Open loop at half of Apache's own 128 x 1 maximum of this run, clients everywhere and on followers only."""
    rows = run.result["ensemble_latency"] = []
    most = {row["workload"]: row["apache"]["per_second"] for row in run.result["ensemble_throughput"] if row["clients"] == 128}
    for workload in ("get", "set"):
        rate = round(most[workload] * 0.5)
        for followers_only in (False, True):
            p99 = {kind: [] for kind in KINDS}
            for number in range(run.args.rounds):
                for kind in alternately(number):
                    try:
                        report = load(run, ensembles[kind], workload, 128, 100, "--rate", rate, followers_only=followers_only)
                        p99[kind].append(report["latency_us"]["p99"])
                    except servers.Failed as error:
                        run.say("%s does not keep up: %s" % (kind, error))
                        p99[kind].append(float("inf"))
                    time.sleep(0.2)
            row = {"workload": workload, "followers_only": followers_only, "rate": rate, "rounds": p99}
            row.update({kind: statistics.median(p99[kind]) for kind in KINDS})
            run.say("ensemble: %s at %d/s%s: p99 Apache %.0f us, Ostler %.0f us" % (
                workload, rate, ", followers only" if followers_only else "", row["apache"], row["ostler"]))
            rows.append(row)


def markdown(result):
    out = []
    if "ensemble_throughput" in result:
        out += ["| %d members, workload | Apache, us CPU of all per op | Ostler | ratio (rounds) | aim | Apache ops/s | Ostler ops/s |"
                % result["ensemble"], "|---|---|---|---|---|---|---|"]
        for row in result["ensemble_throughput"]:
            out.append("| %s, %d x %d | %.1f | %.2f | **%.1fx** (%s) | %dx | %d | %d |" % (
                row["workload"], row["clients"], row["depth"], row["apache"]["us"], row["ostler"]["us"], row["ratio"],
                ", ".join("%.1f" % r["ratio"] for r in row["rounds"]), row["aim"],
                row["apache"]["per_second"], row["ostler"]["per_second"]))
        out.append("")
    if "ensemble_latency" in result:
        out += ["| open loop, half of Apache's maximum | rate per s | Apache p99 | Ostler p99 |", "|---|---|---|---|"]
        for row in result["ensemble_latency"]:
            out.append("| %s, clients on %s | %d | %.2f ms | **%.2f ms** |" % (
                row["workload"], "followers only" if row["followers_only"] else "all members", row["rate"],
                row["apache"] / 1e3, row["ostler"] / 1e3))
        out.append("")
    return out
