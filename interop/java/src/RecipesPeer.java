import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicNumber;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.leader.Participant;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.details.JsonInstanceSerializer;
import org.apache.zookeeper.CreateMode;

/**
 * Curator's side of `interop/run recipes`: does with Curator's recipes what interop/python/recipes_suite.py asks on stdin. A line is
 * "NUMBER COMMAND ARGUMENT...", its answer "NUMBER ok RESULT" or "NUMBER error WHY"; each command has a thread of its own.
 * crates/client/examples/recipes_peer.rs takes the same commands. usage: RecipesPeer HOST:PORT.
 */
public final class RecipesPeer {
    /** Gives up what is held. */
    interface Release { void run() throws Exception; }

    private final CuratorFramework c;
    private final Map<String, Release> held = new ConcurrentHashMap<>();

    private RecipesPeer(CuratorFramework c) { this.c = c; }

    public static void main(String[] args) throws Exception {
        RecipesPeer peer = new RecipesPeer(CuratorSuite.open(args[0]));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            String[] words = line.split(" ");
            new Thread(() -> peer.answer(words)).start();
        }
        peer.c.close();
        System.exit(0);
    }

    private void answer(String[] words) {
        String answer;
        try {
            answer = words[0] + " ok " + run(words);
        } catch (Throwable e) {
            answer = words[0] + " error " + e.toString().replace('\n', ' ');
        }
        synchronized (System.out) {
            System.out.println(answer);
            System.out.flush();
        }
    }

    private String run(String[] w) throws Exception {
        switch (w[1]) {
            case "acquire": held.put(w[4], acquire(w[2], w[3], w.length > 5 ? w[5] : "")); return "";
            case "release": held.remove(w[2]).run(); return "";
            case "work": work(w[2], w[3], Integer.parseInt(w[4]), w[5]); return "";
            case "participants": return participants(w[2], w[3]);
            case "raise": new DistributedBarrier(c, w[2]).setBarrier(); return "";
            case "lower": new DistributedBarrier(c, w[2]).removeBarrier(); return "";
            case "pass": new DistributedBarrier(c, w[2]).waitOnBarrier(); return "";
            case "put": new SimpleDistributedQueue(c, w[2]).offer(Checks.bytes(w[3])); return "";
            case "take": return new String(new SimpleDistributedQueue(c, w[2]).take());
            case "add": return add(w[2], w[3], Long.parseLong(w[4]));
            case "number": return number(w[2], w[3]);
            case "members": return members(w[2]);
            case "publish": publish(w[2], w[3]); return "";
            case "hear": hear(w[2], w[3]); return "";
            case "instances": return instances(w[2], w[3]);
            case "services": return services(w[2]);
            default: throw new IllegalArgumentException("no such command");
        }
    }

    private Release acquire(String kind, String path, String argument) throws Exception {
        switch (kind) {
            case "lock": return locked(new InterProcessMutex(c, path));
            case "read": return locked(new InterProcessReadWriteLock(c, path).readLock());
            case "write": return locked(new InterProcessReadWriteLock(c, path).writeLock());
            case "semaphore": {
                InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(c, path, Integer.parseInt(argument));
                Lease lease = semaphore.acquire();
                return () -> semaphore.returnLease(lease);
            }
            case "latch": {
                LeaderLatch latch = new LeaderLatch(c, path, argument);
                latch.start();
                latch.await();
                return latch::close;
            }
            case "candidate": return selected(path, argument);
            case "double": {
                DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(c, path, Integer.parseInt(argument));
                barrier.enter();
                return barrier::leave;
            }
            case "node": {
                PersistentNode node = new PersistentNode(c, CreateMode.EPHEMERAL, false, path, Checks.bytes(argument));
                node.start();
                Checks.that(node.waitForInitialCreate(60, TimeUnit.SECONDS), "not made");
                return node::close;
            }
            case "member": {
                String[] member = argument.split("=");
                GroupMember group = new GroupMember(c, path, member[0], Checks.bytes(member[1]));
                group.start();
                return group::close;
            }
            case "instance": {
                ServiceInstance<Object> instance = serializer().deserialize(Checks.bytes(argument));
                ServiceDiscovery<Object> discovery = discovery(path);
                discovery.registerService(instance);
                return () -> {
                    discovery.unregisterService(instance);
                    discovery.close();
                };
            }
            default: throw new IllegalArgumentException("no such kind");
        }
    }

    /** A mutex belongs to a thread: one is kept for it until it is released. */
    private static Release locked(InterProcessLock lock) throws Exception {
        CountDownLatch acquired = new CountDownLatch(1);
        CountDownLatch release = new CountDownLatch(1);
        Exception[] problem = new Exception[1];
        Thread owner = new Thread(() -> {
            try {
                lock.acquire();
                acquired.countDown();
                release.await();
                lock.release();
            } catch (Exception e) {
                problem[0] = e;
                acquired.countDown();
            }
        });
        owner.start();
        acquired.await();
        if (problem[0] != null) { throw problem[0]; }
        return () -> {
            release.countDown();
            owner.join();
            if (problem[0] != null) { throw problem[0]; }
        };
    }

    private Release selected(String path, String name) throws Exception {
        CountDownLatch leads = new CountDownLatch(1);
        CountDownLatch resign = new CountDownLatch(1);
        CountDownLatch resigned = new CountDownLatch(1);
        LeaderSelector selector = new LeaderSelector(c, path, new LeaderSelectorListenerAdapter() {
            @Override
            public void takeLeadership(CuratorFramework client) throws Exception {
                leads.countDown();
                resign.await();
                resigned.countDown();
            }
        });
        selector.setId(name);
        selector.start();
        leads.await();
        return () -> {
            resign.countDown();
            resigned.await();
            selector.close();
        };
    }

    private void work(String kind, String path, int rounds, String witness) throws Exception {
        for (int i = 0; i < rounds; i++) {
            Release release = acquire(kind, path, "1");
            c.create().withMode(CreateMode.EPHEMERAL).forPath(witness);
            c.delete().forPath(witness);
            release.run();
        }
    }

    private String participants(String kind, String path) throws Exception {
        StringBuilder names = new StringBuilder();
        if (kind.equals("latch")) {
            for (Participant p : new LeaderLatch(c, path).getParticipants()) { names.append(names.length() == 0 ? "" : ",").append(p.getId()); }
        } else {
            LeaderSelector selector = new LeaderSelector(c, path, new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework client) { }
            });
            for (Participant p : selector.getParticipants()) { names.append(names.length() == 0 ? "" : ",").append(p.getId()); }
        }
        return names.toString();
    }

    private DistributedAtomicNumber<?> counter(String format, String path) {
        ExponentialBackoffRetry retry = new ExponentialBackoffRetry(1, 20);
        return format.equals("long") ? new DistributedAtomicLong(c, path, retry) : new DistributedAtomicInteger(c, path, retry);
    }

    @SuppressWarnings("unchecked")
    private String add(String format, String path, long number) throws Exception {
        AtomicValue<?> value = format.equals("long")
                ? ((DistributedAtomicNumber<Long>) counter(format, path)).add(number)
                : ((DistributedAtomicNumber<Integer>) counter(format, path)).add((int) number);
        Checks.that(value.succeeded(), "not added");
        return value.postValue().toString();
    }

    private String number(String format, String path) throws Exception {
        return counter(format, path).get().postValue().toString();
    }

    private String members(String path) throws Exception {
        GroupMember group = new GroupMember(c, path, "looking", new byte[0]);
        group.start();
        Checks.eventually("it sees itself", () -> CuratorFrameworkApi.exists(c, path + "/looking") != null && group.getCurrentMembers().size() > 1);
        TreeMap<String, byte[]> members = new TreeMap<>(group.getCurrentMembers());
        group.close();
        members.remove("looking");
        StringBuilder text = new StringBuilder();
        members.forEach((name, data) -> text.append(text.length() == 0 ? "" : ",").append(name).append('=').append(new String(data)));
        return text.toString();
    }

    private void publish(String path, String data) throws Exception {
        c.create().orSetData().creatingParentsIfNeeded().forPath(path, Checks.bytes(data));
    }

    private void hear(String path, String data) throws Exception {
        CountDownLatch heard = new CountDownLatch(1);
        try (CuratorCache cache = CuratorCache.build(c, path)) {
            cache.listenable().addListener(CuratorCacheListener.builder().forAll((type, old, now) -> {
                if (now != null && new String(now.getData()).equals(data)) { heard.countDown(); }
            }).build());
            cache.start();
            Checks.that(heard.await(60, TimeUnit.SECONDS), "not heard within 60 s");
        }
    }

    private static JsonInstanceSerializer<Object> serializer() { return new JsonInstanceSerializer<>(Object.class); }

    private ServiceDiscovery<Object> discovery(String base) throws Exception {
        ServiceDiscovery<Object> discovery = ServiceDiscoveryBuilder.builder(Object.class).client(c).basePath(base).serializer(serializer()).build();
        discovery.start();
        return discovery;
    }

    private String instances(String base, String service) throws Exception {
        try (ServiceDiscovery<Object> discovery = discovery(base)) {
            StringBuilder text = new StringBuilder("[");
            for (ServiceInstance<Object> instance : discovery.queryForInstances(service)) {
                text.append(text.length() == 1 ? "" : ",").append(new String(serializer().serialize(instance)));
            }
            return text.append("]").toString();
        }
    }

    private String services(String base) throws Exception {
        try (ServiceDiscovery<Object> discovery = discovery(base)) {
            return String.join(",", new java.util.TreeSet<>(discovery.queryForNames()));
        }
    }
}
