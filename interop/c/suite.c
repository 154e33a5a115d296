/* The C client (libzookeeper_mt, as Debian ships it) against the server: synchronous and asynchronous API, multi,
 * watches, ACLs and authentication, sessions. usage: c-suite HOST:PORT
 * Each check runs in a child process, so that a failed assertion ends that check only. Prints "ok NAME" or
 * "FAIL NAME: why" for each, as interop/run counts them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

static const char *at;

/* --- checking ---------------------------------------------------------------------------------------------- */

static void fail(int line, const char *format, ...) {
    va_list args;
    char why[512];
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    fprintf(stderr, "line %d: %s", line, why);
    fflush(stderr);
    _exit(1);
}

#define THAT(holds) do { if (!(holds)) fail(__LINE__, "%s", #holds); } while (0)
#define CODE(want, call) do { int got_ = (call); if (got_ != (want)) \
    fail(__LINE__, "%s: expected %d, got %d (%s)", #call, (want), got_, zerror(got_)); } while (0)
#define OK(call) CODE(ZOK, call)
#define SAME(want, got) do { const char *w_ = (want), *g_ = (got); if (!g_ || strcmp(w_, g_)) \
    fail(__LINE__, "expected \"%s\", got \"%s\"", w_, g_ ? g_ : "(null)"); } while (0)

/* --- events ------------------------------------------------------------------------------------------------ */

struct event { int type, state; char path[300]; };

struct events {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct event list[64];
    int count, taken, connected, expired, lost;
};

static void events_init(struct events *e) {
    memset(e, 0, sizeof *e);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->more, NULL);
}

static void on_event(zhandle_t *zh, int type, int state, const char *path, void *context) {
    struct events *e = context;
    (void)zh;
    if (!e) return;
    pthread_mutex_lock(&e->lock);
    if (type == ZOO_SESSION_EVENT) {
        if (state == ZOO_CONNECTED_STATE) e->connected++;
        else if (state == ZOO_EXPIRED_SESSION_STATE) e->expired++;
        else e->lost++;
    } else if (e->count < 64) {
        struct event *one = &e->list[e->count++];
        one->type = type;
        one->state = state;
        snprintf(one->path, sizeof one->path, "%s", path);
    }
    pthread_cond_broadcast(&e->more);
    pthread_mutex_unlock(&e->lock);
}

static void wait_until(struct events *e, int *counter, int at_least, int line, const char *what) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 60;
    pthread_mutex_lock(&e->lock);
    while (*counter < at_least)
        if (pthread_cond_timedwait(&e->more, &e->lock, &end) == ETIMEDOUT) fail(line, "not within 60 s: %s", what);
    pthread_mutex_unlock(&e->lock);
}

static void expect_event(struct events *e, int type, const char *path, int line) {
    wait_until(e, &e->count, e->taken + 1, line, path);
    struct event *one = &e->list[e->taken++];
    if (one->type != type || strcmp(one->path, path))
        fail(line, "expected event %d %s, got %d %s", type, path, one->type, one->path);
}
#define EVENT(e, type, path) expect_event((e), (type), (path), __LINE__)

/* --- clients ----------------------------------------------------------------------------------------------- */

struct client { zhandle_t *zh; struct events events; char root[64]; };

static void open_client(struct client *c, const clientid_t *id, int timeout_ms) {
    events_init(&c->events);
    c->zh = zookeeper_init(at, on_event, timeout_ms, id, &c->events, 0);
    THAT(c->zh != NULL);
}

static struct client *connected(void) {
    struct client *c = calloc(1, sizeof *c);
    open_client(c, NULL, 10000);
    wait_until(&c->events, &c->events.connected, 1, __LINE__, "connected");
    OK(zoo_create(c->zh, "/c-", "root", 4, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, c->root, sizeof c->root));
    return c;
}

/* A path below the root of a client; good until eight more are asked for. */
static const char *under(struct client *c, const char *name) {
    static char ring[8][300];
    static int next;
    char *p = ring[next++ % 8];
    snprintf(p, 300, "%s/%s", c->root, name);
    return p;
}

static void make(struct client *c, const char *path, const char *data) {
    OK(zoo_create(c->zh, path, data, data ? (int)strlen(data) : -1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0));
}

/* No event came before the reply to a later request. */
static void quiet(struct client *c) {
    struct Stat s;
    zoo_exists(c->zh, "/", 0, &s);
    usleep(30000);
    THAT(c->events.count == c->events.taken);
}

static int same_stat(const struct Stat *a, const struct Stat *b) {
    return a->czxid == b->czxid && a->mzxid == b->mzxid && a->ctime == b->ctime && a->mtime == b->mtime && a->version == b->version
        && a->cversion == b->cversion && a->aversion == b->aversion && a->ephemeralOwner == b->ephemeralOwner
        && a->dataLength == b->dataLength && a->numChildren == b->numChildren && a->pzxid == b->pzxid;
}

/* Cuts every connection of this process to the server, as a broken network would. */
static void cut(void) {
    int port = atoi(strrchr(at, ':') + 1);
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        if (!getpeername(fd, (struct sockaddr *)&peer, &size) && peer.sin_family == AF_INET && ntohs(peer.sin_port) == port) shutdown(fd, SHUT_RDWR);
    }
}

static void cut_and_reconnect(struct client *c, struct client *other) {
    int before = c->events.connected, others = other ? other->events.connected : 0;
    cut();
    wait_until(&c->events, &c->events.connected, before + 1, __LINE__, "connected again");
    if (other) wait_until(&other->events, &other->events.connected, others + 1, __LINE__, "the other connected again");
}

/* Waits for the container and TTL sweep. */
static void wait_gone(struct client *c, const char *path) {
    struct Stat s;
    for (int i = 0; i < 6000; i++) {
        if (zoo_exists(c->zh, path, 0, &s) == ZNONODE) return;
        usleep(10000);
    }
    fail(__LINE__, "still there: %s", path);
}

/* --- synchronous API --------------------------------------------------------------------------------------- */

static void crud(void) {
    struct client *c = connected();
    char path[300], data[100];
    int length = sizeof data;
    struct Stat s, t;
    OK(zoo_create(c->zh, under(c, "a"), "one", 3, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, path, sizeof path));
    SAME(under(c, "a"), path);
    OK(zoo_get(c->zh, path, 0, data, &length, &s));
    THAT(length == 3 && !memcmp(data, "one", 3) && s.version == 0 && s.dataLength == 3 && s.czxid == s.mzxid);
    OK(zoo_set(c->zh, path, "three", 5, 0));
    OK(zoo_set2(c->zh, path, "four", 4, 1, &s));
    THAT(s.version == 2 && s.mzxid > s.czxid);
    OK(zoo_exists(c->zh, path, 0, &t));
    THAT(same_stat(&s, &t));
    OK(zoo_delete(c->zh, path, 2));
    CODE(ZNONODE, zoo_exists(c->zh, path, 0, &s));
    OK(zookeeper_close(c->zh));
}

static void create2(void) {
    struct client *c = connected();
    char path[300];
    struct Stat s, t;
    OK(zoo_create2(c->zh, under(c, "a"), "12", 2, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, path, sizeof path, &s));
    SAME(under(c, "a0000000000"), path);
    THAT(s.ephemeralOwner == zoo_client_id(c->zh)->client_id && s.dataLength == 2);
    OK(zoo_exists(c->zh, path, 0, &t));
    THAT(same_stat(&s, &t));
    OK(zookeeper_close(c->zh));
}

static void null_and_empty(void) {
    struct client *c = connected();
    char data[10];
    int length = sizeof data;
    make(c, under(c, "null"), NULL);
    OK(zoo_get(c->zh, under(c, "null"), 0, data, &length, NULL));
    THAT(length == -1);
    make(c, under(c, "empty"), "");
    length = sizeof data;
    OK(zoo_get(c->zh, under(c, "empty"), 0, data, &length, NULL));
    THAT(length == 0);
    OK(zookeeper_close(c->zh));
}

static void large_data(void) {
    struct client *c = connected();
    int size = 1000000, length = size;
    char *data = malloc(size), *back = malloc(size);
    for (int i = 0; i < size; i++) data[i] = (char)(i * 7 >> 2);
    OK(zoo_create(c->zh, under(c, "big"), data, size, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0));
    OK(zoo_get(c->zh, under(c, "big"), 0, back, &length, NULL));
    THAT(length == size && !memcmp(data, back, size));
    OK(zookeeper_close(c->zh));
}

static void ttl_and_container(void) {
    struct client *c = connected();
    char path[300];
    struct Stat s;
    OK(zoo_create_ttl(c->zh, under(c, "t"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 500, path, sizeof path));
    OK(zoo_create2_ttl(c->zh, under(c, "s"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 600000, path, sizeof path, &s));
    SAME(under(c, "s0000000001"), path);
    THAT(s.ephemeralOwner == 0);
    OK(zoo_create(c->zh, under(c, "c"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER, path, sizeof path));
    make(c, under(c, "c/kid"), NULL);
    OK(zoo_delete(c->zh, under(c, "c/kid"), -1));
    wait_gone(c, under(c, "t"));
    wait_gone(c, under(c, "c"));
    OK(zoo_exists(c->zh, under(c, "s0000000001"), 0, &s));
    OK(zookeeper_close(c->zh));
}

static void children(void) {
    struct client *c = connected();
    struct String_vector names;
    struct Stat s;
    make(c, under(c, "a"), NULL);
    make(c, under(c, "b"), NULL);
    OK(zoo_get_children(c->zh, c->root, 0, &names));
    THAT(names.count == 2);
    THAT((!strcmp(names.data[0], "a") && !strcmp(names.data[1], "b")) || (!strcmp(names.data[0], "b") && !strcmp(names.data[1], "a")));
    deallocate_String_vector(&names);
    OK(zoo_get_children2(c->zh, c->root, 0, &names, &s));
    THAT(names.count == 2 && s.numChildren == 2);
    deallocate_String_vector(&names);
    OK(zookeeper_close(c->zh));
}

static void errors(void) {
    struct client *c = connected();
    struct Stat s;
    struct String_vector names;
    struct ACL_vector acl;
    char data[10];
    int length = sizeof data;
    const char *none = under(c, "none");
    CODE(ZNONODE, zoo_get(c->zh, none, 0, data, &length, &s));
    CODE(ZNONODE, zoo_set(c->zh, none, "", 0, -1));
    CODE(ZNONODE, zoo_delete(c->zh, none, -1));
    CODE(ZNONODE, zoo_exists(c->zh, none, 0, &s));
    CODE(ZNONODE, zoo_get_children(c->zh, none, 0, &names));
    CODE(ZNONODE, zoo_get_acl(c->zh, none, &acl, &s));
    CODE(ZNONODE, zoo_create(c->zh, under(c, "none/x"), "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    CODE(ZNODEEXISTS, zoo_create(c->zh, c->root, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    CODE(ZBADVERSION, zoo_set(c->zh, c->root, "", 0, 9));
    CODE(ZBADVERSION, zoo_delete(c->zh, c->root, 9));
    CODE(ZBADARGUMENTS, zoo_delete(c->zh, "/zookeeper", -1));
    CODE(ZBADARGUMENTS, zoo_create(c->zh, "relative", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    struct ACL bad = {ZOO_PERM_ALL, {"nothing", "x"}};
    struct ACL_vector bads = {1, &bad};
    CODE(ZINVALIDACL, zoo_create(c->zh, under(c, "a"), "", 0, &bads, 0, NULL, 0));
    make(c, under(c, "kid"), NULL);
    CODE(ZNOTEMPTY, zoo_delete(c->zh, c->root, -1));
    OK(zoo_create(c->zh, under(c, "e"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0));
    CODE(ZNOCHILDRENFOREPHEMERALS, zoo_create(c->zh, under(c, "e/x"), "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    OK(zookeeper_close(c->zh));
}

static void config(void) {
    struct client *c = connected();
    char data[100];
    int length = sizeof data;
    struct Stat s;
    OK(zoo_getconfig(c->zh, 0, data, &length, &s));
    THAT(length == 0);
    CODE(ZRECONFIGDISABLED, zoo_reconfig(c->zh, "server.9=h:1:2:participant;3", NULL, NULL, -1, data, &length, &s));
    OK(zookeeper_close(c->zh));
}

/* --- asynchronous API -------------------------------------------------------------------------------------- */

/* Answers in the order they came, as text: "name code detail". */
struct answers { struct events e; char text[64][120]; };
static struct answers answers;

static void answer(const char *format, ...) {
    va_list args;
    pthread_mutex_lock(&answers.e.lock);
    va_start(args, format);
    vsnprintf(answers.text[answers.e.count++], 120, format, args);
    va_end(args);
    pthread_cond_broadcast(&answers.e.more);
    pthread_mutex_unlock(&answers.e.lock);
}

static void on_void(int rc, const void *name) { answer("%s %d", (const char *)name, rc); }
static void on_stat(int rc, const struct Stat *s, const void *name) { answer("%s %d %d", (const char *)name, rc, s ? s->version : -1); }
static void on_string(int rc, const char *value, const void *name) { answer("%s %d %s", (const char *)name, rc, value ? strrchr(value, '/') : "-"); }
static void on_string_stat(int rc, const char *value, const struct Stat *s, const void *name) {
    answer("%s %d %s %d", (const char *)name, rc, value ? strrchr(value, '/') : "-", s ? s->version : -1);
}
static void on_data(int rc, const char *value, int length, const struct Stat *s, const void *name) {
    answer("%s %d %.*s %d", (const char *)name, rc, length > 0 ? length : 0, value, s ? s->version : -1);
}
static void on_strings(int rc, const struct String_vector *v, const void *name) { answer("%s %d %d", (const char *)name, rc, v ? v->count : -1); }
static void on_strings_stat(int rc, const struct String_vector *v, const struct Stat *s, const void *name) {
    answer("%s %d %d %d", (const char *)name, rc, v ? v->count : -1, s ? s->numChildren : -1);
}
static void on_acl(int rc, struct ACL_vector *acl, struct Stat *s, const void *name) {
    answer("%s %d %s %d", (const char *)name, rc, acl && acl->count ? acl->data[0].id.scheme : "-", s ? s->aversion : -1);
}

static void asynchronous(void) {
    struct client *c = connected();
    events_init(&answers.e);
    char a[300], b[300], none[300], t[300];
    snprintf(a, 300, "%s/a", c->root);
    snprintf(b, 300, "%s/b", c->root);
    snprintf(t, 300, "%s/t", c->root);
    snprintf(none, 300, "%s/none", c->root);
    OK(zoo_acreate(c->zh, a, "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, on_string, "create"));
    OK(zoo_acreate2(c->zh, b, "2", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, on_string_stat, "create2"));
    OK(zoo_acreate_ttl(c->zh, t, "3", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 600000, on_string, "ttl"));
    OK(zoo_aget(c->zh, a, 0, on_data, "get"));
    OK(zoo_aset(c->zh, a, "22", 2, 0, on_stat, "set"));
    OK(zoo_aexists(c->zh, a, 0, on_stat, "exists"));
    OK(zoo_aexists(c->zh, none, 0, on_stat, "exists-none"));
    OK(zoo_aget_children(c->zh, c->root, 0, on_strings, "children"));
    OK(zoo_aget_children2(c->zh, c->root, 0, on_strings_stat, "children2"));
    OK(zoo_aset_acl(c->zh, a, 0, &ZOO_OPEN_ACL_UNSAFE, on_void, "set-acl"));
    OK(zoo_aget_acl(c->zh, a, on_acl, "get-acl"));
    OK(zoo_async(c->zh, a, on_string, "sync"));
    OK(zoo_adelete(c->zh, b, 7, on_void, "delete-wrong"));
    OK(zoo_adelete(c->zh, a, 1, on_void, "delete"));
    const char *want[] = {"create 0 /a", "create2 0 /b 0", "ttl 0 /t", "get 0 1 0", "set 0 1", "exists 0 1", "exists-none -101 -1", "children 0 3",
                          "children2 0 3 3", "set-acl 0", "get-acl 0 world 1", "sync 0 /a", "delete-wrong -103", "delete 0"};
    int n = sizeof want / sizeof *want;
    wait_until(&answers.e, &answers.e.count, n, __LINE__, "all answers");
    for (int i = 0; i < n; i++) SAME(want[i], answers.text[i]);
    OK(zookeeper_close(c->zh));
}

static int in_order;
static void on_pipelined(int rc, const struct Stat *s, const void *index) {
    if (rc == ZOK && s->version == (int)(long)index / 2 + ((long)index % 2 == 0)) in_order++;
    if ((long)index == 9999) answer("last");
}

static void pipeline(void) {
    struct client *c = connected();
    events_init(&answers.e);
    for (long i = 0; i < 10000; i++) {
        if (i % 2 == 0) OK(zoo_aset(c->zh, c->root, "x", 1, -1, on_pipelined, (void *)i));
        else OK(zoo_aexists(c->zh, c->root, 0, on_pipelined, (void *)(i + 0)));
    }
    wait_until(&answers.e, &answers.e.count, 1, __LINE__, "the last answer");
    /* A set at index i makes version i/2+1; the exists behind it, at odd i, must see (i-1)/2+1. */
    THAT(in_order >= 5000);
    OK(zookeeper_close(c->zh));
}

/* --- multi ------------------------------------------------------------------------------------------------- */

static void multi(void) {
    struct client *c = connected();
    zoo_op_t ops[5];
    zoo_op_result_t results[5];
    char made[300], sequential[300], a[300], s1[300];
    struct Stat s;
    snprintf(a, 300, "%s/a", c->root);
    snprintf(s1, 300, "%s/s-0000000001", c->root);
    zoo_create_op_init(&ops[0], a, "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made);
    zoo_create_op_init(&ops[1], under(c, "s-"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, sequential, sizeof sequential);
    zoo_set_op_init(&ops[2], a, "22", 2, 0, &s);
    zoo_check_op_init(&ops[3], a, 1);
    zoo_delete_op_init(&ops[4], s1, -1);
    /* No container: its result has a type that this client does not know, and it aborts. */
    OK(zoo_multi(c->zh, 5, ops, results));
    SAME(a, made);
    SAME(s1, sequential);
    THAT(s.version == 1 && s.dataLength == 2);
    for (int i = 0; i < 5; i++) THAT(results[i].err == ZOK);
    OK(zookeeper_close(c->zh));
}

static void failed_multi(void) {
    struct client *c = connected();
    zoo_op_t ops[3];
    zoo_op_result_t results[3];
    struct Stat s;
    zoo_create_op_init(&ops[0], under(c, "a"), "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    zoo_check_op_init(&ops[1], c->root, 9);
    zoo_create_op_init(&ops[2], under(c, "b"), "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    CODE(ZBADVERSION, zoo_multi(c->zh, 3, ops, results));
    THAT(results[0].err == ZOK && results[1].err == ZBADVERSION && results[2].err == ZRUNTIMEINCONSISTENCY);
    CODE(ZNONODE, zoo_exists(c->zh, under(c, "a"), 0, &s));
    OK(zookeeper_close(c->zh));
}

static void asynchronous_multi(void) {
    struct client *c = connected();
    events_init(&answers.e);
    zoo_op_t op;
    zoo_op_result_t result;
    zoo_set_op_init(&op, c->root, "x", 1, 0, NULL);
    OK(zoo_amulti(c->zh, 1, &op, &result, on_void, "multi"));
    wait_until(&answers.e, &answers.e.count, 1, __LINE__, "the answer");
    SAME("multi 0", answers.text[0]);
    OK(zookeeper_close(c->zh));
}

/* --- watches ----------------------------------------------------------------------------------------------- */

static void watches(void) {
    struct client *c = connected();
    struct String_vector names;
    struct Stat s;
    char data[10], a[300];
    int length = sizeof data;
    snprintf(a, 300, "%s/a", c->root);
    CODE(ZNONODE, zoo_exists(c->zh, a, 1, &s));
    OK(zoo_get_children(c->zh, c->root, 1, &names));
    make(c, a, "1");
    EVENT(&c->events, ZOO_CREATED_EVENT, a);
    EVENT(&c->events, ZOO_CHILD_EVENT, c->root);
    OK(zoo_get(c->zh, a, 1, data, &length, &s));
    OK(zoo_set(c->zh, a, "2", 1, -1));
    EVENT(&c->events, ZOO_CHANGED_EVENT, a);
    OK(zoo_set(c->zh, a, "3", 1, -1));
    quiet(c);
    OK(zoo_exists(c->zh, a, 1, &s));
    OK(zoo_get_children2(c->zh, a, 1, &names, &s));
    OK(zoo_delete(c->zh, a, -1));
    EVENT(&c->events, ZOO_DELETED_EVENT, a);
    OK(zookeeper_close(c->zh));
}

static void watcher_objects(void) {
    struct client *c = connected();
    struct events data, kids, there;
    struct String_vector names;
    struct Stat s;
    char buffer[10];
    int length = sizeof buffer;
    events_init(&data);
    events_init(&kids);
    events_init(&there);
    OK(zoo_wget(c->zh, c->root, on_event, &data, buffer, &length, &s));
    OK(zoo_wexists(c->zh, c->root, on_event, &there, &s));
    OK(zoo_wget_children2(c->zh, c->root, on_event, &kids, &names, &s));
    OK(zoo_set(c->zh, c->root, "x", 1, -1));
    make(c, under(c, "a"), NULL);
    EVENT(&data, ZOO_CHANGED_EVENT, c->root);
    EVENT(&there, ZOO_CHANGED_EVENT, c->root);
    EVENT(&kids, ZOO_CHILD_EVENT, c->root);
    quiet(c);
    OK(zookeeper_close(c->zh));
}

static void remove_watches(void) {
    struct client *c = connected();
    struct events e;
    struct Stat s;
    char buffer[10];
    int length = sizeof buffer;
    events_init(&e);
    OK(zoo_wget(c->zh, c->root, on_event, &e, buffer, &length, &s));
    OK(zoo_remove_watches(c->zh, c->root, ZWATCHTYPE_DATA, on_event, &e, 0));
    /* Removing one watcher asks the server only whether there is one; removing all of a path removes it there. */
    OK(zoo_remove_all_watches(c->zh, c->root, ZWATCHTYPE_ANY, 0));
    CODE(ZNOWATCHER, zoo_remove_all_watches(c->zh, c->root, ZWATCHTYPE_ANY, 0));
    OK(zoo_set(c->zh, c->root, "x", 1, -1));
    quiet(c);
    for (int i = 0; i < e.count; i++) THAT(e.list[i].type != ZOO_CHANGED_EVENT);
    OK(zookeeper_close(c->zh));
}

static void ephemeral_of_another_client(void) {
    struct client *c = connected(), *owner = connected();
    struct Stat s;
    char e[300];
    snprintf(e, 300, "%s/e", c->root);
    OK(zoo_create(owner->zh, e, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0));
    OK(zoo_exists(c->zh, e, 1, &s));
    THAT(s.ephemeralOwner == zoo_client_id(owner->zh)->client_id);
    OK(zookeeper_close(owner->zh));
    EVENT(&c->events, ZOO_DELETED_EVENT, e);
    OK(zookeeper_close(c->zh));
}

static void watches_after_reconnect(void) {
    struct client *c = connected(), *other = connected();
    struct Stat s;
    struct String_vector names;
    char buffer[10], fresh[300];
    int length = sizeof buffer;
    snprintf(fresh, 300, "%s/fresh", c->root);
    OK(zoo_get(c->zh, c->root, 1, buffer, &length, &s));
    CODE(ZNONODE, zoo_exists(c->zh, fresh, 1, &s));
    OK(zoo_get_children(c->zh, other->root, 1, &names));
    cut_and_reconnect(c, other);
    quiet(c);
    OK(zoo_set(other->zh, c->root, "x", 1, -1));
    EVENT(&c->events, ZOO_CHANGED_EVENT, c->root);
    make(other, fresh, NULL);
    EVENT(&c->events, ZOO_CREATED_EVENT, fresh);
    make(other, under(other, "kid"), NULL);
    EVENT(&c->events, ZOO_CHILD_EVENT, other->root);
    OK(zookeeper_close(c->zh));
}

static void changes_while_away(void) {
    struct client *c = connected(), *other = connected();
    struct Stat s;
    char buffer[10], path[300];
    int length = sizeof buffer, before = c->events.connected, others = other->events.connected;
    snprintf(path, 300, "%s/fresh", c->root);
    OK(zoo_get(c->zh, c->root, 1, buffer, &length, &s));
    CODE(ZNONODE, zoo_exists(c->zh, path, 1, &s));
    /* Nobody listens there: the client is away until it hears of the server again. (Another address, because it compares those without ports.) */
    OK(zoo_set_servers(c->zh, "127.0.0.2:1"));
    cut();
    wait_until(&other->events, &other->events.connected, others + 1, __LINE__, "the other connected again");
    for (int i = 0; zoo_state(c->zh) == ZOO_CONNECTED_STATE; i++) {
        THAT(i < 6000);
        usleep(10000);
    }
    OK(zoo_set(other->zh, c->root, "x", 1, -1));
    make(other, path, NULL);
    OK(zoo_set_servers(c->zh, at));
    wait_until(&c->events, &c->events.connected, before + 1, __LINE__, "connected again");
    EVENT(&c->events, ZOO_CHANGED_EVENT, c->root);
    EVENT(&c->events, ZOO_CREATED_EVENT, path);
    OK(zookeeper_close(c->zh));
}

/* --- ACLs and authentication ------------------------------------------------------------------------------- */

static void add_auth(struct client *c, const char *scheme, const char *cert, int want) {
    events_init(&answers.e);
    OK(zoo_add_auth(c->zh, scheme, cert, (int)strlen(cert), on_void, "auth"));
    wait_until(&answers.e, &answers.e.count, 1, __LINE__, "the answer to auth");
    char text[40];
    snprintf(text, sizeof text, "auth %d", want);
    SAME(text, answers.text[0]);
}

static void acls(void) {
    struct client *c = connected();
    struct ACL_vector acl;
    struct Stat s;
    OK(zoo_get_acl(c->zh, c->root, &acl, &s));
    THAT(acl.count == 1 && acl.data[0].perms == ZOO_PERM_ALL && s.aversion == 0);
    SAME("world", acl.data[0].id.scheme);
    SAME("anyone", acl.data[0].id.id);
    OK(zoo_set_acl(c->zh, c->root, 0, &ZOO_READ_ACL_UNSAFE));
    CODE(ZNOAUTH, zoo_set(c->zh, c->root, "", 0, -1));
    CODE(ZNOAUTH, zoo_create(c->zh, under(c, "a"), "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    CODE(ZNOAUTH, zoo_set_acl(c->zh, c->root, -1, &ZOO_OPEN_ACL_UNSAFE));
    OK(zoo_exists(c->zh, c->root, 0, &s));
    THAT(s.aversion == 1);
    OK(zookeeper_close(c->zh));
}

static void digest(void) {
    struct client *c = connected(), *other = connected();
    struct ACL_vector acl;
    struct Stat s;
    char data[10];
    int length = sizeof data;
    add_auth(c, "digest", "pat:secret", ZOK);
    OK(zoo_create(c->zh, under(c, "mine"), "m", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0));
    OK(zoo_get_acl(c->zh, under(c, "mine"), &acl, &s));
    SAME("digest", acl.data[0].id.scheme);
    THAT(!strncmp(acl.data[0].id.id, "pat:", 4));
    CODE(ZNOAUTH, zoo_get(other->zh, under(c, "mine"), 0, data, &length, &s));
    add_auth(other, "digest", "pat:secret", ZOK);
    OK(zoo_get(other->zh, under(c, "mine"), 0, data, &length, &s));
    struct client *super = connected();
    add_auth(super, "digest", "super:test", ZOK);
    length = sizeof data;
    OK(zoo_get(super->zh, under(c, "mine"), 0, data, &length, &s));
    OK(zookeeper_close(super->zh));
    OK(zookeeper_close(other->zh));
    OK(zookeeper_close(c->zh));
}

static void unknown_scheme(void) {
    struct client *c = connected();
    add_auth(c, "nothing", "x", ZAUTHFAILED);
    THAT(is_unrecoverable(c->zh) == ZINVALIDSTATE);
    zookeeper_close(c->zh);
}

/* --- sessions ---------------------------------------------------------------------------------------------- */

static void session_fields(void) {
    struct client c;
    open_client(&c, NULL, 3000);
    wait_until(&c.events, &c.events.connected, 1, __LINE__, "connected");
    THAT(zoo_recv_timeout(c.zh) == 3000);
    THAT(zoo_client_id(c.zh)->client_id != 0 && zoo_state(c.zh) == ZOO_CONNECTED_STATE);
    SAME(at, zoo_get_current_server(c.zh));
    OK(zookeeper_close(c.zh));
    /* Between 2 and 20 ticks of 500 ms, whatever is asked for. */
    int asked[] = {300, 60000}, given[] = {1000, 10000};
    for (int i = 0; i < 2; i++) {
        open_client(&c, NULL, asked[i]);
        wait_until(&c.events, &c.events.connected, 1, __LINE__, "connected");
        THAT(zoo_recv_timeout(c.zh) == given[i]);
        OK(zookeeper_close(c.zh));
    }
}

static void resumed_session(void) {
    /* The first client is a process that dies: a living one would fight for its session. */
    struct { clientid_t id; char e[300]; } first;
    int pipes[2];
    THAT(pipe(pipes) == 0);
    if (fork() == 0) {
        struct client *c = connected();
        snprintf(first.e, 300, "%s/e", c->root);
        OK(zoo_create(c->zh, first.e, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0));
        first.id = *zoo_client_id(c->zh);
        _exit(write(pipes[1], &first, sizeof first) == sizeof first ? 0 : 1);
    }
    close(pipes[1]);
    THAT(read(pipes[0], &first, sizeof first) == sizeof first);
    struct client second;
    struct Stat s;
    open_client(&second, &first.id, 10000);
    wait_until(&second.events, &second.events.connected, 1, __LINE__, "connected with the id");
    OK(zoo_exists(second.zh, first.e, 0, &s));
    THAT(s.ephemeralOwner == first.id.client_id && zoo_client_id(second.zh)->client_id == first.id.client_id);
    OK(zookeeper_close(second.zh));
}

static void expired_session(void) {
    struct client c, *owner = connected();
    struct Stat s;
    /* A session that never was, and one that lives, under a wrong password. */
    clientid_t ids[] = {{0x123456789, "wrong password"}, {zoo_client_id(owner->zh)->client_id, "wrong password"}};
    int before = owner->events.connected;
    for (int i = 0; i < 2; i++) {
        open_client(&c, &ids[i], 5000);
        wait_until(&c.events, &c.events.expired, 1, __LINE__, "told that the session expired");
        THAT(is_unrecoverable(c.zh) == ZINVALIDSTATE);
        zookeeper_close(c.zh);
    }
    /* The attempt costs the owner its connection, with Apache too, but not its session. */
    wait_until(&owner->events, &owner->events.connected, before + 1, __LINE__, "the owner connected again");
    OK(zoo_exists(owner->zh, owner->root, 0, &s));
    THAT(zoo_client_id(owner->zh)->client_id == ids[1].client_id);
    OK(zookeeper_close(owner->zh));
}

static void changed_servers(void) {
    struct client *c = connected();
    struct Stat s;
    int64_t id = zoo_client_id(c->zh)->client_id;
    OK(zoo_set_servers(c->zh, at));
    for (int i = 0; i < 3; i++) {
        cut_and_reconnect(c, NULL);
    }
    OK(zoo_exists(c->zh, c->root, 0, &s));
    THAT(zoo_client_id(c->zh)->client_id == id);
    OK(zookeeper_close(c->zh));
}

static void chroot_suffix(void) {
    struct client *c = connected(), inside;
    struct Stat s;
    char connect[200], path[100];
    snprintf(connect, sizeof connect, "%s%s", at, c->root);
    events_init(&inside.events);
    inside.zh = zookeeper_init(connect, on_event, 10000, NULL, &inside.events, 0);
    wait_until(&inside.events, &inside.events.connected, 1, __LINE__, "connected with a chroot");
    OK(zoo_create(inside.zh, "/a", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path));
    SAME("/a", path);
    OK(zoo_exists(c->zh, under(c, "a"), 0, &s));
    OK(zookeeper_close(inside.zh));
    OK(zookeeper_close(c->zh));
}

/* --- all of them ------------------------------------------------------------------------------------------- */

static const struct { const char *name; void (*body)(void); } CHECKS[] = {
    {"create, get, set, exists, delete", crud}, {"create2", create2}, {"null and empty data", null_and_empty}, {"1 MB of data", large_data},
    {"TTL and container nodes", ttl_and_container}, {"children", children}, {"error codes", errors}, {"getconfig and a disabled reconfig", config},
    {"every asynchronous call, in order", asynchronous}, {"a deep mixed pipeline", pipeline}, {"multi", multi}, {"a failed multi changes nothing", failed_multi},
    {"asynchronous multi", asynchronous_multi}, {"watches of the session", watches}, {"watcher objects", watcher_objects}, {"removing watches", remove_watches},
    {"an ephemeral of another client", ephemeral_of_another_client}, {"watches after a reconnect", watches_after_reconnect},
    {"changes while the client was away", changes_while_away}, {"ACLs", acls},
    {"digest and super", digest}, {"an unknown auth scheme", unknown_scheme}, {"fields of a session", session_fields}, {"a resumed session", resumed_session},
    {"an expired session", expired_session}, {"reconnecting keeps the session", changed_servers}, {"a chroot", chroot_suffix},
};

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    at = argv[1];
    zoo_set_debug_level(0);
    int failed = 0;
    for (size_t i = 0; i < sizeof CHECKS / sizeof *CHECKS; i++) {
        int pipes[2];
        if (pipe(pipes)) return 3;
        pid_t child = fork();
        if (child == 0) {
            dup2(pipes[1], 2);
            close(pipes[0]);
            alarm(300);
            CHECKS[i].body();
            _exit(0);
        }
        close(pipes[1]);
        char why[700];
        size_t length = 0;
        ssize_t n;
        while (length < sizeof why - 1 && (n = read(pipes[0], why + length, sizeof why - 1 - length)) > 0) length += (size_t)n;
        why[length] = 0;
        for (char *p = why; *p; p++) if (*p == '\n') *p = ' ';
        close(pipes[0]);
        int status;
        waitpid(child, &status, 0);
        if (status == 0) printf("ok %s\n", CHECKS[i].name);
        else {
            failed++;
            if (WIFSIGNALED(status)) printf("FAIL %s: signal %d %s\n", CHECKS[i].name, WTERMSIG(status), why);
            else printf("FAIL %s: %s\n", CHECKS[i].name, why);
        }
        fflush(stdout);
    }
    return failed ? 1 : 0;
}
