import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.ExponentialBackoffRetry;

/** Curator's framework and recipes against the server. usage: CuratorSuite HOST:PORT. Server settings as for JavaClient. */
public final class CuratorSuite {
    private static final AtomicInteger ROOTS = new AtomicInteger();

    private CuratorSuite() { }

    interface Body { void run(CuratorFramework c, CuratorFramework d, String root) throws Throwable; }

    static CuratorFramework open(String server) throws InterruptedException {
        CuratorFramework c = CuratorFrameworkFactory.builder().connectString(server).sessionTimeoutMs(10_000)
                .retryPolicy(new ExponentialBackoffRetry(50, 8)).build();
        c.start();
        Checks.that(c.blockUntilConnected(60, java.util.concurrent.TimeUnit.SECONDS), "not connected within 60 s");
        return c;
    }

    /** Runs a check with two connected clients and a root of its own. */
    static void check(Checks t, String name, Body body) {
        t.check(name, () -> {
            try (CuratorFramework c = open(t.server); CuratorFramework d = open(t.server)) {
                body.run(c, d, c.create().forPath("/curator-" + ROOTS.incrementAndGet(), new byte[0]));
            }
        });
    }

    public static void main(String[] args) {
        Checks t = new Checks(args[0]);
        CuratorFrameworkApi.run(t);
        CuratorLocks.run(t);
        CuratorLeaders.run(t);
        CuratorCaches.run(t);
        CuratorShared.run(t);
        t.finish();
    }
}
