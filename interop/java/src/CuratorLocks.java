import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.Revoker;

/** Curator's locks, semaphores and barriers. */
final class CuratorLocks {
    private CuratorLocks() { }

    static void run(Checks t) {
        CuratorSuite.check(t, "InterProcessMutex excludes", (c, d, p) -> excludes(() -> new InterProcessMutex(c, p + "/l"), () -> new InterProcessMutex(d, p + "/l")));
        CuratorSuite.check(t, "InterProcessSemaphoreMutex excludes", (c, d, p) -> excludes(() -> new InterProcessSemaphoreMutex(c, p + "/l"), () -> new InterProcessSemaphoreMutex(d, p + "/l")));
        CuratorSuite.check(t, "InterProcessMutex is reentrant, times out, is revocable", CuratorLocks::mutex);
        CuratorSuite.check(t, "a closed client frees its lock", (c, d, p) -> freed(t, c, p));
        CuratorSuite.check(t, "InterProcessReadWriteLock", CuratorLocks::readWrite);
        CuratorSuite.check(t, "InterProcessSemaphoreV2", CuratorLocks::semaphore);
        CuratorSuite.check(t, "InterProcessMultiLock", CuratorLocks::multiLock);
        CuratorSuite.check(t, "DistributedBarrier", CuratorLocks::barrier);
        CuratorSuite.check(t, "DistributedDoubleBarrier", CuratorLocks::doubleBarrier);
    }

    interface Make { InterProcessLock make(); }

    /** Six threads over two clients: never two inside, and each gets its turns. */
    private static void excludes(Make first, Make second) throws Throwable {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger turns = new AtomicInteger();
        List<Throwable> problems = Collections.synchronizedList(new ArrayList<>());
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            InterProcessLock lock = (i % 2 == 0 ? first : second).make();
            threads.add(new Thread(() -> {
                try {
                    for (int j = 0; j < 5; j++) {
                        Checks.that(lock.acquire(60, TimeUnit.SECONDS), "not acquired within 60 s");
                        Checks.that(inside.incrementAndGet() == 1, "two holders");
                        Thread.sleep(2);
                        inside.decrementAndGet();
                        turns.incrementAndGet();
                        lock.release();
                    }
                } catch (Throwable e) {
                    problems.add(e);
                }
            }));
        }
        for (Thread thread : threads) { thread.start(); }
        for (Thread thread : threads) { thread.join(); }
        Checks.equal(List.of(), problems);
        Checks.equal(30, turns.get());
    }

    private static void mutex(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        InterProcessMutex a = new InterProcessMutex(c, p + "/l");
        InterProcessMutex b = new InterProcessMutex(d, p + "/l");
        AtomicInteger revoked = new AtomicInteger();
        a.makeRevocable(lock -> revoked.incrementAndGet());
        a.acquire();
        Checks.that(a.acquire(1, TimeUnit.SECONDS), "not reentrant");
        Checks.equal(false, b.acquire(200, TimeUnit.MILLISECONDS));
        Collection<String> nodes = a.getParticipantNodes();
        Checks.equal(1, nodes.size());
        Revoker.attemptRevoke(d, nodes.iterator().next());
        Checks.eventually("the holder hears of the revocation", () -> revoked.get() == 1);
        a.release();
        Checks.equal(false, b.acquire(100, TimeUnit.MILLISECONDS));
        a.release();
        Checks.that(b.acquire(60, TimeUnit.SECONDS), "not free after both releases");
        b.release();
    }

    private static void freed(Checks t, CuratorFramework c, String p) throws Throwable {
        CuratorFramework dead = CuratorSuite.open(t.server);
        new InterProcessMutex(dead, p + "/l").acquire();
        InterProcessMutex lock = new InterProcessMutex(c, p + "/l");
        Checks.equal(false, lock.acquire(100, TimeUnit.MILLISECONDS));
        dead.close();
        Checks.that(lock.acquire(60, TimeUnit.SECONDS), "the lock of a closed client is still held");
        lock.release();
    }

    private static void readWrite(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        InterProcessReadWriteLock one = new InterProcessReadWriteLock(c, p + "/rw");
        InterProcessReadWriteLock two = new InterProcessReadWriteLock(d, p + "/rw");
        one.readLock().acquire();
        Checks.that(two.readLock().acquire(60, TimeUnit.SECONDS), "two readers");
        Checks.equal(false, two.writeLock().acquire(200, TimeUnit.MILLISECONDS));
        two.readLock().release();
        one.readLock().release();
        Checks.that(two.writeLock().acquire(60, TimeUnit.SECONDS), "the writer");
        Checks.that(two.readLock().acquire(60, TimeUnit.SECONDS), "a writer may read");
        Checks.equal(false, one.readLock().acquire(200, TimeUnit.MILLISECONDS));
        two.readLock().release();
        two.writeLock().release();
    }

    private static void semaphore(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        InterProcessSemaphoreV2 one = new InterProcessSemaphoreV2(c, p + "/s", 3);
        InterProcessSemaphoreV2 two = new InterProcessSemaphoreV2(d, p + "/s", 3);
        Collection<Lease> leases = one.acquire(2);
        Lease third = two.acquire();
        Checks.equal(null, two.acquire(200, TimeUnit.MILLISECONDS));
        Checks.equal(3, one.getParticipantNodes().size());
        one.returnAll(leases);
        Checks.that(two.acquire(2, 60, TimeUnit.SECONDS) != null, "the returned leases");
        two.returnLease(third);
    }

    private static void multiLock(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        InterProcessMultiLock both = new InterProcessMultiLock(c, List.of(p + "/a", p + "/b"));
        InterProcessMutex b = new InterProcessMutex(d, p + "/b");
        both.acquire();
        Checks.equal(false, b.acquire(100, TimeUnit.MILLISECONDS));
        both.release();
        Checks.that(b.acquire(60, TimeUnit.SECONDS), "not free");
        Checks.equal(false, both.acquire(200, TimeUnit.MILLISECONDS));
        b.release();
    }

    private static void barrier(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        DistributedBarrier b = new DistributedBarrier(c, p + "/b");
        b.setBarrier();
        DistributedBarrier waiting = new DistributedBarrier(d, p + "/b");
        Checks.equal(false, waiting.waitOnBarrier(100, TimeUnit.MILLISECONDS));
        b.removeBarrier();
        Checks.that(waiting.waitOnBarrier(60, TimeUnit.SECONDS), "the barrier did not open");
    }

    private static void doubleBarrier(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        AtomicInteger inside = new AtomicInteger();
        List<Throwable> problems = Collections.synchronizedList(new ArrayList<>());
        List<Thread> threads = new ArrayList<>();
        for (CuratorFramework one : List.of(c, d, c)) {
            threads.add(new Thread(() -> {
                try {
                    DistributedDoubleBarrier b = new DistributedDoubleBarrier(one, p + "/b", 3);
                    Checks.that(b.enter(60, TimeUnit.SECONDS), "enter");
                    inside.incrementAndGet();
                    Checks.that(b.leave(60, TimeUnit.SECONDS), "leave");
                    Checks.equal(3, inside.get());
                } catch (Throwable e) {
                    problems.add(e);
                }
            }));
        }
        for (Thread thread : threads) { thread.start(); }
        for (Thread thread : threads) { thread.join(); }
        Checks.equal(List.of(), problems);
    }
}
