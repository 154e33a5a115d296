import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.CachedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;

/** Curator's counters, shared values and queues. */
@SuppressWarnings("deprecation")
final class CuratorShared {
    private CuratorShared() { }

    static void run(Checks t) {
        CuratorSuite.check(t, "DistributedAtomicLong", CuratorShared::atomicLong);
        CuratorSuite.check(t, "DistributedAtomicInteger and its cache", CuratorShared::atomicInteger);
        CuratorSuite.check(t, "SharedCount", CuratorShared::sharedCount);
        CuratorSuite.check(t, "SharedValue", CuratorShared::sharedValue);
        CuratorSuite.check(t, "SimpleDistributedQueue", CuratorShared::simpleQueue);
        CuratorSuite.check(t, "DistributedQueue", CuratorShared::queue);
        CuratorSuite.check(t, "DistributedPriorityQueue", CuratorShared::priorityQueue);
    }

    /** Four threads over two clients add 25 times each; every addition is retried until it succeeds. */
    private static void atomicLong(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        List<Throwable> problems = Collections.synchronizedList(new ArrayList<>());
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            DistributedAtomicLong n = new DistributedAtomicLong(i % 2 == 0 ? c : d, p + "/n", new RetryNTimes(100, 5));
            threads.add(new Thread(() -> {
                try {
                    for (int done = 0; done < 25; ) {
                        AtomicValue<Long> v = n.add(2L);
                        if (v.succeeded()) { done++; }
                    }
                } catch (Throwable e) {
                    problems.add(e);
                }
            }));
        }
        for (Thread thread : threads) { thread.start(); }
        for (Thread thread : threads) { thread.join(); }
        Checks.equal(List.of(), problems);
        Checks.equal(200L, new DistributedAtomicLong(c, p + "/n", new RetryNTimes(3, 5)).get().postValue());
    }

    private static void atomicInteger(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        DistributedAtomicInteger n = new DistributedAtomicInteger(c, p + "/n", new RetryNTimes(10, 5));
        Checks.that(n.initialize(5), "initialize");
        Checks.that(n.compareAndSet(5, 7).succeeded(), "compareAndSet");
        Checks.that(!n.compareAndSet(5, 8).succeeded(), "a wrong compareAndSet");
        Checks.equal(7, new DistributedAtomicInteger(d, p + "/n", new RetryNTimes(10, 5)).get().postValue());
        CachedAtomicInteger cached = new CachedAtomicInteger(n, 10);
        Checks.equal(8, cached.next().postValue());
        Checks.equal(9, cached.next().postValue());
        Checks.equal(17, n.get().postValue());
    }

    private static void sharedCount(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        BlockingQueue<Integer> got = new LinkedBlockingQueue<>();
        try (SharedCount one = new SharedCount(c, p + "/n", 3); SharedCount two = new SharedCount(d, p + "/n", 0)) {
            one.start();
            two.start();
            two.addListener(new org.apache.curator.framework.recipes.shared.SharedCountListener() {
                @Override
                public void countHasChanged(org.apache.curator.framework.recipes.shared.SharedCountReader n, int now) { got.add(now); }

                @Override
                public void stateChanged(CuratorFramework client, ConnectionState state) { }
            });
            Checks.equal(3, two.getCount());
            one.setCount(4);
            Checks.equal(4, Checks.take(got));
            Checks.that(two.trySetCount(two.getVersionedValue(), 5), "trySetCount");
            Checks.eventually("the first one sees it", () -> one.getCount() == 5);
        }
    }

    private static void sharedValue(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        try (SharedValue one = new SharedValue(c, p + "/v", Checks.bytes("seed")); SharedValue two = new SharedValue(d, p + "/v", Checks.bytes("other"))) {
            one.start();
            two.start();
            Checks.equal(Checks.bytes("seed"), two.getValue());
            one.setValue(Checks.bytes("new"));
            Checks.eventually("the other sees it", () -> new String(two.getValue()).equals("new"));
        }
    }

    private static void simpleQueue(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        SimpleDistributedQueue in = new SimpleDistributedQueue(c, p + "/q");
        SimpleDistributedQueue out = new SimpleDistributedQueue(d, p + "/q");
        for (int i = 0; i < 10; i++) { Checks.that(in.offer(Checks.bytes("" + i)), "offer"); }
        Checks.equal(Checks.bytes("0"), out.peek());
        for (int i = 0; i < 10; i++) { Checks.equal(Checks.bytes("" + i), out.poll(60, TimeUnit.SECONDS)); }
        Checks.equal(null, out.poll(50, TimeUnit.MILLISECONDS));
    }

    private static final QueueSerializer<String> TEXT = new QueueSerializer<>() {
        @Override
        public byte[] serialize(String item) { return Checks.bytes(item); }

        @Override
        public String deserialize(byte[] bytes) { return new String(bytes); }
    };

    private static QueueConsumer<String> into(BlockingQueue<String> got) {
        return new QueueConsumer<>() {
            @Override
            public void consumeMessage(String item) { got.add(item); }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) { }
        };
    }

    private static void queue(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        try (DistributedQueue<String> in = QueueBuilder.builder(c, null, TEXT, p + "/q").buildQueue();
                DistributedQueue<String> out = QueueBuilder.builder(d, into(got), TEXT, p + "/q").lockPath(p + "/locks").buildQueue()) {
            in.start();
            out.start();
            for (int i = 0; i < 20; i++) { in.put("item " + i); }
            for (int i = 0; i < 20; i++) { Checks.equal("item " + i, Checks.take(got)); }
        }
    }

    private static void priorityQueue(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        try (DistributedPriorityQueue<String> in = QueueBuilder.builder(c, null, TEXT, p + "/q").buildPriorityQueue(0)) {
            in.start();
            in.put("later", 20);
            in.put("sooner", 10);
            Checks.that(in.flushPuts(60, TimeUnit.SECONDS), "flushPuts");
            Checks.eventually("two items", () -> CuratorFrameworkApi.exists(c, p + "/q").getNumChildren() == 2);
        }
        try (DistributedPriorityQueue<String> out = QueueBuilder.builder(d, into(got), TEXT, p + "/q").buildPriorityQueue(0)) {
            out.start();
            Checks.equal("sooner", Checks.take(got));
            Checks.equal("later", Checks.take(got));
        }
    }
}
