import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** Every asynchronous call of the Java client, and deep pipelines of mixed reads and writes. */
final class JavaAsync {
    private JavaAsync() { }

    static void run(Checks t) {
        t.check("every asynchronous call", () -> JavaOperations.withClient(t, "async", JavaAsync::everyCall));
        t.check("asynchronous calls report errors", () -> JavaOperations.withClient(t, "async-errors", JavaAsync::errors));
        t.check("sync", () -> JavaOperations.withClient(t, "sync", JavaAsync::sync));
        t.check("replies of a deep mixed pipeline keep their order", () -> JavaOperations.withClient(t, "pipeline", JavaAsync::pipeline));
        t.check("a read sees the write pipelined before it", () -> JavaOperations.withClient(t, "readback", JavaAsync::readBack));
    }

    private static void everyCall(JavaClient.Client c, String p) throws Throwable {
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        String a = p + "/a";
        c.zk.create(a, Checks.bytes("1"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (rc, path, ctx, name) -> got.add("create " + rc + " " + name.equals(a)), null);
        c.zk.create(p + "/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL, (rc, path, ctx, name, stat) -> got.add("create2 " + rc + " " + stat.getVersion()), null);
        c.zk.create(p + "/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, (rc, path, ctx, name, stat) -> got.add("ttl " + rc), null, 60_000);
        c.zk.exists(a, false, (rc, path, ctx, stat) -> got.add("exists " + rc + " " + stat.getDataLength()), null);
        c.zk.getData(a, false, (rc, path, ctx, data, stat) -> got.add("getData " + rc + " " + new String(data)), null);
        c.zk.setData(a, Checks.bytes("22"), 0, (rc, path, ctx, stat) -> got.add("setData " + rc + " " + stat.getVersion()), null);
        c.zk.getACL(a, new Stat(), (rc, path, ctx, acl, stat) -> got.add("getACL " + rc + " " + acl.equals(Ids.OPEN_ACL_UNSAFE)), null);
        c.zk.setACL(a, Ids.OPEN_ACL_UNSAFE, 0, (rc, path, ctx, stat) -> got.add("setACL " + rc + " " + stat.getAversion()), null);
        c.zk.getChildren(p, false, (rc, path, ctx, kids) -> got.add("getChildren " + rc + " " + kids.size()), null);
        c.zk.getChildren(p, false, (rc, path, ctx, kids, stat) -> got.add("getChildren2 " + rc + " " + stat.getNumChildren()), null);
        c.zk.getAllChildrenNumber(p, (rc, path, ctx, number) -> got.add("getAllChildrenNumber " + rc + " " + number), null);
        c.zk.getEphemerals(p, (rc, ctx, paths) -> got.add("getEphemerals " + rc + " " + paths.size()), null);
        c.zk.sync(a, (rc, path, ctx) -> got.add("sync " + rc), null);
        c.zk.addWatch(a, AddWatchMode.PERSISTENT, (rc, path, ctx) -> got.add("addWatch " + rc), null);
        c.zk.removeAllWatches(a, Watcher.WatcherType.Any, false, (rc, path, ctx) -> got.add("removeWatches " + rc), null);
        c.zk.multi(List.of(Op.check(a, 1)), (rc, path, ctx, results) -> got.add("multi " + rc + " " + results.size()), null);
        c.zk.multi(List.of(Op.getData(a)), (rc, path, ctx, results) -> got.add("multiRead " + rc + " " + results.size()), null);
        c.zk.delete(a, 1, (rc, path, ctx) -> got.add("delete " + rc), null);
        for (String want : List.of("create 0 true", "create2 0 0", "ttl 0", "exists 0 1", "getData 0 1", "setData 0 1", "getACL 0 true", "setACL 0 1",
                "getChildren 0 3", "getChildren2 0 3", "getAllChildrenNumber 0 3", "getEphemerals 0 1", "sync 0", "addWatch 0", "removeWatches 0",
                "multi 0 1", "multiRead 0 1", "delete 0")) {
            Checks.equal(want, Checks.take(got));
        }
    }

    private static void errors(JavaClient.Client c, String p) throws Throwable {
        BlockingQueue<Integer> codes = new LinkedBlockingQueue<>();
        c.zk.getData(p + "/none", false, (rc, path, ctx, data, stat) -> codes.add(rc), null);
        c.zk.delete(p + "/none", -1, (rc, path, ctx) -> codes.add(rc), null);
        c.zk.create(p, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (rc, path, ctx, name) -> codes.add(rc), null);
        c.zk.setData(p, null, 9, (rc, path, ctx, stat) -> codes.add(rc), null);
        for (Code want : List.of(Code.NONODE, Code.NONODE, Code.NODEEXISTS, Code.BADVERSION)) { Checks.equal(want.intValue(), Checks.take(codes)); }
    }

    private static void sync(JavaClient.Client c, String p) throws Throwable {
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        c.zk.sync(p, (rc, path, ctx) -> got.add(rc + " " + path), null);
        c.zk.sync(p + "/not-there", (rc, path, ctx) -> got.add(rc + " " + path), null);
        Checks.equal("0 " + p, Checks.take(got));
        Checks.equal("0 " + p + "/not-there", Checks.take(got));
    }

    /** The client drops the connection when a reply comes out of order, so 20,000 answers prove 20,000 places. */
    private static void pipeline(JavaClient.Client c, String p) throws Throwable {
        int n = 20_000;
        c.zk.create(p + "/n", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        List<Integer> order = new ArrayList<>();
        CountDownLatch left = new CountDownLatch(n);
        for (int i = 0; i < n; i++) {
            int mine = i;
            if (i % 3 == 0) {
                c.zk.setData(p + "/n", new byte[i % 50], -1, (rc, path, ctx, stat) -> { if (rc == 0) { order.add(mine); } left.countDown(); }, null);
            } else if (i % 3 == 1) {
                c.zk.getData(p + "/n", false, (rc, path, ctx, data, stat) -> {
                    if (rc == 0 && data.length == (mine - 1) % 50) { order.add(mine); }
                    left.countDown();
                }, null);
            } else {
                c.zk.exists(p + "/none", false, (rc, path, ctx, stat) -> { if (rc == Code.NONODE.intValue()) { order.add(mine); } left.countDown(); }, null);
            }
        }
        Checks.that(left.await(60, TimeUnit.SECONDS), left.getCount() + " answers are missing");
        Checks.equal(n, order.size());
        for (int i = 0; i < n; i++) { Checks.equal(i, order.get(i)); }
        Checks.equal((n + 2) / 3, c.zk.exists(p + "/n", false).getVersion());
    }

    private static void readBack(JavaClient.Client c, String p) throws Throwable {
        BlockingQueue<Boolean> got = new LinkedBlockingQueue<>();
        for (int i = 0; i < 500; i++) {
            String node = p + "/n" + i;
            c.zk.create(node, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (rc, path, ctx, name) -> { }, null);
            c.zk.exists(node, false, (rc, path, ctx, stat) -> got.add(rc == 0), null);
            c.zk.delete(node, -1, (rc, path, ctx) -> { }, null);
            c.zk.exists(node, false, (rc, path, ctx, stat) -> got.add(rc == Code.NONODE.intValue()), null);
        }
        for (int i = 0; i < 1000; i++) { Checks.equal(true, Checks.take(got)); }
    }
}
