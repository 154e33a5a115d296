import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.zookeeper.KeeperException;

/**
 * Runs named checks one after another and prints a line for each: "ok NAME" or "FAIL NAME: why". interop/run counts
 * these lines, and `finish` ends the process with a code that says whether all passed.
 */
final class Checks {
    interface Body { void run() throws Throwable; }

    /** HOST:PORT of the server under test. */
    final String server;
    private int failed;

    Checks(String server) { this.server = server; }

    void check(String name, Body body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable t) {
            failed++;
            System.out.println("FAIL " + name + ": " + t);
            for (StackTraceElement e : t.getStackTrace()) {
                System.out.println("    at " + e);
            }
        }
        System.out.flush();
    }

    void finish() { System.exit(failed == 0 ? 0 : 1); }

    static void equal(Object want, Object got) {
        if (want instanceof byte[] && got instanceof byte[]) {
            that(Arrays.equals((byte[]) want, (byte[]) got), "other bytes than expected: " + new String((byte[]) got));
        } else {
            that(Objects.equals(want, got), "expected " + want + ", got " + got);
        }
    }

    static void that(boolean holds, String message) {
        if (!holds) { throw new AssertionError(message); }
    }

    /** The body must throw a KeeperException with this code; it is returned for further questions. */
    static KeeperException fails(KeeperException.Code code, Body body) throws Throwable {
        try {
            body.run();
        } catch (KeeperException e) {
            equal(code, e.code());
            return e;
        }
        throw new AssertionError("expected " + code + ", but it succeeded");
    }

    /** Waits up to 60 s for a condition that something else brings about. */
    static void eventually(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (!condition.getAsBoolean()) {
            that(System.nanoTime() < end, "did not happen within 60 s: " + what);
            Thread.sleep(10);
        }
    }

    static <T> T take(BlockingQueue<T> queue) throws InterruptedException {
        T item = queue.poll(60, TimeUnit.SECONDS);
        that(item != null, "nothing came within 60 s");
        return item;
    }

    /** What the server answers to a four-letter word. */
    String word(String word) throws java.io.IOException {
        int colon = server.lastIndexOf(':');
        try (var socket = new java.net.Socket(server.substring(0, colon), Integer.parseInt(server.substring(colon + 1)))) {
            socket.setSoTimeout(60_000);
            socket.getOutputStream().write(bytes(word));
            return new String(socket.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        }
    }

    static byte[] bytes(String s) { return s.getBytes(java.nio.charset.StandardCharsets.UTF_8); }
}
