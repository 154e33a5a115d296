"""Our client, through the command line, at an Apache server with TLS on its secureClientPort: two servers, one that asks clients for
certificates and one that does not. The certificates are those of the client library's own tests. Ostler's server has no TLS yet, so
that the server is Apache's whatever kind is asked for."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import servers  # noqa: E402
from checks import check, equal, run_all, that  # noqa: E402

TLS = os.path.join(HERE, "..", "..", "crates", "client", "tests", "tls")
NETTY = "-Dzookeeper.serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory"


def pem(name):
    return os.path.abspath(os.path.join(TLS, name))


def apache(directory, client_auth):
    """An Apache server with a secure port; returns it and the port."""
    os.makedirs(directory)
    store = os.path.join(directory, "server-all.pem")
    with open(store, "w") as out:
        for name in ("server.key", "server.pem"):
            with open(pem(name)) as part:
                out.write(part.read())
    secure = servers.free_port()
    server = servers.Server("apache", directory, jvm=["-Xmx256m", NETTY], properties={
        "secureClientPort": secure, "ssl.keyStore.location": store, "ssl.trustStore.location": pem("ca.pem"),
        "ssl.clientAuth": client_auth})
    return server.start(), secure


def ostler(port, *words, host="127.0.0.1"):
    """(exit code, stdout, stderr) of a command."""
    done = subprocess.run([servers.ostler_binary(), *words, "--server", "%s:%d" % (host, port), "--timeout", "6000"],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


CA = ("--tls-ca", pem("ca.pem"))
IDENTITY = ("--tls-cert", pem("client.pem"), "--tls-key", pem("client.key"))


@check
def a_session_over_tls(one, _strict):
    equal((0, "/secret\n", ""), ostler(one, "create", "/secret", "encrypted", *CA))
    equal((0, "encrypted\n", ""), ostler(one, "get", "/secret", *CA))
    equal((0, "encrypted\n", ""), ostler(one, "get", "/secret", *CA, host="localhost"))


@check
def a_large_value_over_tls(one, _strict):
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"0123456789" * 90_000)
        file.flush()
        equal(0, ostler(one, "create", "/large", "--file", file.name, *CA)[0])
    equal("0123456789" * 90_000, ostler(one, "get", "--raw", "/large", *CA)[1])


@check
def the_certificate_is_the_identity(_one, strict):
    code, out, err = ostler(strict, "whoami", *CA, *IDENTITY)
    that(code == 0 and "x509" in out and "CN=client" in out, repr((code, out, err)))


@check
def without_a_certificate_there_is_no_session(_one, strict):
    code, _, err = ostler(strict, "get", "/", *CA)
    that(code == 3 and "hint: " in err, repr((code, err)))


@check
def a_server_that_nobody_vouches_for_is_refused(one, _strict):
    code, _, err = ostler(one, "get", "/", "--tls-ca", pem("other-ca.pem"))
    that(code == 3 and "TLS handshake failed" in err and "UnknownIssuer" in err, repr((code, err)))


@check
def without_tls_there_is_no_session(one, _strict):
    code, _, err = ostler(one, "get", "/")
    that(code == 3 and "hint: " in err, repr((code, err)))


def main():
    with tempfile.TemporaryDirectory(prefix="ostler-tls-") as directory:
        started = []
        try:
            for name, client_auth in (("one", "none"), ("strict", "need")):
                started.append(apache(os.path.join(directory, name), client_auth))
            return run_all(*(port for _, port in started))
        finally:
            for server, _ in started:
                server.kill()


if __name__ == "__main__":
    sys.exit(main())
