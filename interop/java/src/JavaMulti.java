import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** Transactions and multi-reads of the Java client. */
final class JavaMulti {
    private JavaMulti() { }

    static void run(Checks t) {
        t.check("multi with every kind of operation", () -> JavaOperations.withClient(t, "multi", JavaMulti::everyKind));
        t.check("multi is one txn", () -> JavaOperations.withClient(t, "multi-zxid", JavaMulti::oneTxn));
        t.check("a failed multi changes nothing", () -> JavaOperations.withClient(t, "multi-fail", JavaMulti::rollBack));
        t.check("error results of a failed multi", () -> JavaOperations.withClient(t, "multi-errors", JavaMulti::errors));
        t.check("an empty multi", () -> JavaOperations.withClient(t, "multi-empty", (c, p) -> Checks.equal(List.of(), c.zk.multi(List.of()))));
        t.check("multi-read", () -> JavaOperations.withClient(t, "multi-read", JavaMulti::multiRead));
        t.check("the Transaction builder", () -> JavaOperations.withClient(t, "builder", JavaMulti::builder));
        t.check("a multi of 1,000 operations", () -> JavaOperations.withClient(t, "large", JavaMulti::large));
        t.check("two writers with conditional multis lose no update", () -> JavaOperations.withClient(t, "cas", JavaMulti::compareAndSet));
    }

    private static void everyKind(JavaClient.Client c, String p) throws Throwable {
        List<OpResult> r = c.zk.multi(List.of(
                Op.create(p + "/a", Checks.bytes("1"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.create(p + "/a/s-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
                Op.create(p + "/e", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL),
                Op.create(p + "/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
                Op.create(p + "/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, 60_000),
                Op.setData(p + "/a", Checks.bytes("22"), 0),
                Op.check(p + "/a", 1),
                Op.delete(p + "/a/s-0000000000", 0)));
        Checks.equal(8, r.size());
        Checks.equal(p + "/a", ((OpResult.CreateResult) r.get(0)).getPath());
        Checks.equal(p + "/a/s-0000000000", ((OpResult.CreateResult) r.get(1)).getPath());
        Checks.equal(p + "/c", ((OpResult.CreateResult) r.get(3)).getPath());
        Checks.equal(p + "/t", ((OpResult.CreateResult) r.get(4)).getPath());
        Checks.equal(1, ((OpResult.SetDataResult) r.get(5)).getStat().getVersion());
        Checks.that(r.get(6) instanceof OpResult.CheckResult, "not a CheckResult");
        Checks.that(r.get(7) instanceof OpResult.DeleteResult, "not a DeleteResult");
        Checks.equal(new TreeSet<>(List.of("a", "e", "c", "t")), new TreeSet<>(c.zk.getChildren(p, false)));
        Checks.equal(c.zk.getSessionId(), c.zk.exists(p + "/e", false).getEphemeralOwner());
    }

    private static void oneTxn(JavaClient.Client c, String p) throws Throwable {
        c.zk.multi(List.of(
                Op.create(p + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.create(p + "/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)));
        Stat a = c.zk.exists(p + "/a", false);
        Stat b = c.zk.exists(p + "/b", false);
        Checks.equal(a.getCzxid(), b.getCzxid());
        Checks.equal(a.getCtime(), b.getCtime());
        Checks.equal(a.getCzxid(), c.zk.exists(p, false).getPzxid());
    }

    private static void rollBack(JavaClient.Client c, String p) throws Throwable {
        JavaOperations.make(c, p + "/a", CreateMode.PERSISTENT);
        Stat before = c.zk.exists(p, false);
        Stat a = c.zk.exists(p + "/a", false);
        Checks.fails(Code.NODEEXISTS, () -> c.zk.multi(List.of(
                Op.setData(p + "/a", Checks.bytes("changed"), 0),
                Op.create(p + "/s-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
                Op.delete(p + "/a", 1),
                Op.create(p + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.create(p + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT))));
        Checks.equal(before, c.zk.exists(p, false));
        Checks.equal(a, c.zk.exists(p + "/a", false));
        Checks.equal(Checks.bytes("x"), c.zk.getData(p + "/a", false, null));
        Checks.equal(p + "/s-0000000001", JavaOperations.make(c, p + "/s-", CreateMode.PERSISTENT_SEQUENTIAL));
    }

    private static void errors(JavaClient.Client c, String p) throws Throwable {
        KeeperException e = Checks.fails(Code.NONODE, () -> c.zk.multi(List.of(
                Op.create(p + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.delete(p + "/none", -1),
                Op.create(p + "/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT))));
        List<Integer> codes = new ArrayList<>();
        for (OpResult r : e.getResults()) { codes.add(((OpResult.ErrorResult) r).getErr()); }
        Checks.equal(Arrays.asList(0, Code.NONODE.intValue(), Code.RUNTIMEINCONSISTENCY.intValue()), codes);
        Checks.fails(Code.BADVERSION, () -> c.zk.multi(List.of(Op.check(p, 17))));
    }

    private static void multiRead(JavaClient.Client c, String p) throws Throwable {
        JavaOperations.make(c, p + "/a", CreateMode.PERSISTENT);
        List<OpResult> r = c.zk.multi(List.of(Op.getData(p + "/a"), Op.getChildren(p), Op.getData(p + "/none")));
        Checks.equal(Checks.bytes("x"), ((OpResult.GetDataResult) r.get(0)).getData());
        Checks.equal(c.zk.exists(p + "/a", false), ((OpResult.GetDataResult) r.get(0)).getStat());
        Checks.equal(List.of("a"), ((OpResult.GetChildrenResult) r.get(1)).getChildren());
        Checks.equal(Code.NONODE.intValue(), ((OpResult.ErrorResult) r.get(2)).getErr());
    }

    private static void builder(JavaClient.Client c, String p) throws Throwable {
        List<OpResult> r = c.zk.transaction()
                .create(p + "/a", Checks.bytes("1"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
                .setData(p + "/a", Checks.bytes("2"), 0)
                .check(p + "/a", 1)
                .delete(p + "/a", 1)
                .commit();
        Checks.equal(4, r.size());
        Checks.equal(null, c.zk.exists(p + "/a", false));
    }

    private static void large(JavaClient.Client c, String p) throws Throwable {
        List<Op> ops = new ArrayList<>();
        for (int i = 0; i < 1000; i++) { ops.add(Op.create(p + "/n" + i, new byte[100], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)); }
        Checks.equal(1000, c.zk.multi(ops).size());
        Checks.equal(1000, c.zk.getChildren(p, false).size());
    }

    /** Two writers increment two nodes together, each guarded by the other's version: no update may be lost. */
    private static void compareAndSet(JavaClient.Client c, String p) throws Throwable {
        c.zk.create(p + "/a", Checks.bytes("0"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        c.zk.create(p + "/b", Checks.bytes("0"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        List<Throwable> problems = java.util.Collections.synchronizedList(new ArrayList<>());
        Runnable writer = () -> {
            try {
                for (int done = 0; done < 50; ) {
                    Stat s = new Stat();
                    int a = Integer.parseInt(new String(c.zk.getData(p + "/a", false, s)));
                    try {
                        byte[] next = Checks.bytes("" + (a + 1));
                        c.zk.multi(List.of(Op.check(p + "/a", s.getVersion()), Op.setData(p + "/a", next, s.getVersion()), Op.setData(p + "/b", next, -1)));
                        done++;
                    } catch (KeeperException.BadVersionException e) {
                        // The other writer was first: read again.
                    }
                }
            } catch (Throwable e) {
                problems.add(e);
            }
        };
        Thread other = new Thread(writer);
        other.start();
        writer.run();
        other.join();
        Checks.equal(List.of(), problems);
        Checks.equal(Checks.bytes("100"), c.zk.getData(p + "/b", false, null));
    }
}
