import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.cache.TreeCacheEvent;

/** Curator's caches: the one of today, on persistent watches, and the older ones on one-shot watches. */
@SuppressWarnings("deprecation")
final class CuratorCaches {
    private CuratorCaches() { }

    static void run(Checks t) {
        CuratorSuite.check(t, "CuratorCache follows a tree", CuratorCaches::cache);
        CuratorSuite.check(t, "CuratorCache catches up after a lost connection", (c, d, p) -> cacheLost(t, c, p));
        CuratorSuite.check(t, "CuratorCache of 2,000 nodes", CuratorCaches::large);
        CuratorSuite.check(t, "NodeCache", CuratorCaches::nodeCache);
        CuratorSuite.check(t, "PathChildrenCache", CuratorCaches::pathChildrenCache);
        CuratorSuite.check(t, "TreeCache", CuratorCaches::treeCache);
    }

    private static CuratorCache started(CuratorFramework c, String p, BlockingQueue<String> got) throws InterruptedException {
        CountDownLatch ready = new CountDownLatch(1);
        CuratorCache cache = CuratorCache.build(c, p);
        cache.listenable().addListener(CuratorCacheListener.builder()
                .forCreates(n -> got.add("created " + n.getPath()))
                .forChanges((old, now) -> got.add("changed " + now.getPath()))
                .forDeletes(n -> got.add("deleted " + n.getPath()))
                .forInitialized(ready::countDown).build());
        cache.start();
        Checks.that(ready.await(60, TimeUnit.SECONDS), "the cache is not initialized within 60 s");
        return cache;
    }

    private static void cache(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        d.create().creatingParentsIfNeeded().forPath(p + "/a/b", Checks.bytes("1"));
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        try (CuratorCache cache = started(c, p, got)) {
            Checks.equal(3, cache.size());
            Checks.equal(Checks.bytes("1"), cache.get(p + "/a/b").get().getData());
            got.clear();
            d.setData().forPath(p + "/a/b", Checks.bytes("2"));
            Checks.equal("changed " + p + "/a/b", Checks.take(got));
            d.create().forPath(p + "/a/c");
            Checks.equal("created " + p + "/a/c", Checks.take(got));
            d.delete().deletingChildrenIfNeeded().forPath(p + "/a");
            for (int i = 0; i < 3; i++) { Checks.that(Checks.take(got).startsWith("deleted "), "not a deletion"); }
            Checks.equal(1, cache.size());
        }
    }

    private static void cacheLost(Checks t, CuratorFramework c, String p) throws Throwable {
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        try (Proxy proxy = new Proxy(t.server); CuratorFramework w = CuratorSuite.open(proxy.address()); CuratorCache cache = started(w, p, got)) {
            proxy.refuse(true);
            proxy.cut();
            c.create().forPath(p + "/missed", Checks.bytes("m"));
            proxy.refuse(false);
            Checks.eventually("the cache learns what it missed", () -> cache.get(p + "/missed").isPresent());
            c.setData().forPath(p + "/missed", Checks.bytes("n"));
            Checks.eventually("the cache follows again", () -> "n".equals(new String(cache.get(p + "/missed").get().getData())));
        }
    }

    private static void large(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        BlockingQueue<Integer> done = new LinkedBlockingQueue<>();
        for (int i = 0; i < 2_000; i++) { d.create().inBackground((x, e) -> done.add(e.getResultCode())).forPath(p + "/n" + i, Checks.bytes("" + i)); }
        for (int i = 0; i < 2_000; i++) { Checks.equal(0, Checks.take(done)); }
        try (CuratorCache cache = started(c, p, new LinkedBlockingQueue<>())) {
            Checks.equal(2_001, cache.size());
            Checks.equal(Checks.bytes("1999"), cache.get(p + "/n1999").get().getData());
        }
    }

    private static void nodeCache(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        try (NodeCache cache = new NodeCache(c, p + "/n")) {
            cache.start(true);
            Checks.equal(null, cache.getCurrentData());
            d.create().forPath(p + "/n", Checks.bytes("1"));
            Checks.eventually("created", () -> data(cache).equals("1"));
            d.setData().forPath(p + "/n", Checks.bytes("2"));
            Checks.eventually("changed", () -> data(cache).equals("2"));
            d.delete().forPath(p + "/n");
            Checks.eventually("deleted", () -> cache.getCurrentData() == null);
        }
    }

    private static String data(NodeCache cache) { return cache.getCurrentData() == null ? "" : new String(cache.getCurrentData().getData()); }

    private static void pathChildrenCache(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        d.create().forPath(p + "/a", Checks.bytes("1"));
        try (PathChildrenCache cache = new PathChildrenCache(c, p, true)) {
            BlockingQueue<String> got = new LinkedBlockingQueue<>();
            cache.getListenable().addListener((x, e) -> got.add(e.getType() + " " + (e.getData() == null ? "" : e.getData().getPath())));
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            Checks.equal(1, cache.getCurrentData().size());
            d.create().forPath(p + "/b");
            Checks.equal("CHILD_ADDED " + p + "/b", Checks.take(got));
            d.setData().forPath(p + "/a", Checks.bytes("2"));
            Checks.equal("CHILD_UPDATED " + p + "/a", Checks.take(got));
            d.delete().forPath(p + "/b");
            Checks.equal("CHILD_REMOVED " + p + "/b", Checks.take(got));
        }
    }

    private static void treeCache(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        d.create().creatingParentsIfNeeded().forPath(p + "/a/b", Checks.bytes("1"));
        try (TreeCache cache = TreeCache.newBuilder(c, p).build()) {
            CountDownLatch ready = new CountDownLatch(1);
            cache.getListenable().addListener((x, e) -> { if (e.getType() == TreeCacheEvent.Type.INITIALIZED) { ready.countDown(); } });
            cache.start();
            Checks.that(ready.await(60, TimeUnit.SECONDS), "not initialized within 60 s");
            Checks.equal(List.of("b"), List.copyOf(cache.getCurrentChildren(p + "/a").keySet()));
            d.setData().forPath(p + "/a/b", Checks.bytes("2"));
            Checks.eventually("changed", () -> cache.getCurrentData(p + "/a/b") != null && "2".equals(new String(cache.getCurrentData(p + "/a/b").getData())));
            d.delete().forPath(p + "/a/b");
            Checks.eventually("deleted", () -> cache.getCurrentData(p + "/a/b") == null);
        }
    }
}
