import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** ACLs and authentication through the Java client: world, auth, digest, ip, super. */
final class JavaAccess {
    private JavaAccess() { }

    static void run(Checks t) {
        t.check("getACL and setACL", () -> JavaOperations.withClient(t, "acl", JavaAccess::getAndSet));
        t.check("digest protects data", () -> JavaOperations.withClient(t, "digest", (c, p) -> digest(t, c, p)));
        t.check("each permission guards its operations", () -> JavaOperations.withClient(t, "perms", JavaAccess::permissions));
        t.check("ip ACLs", () -> JavaOperations.withClient(t, "ip", JavaAccess::ip));
        t.check("digest ids are hidden without ADMIN", () -> JavaOperations.withClient(t, "redacted", JavaAccess::redaction));
        t.check("several identities on one connection", () -> JavaOperations.withClient(t, "ids", JavaAccess::severalIds));
        t.check("invalid ACLs", () -> JavaOperations.withClient(t, "bad-acl", JavaAccess::invalid));
        t.check("super passes every ACL", () -> JavaOperations.withClient(t, "super", (c, p) -> superUser(t, c, p)));
        t.check("whoAmI", () -> whoAmI(t));
        t.check("an unknown scheme fails the session", () -> unknownScheme(t));
    }

    // Not List.of: the client asks the list whether it contains null.
    static List<ACL> acl(int perms, String scheme, String id) { return Arrays.asList(new ACL(perms, new Id(scheme, id))); }

    static Id digestId(String userAndPassword) throws Exception {
        return new Id("digest", DigestAuthenticationProvider.generateDigest(userAndPassword));
    }

    private static void getAndSet(JavaClient.Client c, String p) throws Throwable {
        Stat s = new Stat();
        Checks.equal(Ids.OPEN_ACL_UNSAFE, c.zk.getACL(p, s));
        Stat set = c.zk.setACL(p, acl(Perms.ALL & ~Perms.DELETE, "world", "anyone"), 0);
        Checks.equal(1, set.getAversion());
        Checks.equal(s.getMzxid(), set.getMzxid());
        Checks.equal(acl(Perms.ALL & ~Perms.DELETE, "world", "anyone"), c.zk.getACL(p, null));
        Checks.fails(Code.BADVERSION, () -> c.zk.setACL(p, Ids.OPEN_ACL_UNSAFE, 0));
        Checks.equal(2, c.zk.setACL(p, Ids.OPEN_ACL_UNSAFE, -1).getAversion());
    }

    private static void digest(Checks t, JavaClient.Client c, String p) throws Throwable {
        c.zk.addAuthInfo("digest", Checks.bytes("ann:secret"));
        c.zk.create(p + "/mine", Checks.bytes("d"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        Checks.equal(List.of(new ACL(Perms.ALL, digestId("ann:secret"))), c.zk.getACL(p + "/mine", null));
        try (JavaClient.Client other = JavaClient.open(t)) {
            Checks.fails(Code.NOAUTH, () -> other.zk.getData(p + "/mine", false, null));
            other.zk.addAuthInfo("digest", Checks.bytes("ann:wrong"));
            Checks.fails(Code.NOAUTH, () -> other.zk.setData(p + "/mine", null, -1));
            other.zk.addAuthInfo("digest", Checks.bytes("ann:secret"));
            Checks.equal(Checks.bytes("d"), other.zk.getData(p + "/mine", false, null));
        }
    }

    private static void permissions(JavaClient.Client c, String p) throws Throwable {
        int[] all = {Perms.READ, Perms.WRITE, Perms.CREATE, Perms.DELETE, Perms.ADMIN};
        for (int perm : all) {
            String node = c.zk.create(p + "/p" + perm, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            c.zk.create(node + "/kid", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            c.zk.setACL(node, acl(perm, "world", "anyone"), -1);
            allowed(perm == Perms.READ, () -> c.zk.getData(node, false, null));
            allowed(perm == Perms.READ, () -> c.zk.exists(node, false));
            allowed(perm == Perms.READ, () -> c.zk.getChildren(node, false));
            allowed(perm == Perms.READ, () -> c.zk.getAllChildrenNumber(node));
            allowed(perm == Perms.READ || perm == Perms.ADMIN, () -> c.zk.getACL(node, null));
            allowed(perm == Perms.WRITE, () -> c.zk.setData(node, null, -1));
            allowed(perm == Perms.CREATE, () -> c.zk.create(node + "/new", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
            allowed(perm == Perms.DELETE, () -> c.zk.delete(node + "/kid", -1));
            allowed(perm == Perms.ADMIN, () -> c.zk.setACL(node, acl(perm, "world", "anyone"), -1));
        }
    }

    private static void allowed(boolean yes, Checks.Body body) throws Throwable {
        if (yes) { body.run(); } else { Checks.fails(Code.NOAUTH, body); }
    }

    private static void ip(JavaClient.Client c, String p) throws Throwable {
        c.zk.create(p + "/here", null, acl(Perms.ALL, "ip", "127.0.0.1"), CreateMode.PERSISTENT);
        c.zk.create(p + "/net", null, acl(Perms.ALL, "ip", "127.0.0.0/8"), CreateMode.PERSISTENT);
        c.zk.create(p + "/away", null, acl(Perms.ALL, "ip", "10.0.0.0/8"), CreateMode.PERSISTENT);
        c.zk.getData(p + "/here", false, null);
        c.zk.getData(p + "/net", false, null);
        Checks.fails(Code.NOAUTH, () -> c.zk.getData(p + "/away", false, null));
        Checks.equal(acl(Perms.ALL, "ip", "127.0.0.0/8"), c.zk.getACL(p + "/net", null));
    }

    private static void redaction(JavaClient.Client c, String p) throws Throwable {
        c.zk.create(p + "/n", null, Arrays.asList(new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE), new ACL(Perms.ALL, digestId("bob:pw"))), CreateMode.PERSISTENT);
        Checks.equal("bob:x", c.zk.getACL(p + "/n", null).get(1).getId().getId());
        c.zk.addAuthInfo("digest", Checks.bytes("bob:pw"));
        Checks.equal(digestId("bob:pw"), c.zk.getACL(p + "/n", null).get(1).getId());
    }

    private static void severalIds(JavaClient.Client c, String p) throws Throwable {
        c.zk.addAuthInfo("digest", Checks.bytes("u1:a"));
        c.zk.addAuthInfo("digest", Checks.bytes("u2:b"));
        c.zk.create(p + "/both", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        Checks.equal(new TreeSet<>(List.of(digestId("u1:a").getId(), digestId("u2:b").getId())),
                c.zk.getACL(p + "/both", null).stream().map(a -> a.getId().getId()).collect(Collectors.toCollection(TreeSet::new)));
        c.zk.create(p + "/one", null, Arrays.asList(new ACL(Perms.ALL, digestId("u1:a"))), CreateMode.PERSISTENT);
        c.zk.getData(p + "/one", false, null);
    }

    private static void invalid(JavaClient.Client c, String p) throws Throwable {
        for (List<ACL> bad : List.of(acl(31, "world", "everyone"), acl(31, "nothing", "x"), acl(31, "digest", "nocolon"), acl(31, "ip", "1.2.3"),
                acl(31, "auth", ""), acl(31, "super", "x"))) {
            Checks.fails(Code.INVALIDACL, () -> c.zk.create(p + "/n", null, bad, CreateMode.PERSISTENT));
            Checks.fails(Code.INVALIDACL, () -> c.zk.setACL(p, bad, -1));
        }
    }

    private static void superUser(Checks t, JavaClient.Client c, String p) throws Throwable {
        c.zk.addAuthInfo("digest", Checks.bytes("owner:o"));
        c.zk.create(p + "/locked", Checks.bytes("l"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        try (JavaClient.Client s = JavaClient.open(t)) {
            Checks.fails(Code.NOAUTH, () -> s.zk.getData(p + "/locked", false, null));
            s.zk.addAuthInfo("digest", Checks.bytes("super:test"));
            Checks.equal(Checks.bytes("l"), s.zk.getData(p + "/locked", false, null));
            s.zk.setACL(p + "/locked", Ids.OPEN_ACL_UNSAFE, -1);
        }
        Checks.equal(Ids.OPEN_ACL_UNSAFE, c.zk.getACL(p + "/locked", null));
    }

    private static void whoAmI(Checks t) throws Throwable {
        try (JavaClient.Client c = JavaClient.open(t)) {
            Checks.equal(new TreeSet<>(List.of("ip:127.0.0.1")), ids(c));
            c.zk.addAuthInfo("digest", Checks.bytes("carol:pw"));
            Checks.equal(new TreeSet<>(List.of("ip:127.0.0.1", "digest:carol")), ids(c));
        }
    }

    private static TreeSet<String> ids(JavaClient.Client c) throws Exception {
        return c.zk.whoAmI().stream().map(i -> i.getAuthScheme() + ":" + i.getUser()).collect(Collectors.toCollection(TreeSet::new));
    }

    private static void unknownScheme(Checks t) throws Throwable {
        JavaClient.Client c = JavaClient.open(t);
        c.zk.addAuthInfo("nothing", Checks.bytes("x"));
        c.state(KeeperState.AuthFailed);
        Checks.fails(Code.AUTHFAILED, () -> c.zk.exists("/", false));
        c.close();
    }
}
