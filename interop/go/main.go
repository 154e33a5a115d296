// go-zookeeper against the server: its whole API. usage: go-suite HOST:PORT
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

var (
	at    string
	world = zk.WorldACL(zk.PermAll)
	roots int
)

// silence keeps go-zookeeper's own log lines out of the output.
type silence struct{}

func (silence) Printf(string, ...interface{}) {}

// client is a connection with its session events and its sockets, so that a test can cut them.
type client struct {
	*zk.Conn
	events  <-chan zk.Event
	mu      sync.Mutex
	sockets []net.Conn
}

func connect() *client {
	c := &client{}
	dial := func(network, address string, timeout time.Duration) (net.Conn, error) {
		s, err := net.DialTimeout(network, address, timeout)
		if err == nil {
			c.mu.Lock()
			c.sockets = append(c.sockets, s)
			c.mu.Unlock()
		}
		return s, err
	}
	conn, events, err := zk.Connect([]string{at}, 10*time.Second, zk.WithDialer(dial), zk.WithLogger(silence{}))
	ok(err)
	c.Conn, c.events = conn, events
	c.state(zk.StateHasSession)
	return c
}

// state waits for a session state; states before it are passed over.
func (c *client) state(want zk.State) {
	late := time.After(60 * time.Second)
	for {
		select {
		case e := <-c.events:
			if e.State == want && e.Type == zk.EventSession {
				return
			}
		case <-late:
			panic(fmt.Sprintf("state %v did not come within 60 s", want))
		}
	}
}

// cut closes every socket of the client, as a broken network would.
func (c *client) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		s.Close()
	}
	c.sockets = nil
}

// with gives the body a client and a fresh root.
func with(body func(c *client, p string)) func() {
	return func() {
		c := connect()
		defer c.Close()
		roots++
		p, err := c.Create(fmt.Sprintf("/go-%d-%d", os.Getpid(), roots), nil, zk.FlagPersistent, world)
		ok(err)
		body(c, p)
	}
}

func (c *client) make(path string, data string, flags int32) string {
	made, err := c.Create(path, []byte(data), flags, world)
	ok(err)
	return made
}

func event(from <-chan zk.Event, kind zk.EventType, path string) {
	select {
	case e := <-from:
		equal(fmt.Sprint(kind, " ", path), fmt.Sprint(e.Type, " ", e.Path))
	case <-time.After(60 * time.Second):
		panic("no event within 60 s")
	}
}

func main() {
	at = os.Args[1]
	check("create, get, set, exists, delete", with(crud))
	check("kinds of nodes", with(kinds))
	check("sequential names", with(sequential))
	check("TTL and container nodes", with(ttlAndContainer))
	check("protected ephemeral sequential", with(protected))
	check("children", with(children))
	check("null, empty and large data", with(data))
	check("errors", with(failures))
	check("data watch", with(dataWatch))
	check("exists watch", with(existsWatch))
	check("child watch", with(childWatch))
	check("watches survive a lost connection", with(watchesSurvive))
	check("multi", with(multi))
	check("a failed multi changes nothing", with(failedMulti))
	check("ACLs", with(acls))
	check("auth", with(auth))
	check("auth survives a lost connection", with(authSurvives))
	check("an unknown auth scheme", with(badAuth))
	check("sync", with(synchronise))
	check("lock", with(lock))
	check("the lock of a closed client is freed", with(lockFreed))
	check("lost connection keeps the session", with(lost))
	check("close deletes ephemerals", with(closing))
	check("reconfig is refused", with(reconfig))
	check("four-letter words", fourLetters)
	check("200 goroutines on one connection", with(concurrent))
	if failed > 0 {
		os.Exit(1)
	}
}

func crud(c *client, p string) {
	equal(p+"/a", c.make(p+"/a", "one", zk.FlagPersistent))
	got, stat, err := c.Get(p + "/a")
	ok(err)
	equal("one", string(got))
	equal(int32(0), stat.Version)
	equal(int32(3), stat.DataLength)
	equal(stat.Czxid, stat.Mzxid)
	stat, err = c.Set(p+"/a", []byte("two"), 0)
	ok(err)
	equal(int32(1), stat.Version)
	there, again, err := c.Exists(p + "/a")
	ok(err)
	that(there, "not there")
	equal(stat, again)
	ok(c.Delete(p+"/a", 1))
	there, _, err = c.Exists(p + "/a")
	ok(err)
	that(!there, "still there")
}

func kinds(c *client, p string) {
	c.make(p+"/e", "", zk.FlagEphemeral)
	_, stat, err := c.Get(p + "/e")
	ok(err)
	equal(c.SessionID(), stat.EphemeralOwner)
	_, err = c.Create(p+"/e/kid", nil, 0, world)
	equal(zk.ErrNoChildrenForEphemerals, err)
	c.make(p+"/p", "", zk.FlagPersistent)
	_, stat, err = c.Get(p + "/p")
	ok(err)
	equal(int64(0), stat.EphemeralOwner)
}

func sequential(c *client, p string) {
	equal(p+"/s-0000000000", c.make(p+"/s-", "", zk.FlagSequence))
	equal(p+"/s-0000000001", c.make(p+"/s-", "", zk.FlagSequence|zk.FlagEphemeral))
	ok(c.Delete(p+"/s-0000000001", -1))
	equal(p+"/t0000000002", c.make(p+"/t", "", zk.FlagSequence))
}

func ttlAndContainer(c *client, p string) {
	t, err := c.CreateTTL(p+"/t", nil, zk.FlagTTL, world, 500*time.Millisecond)
	ok(err)
	s, err := c.CreateTTL(p+"/s-", nil, zk.FlagPersistentSequentialWithTTL, world, time.Hour)
	ok(err)
	equal(p+"/s-0000000001", s)
	_, err = c.CreateContainer(p+"/c", nil, zk.FlagContainer, world)
	ok(err)
	c.make(p+"/c/kid", "", zk.FlagPersistent)
	ok(c.Delete(p+"/c/kid", -1))
	for _, path := range []string{t, p + "/c"} {
		eventually(path+" is deleted", func() bool {
			there, _, err := c.Exists(path)
			ok(err)
			return !there
		})
	}
	there, _, err := c.Exists(s)
	ok(err)
	that(there, "a TTL node with time left was deleted")
}

func protected(c *client, p string) {
	made, err := c.CreateProtectedEphemeralSequential(p+"/lock-", nil, world)
	ok(err)
	that(strings.HasSuffix(made, "lock-0000000000") && strings.Contains(made, "/_c_"), "unexpected name "+made)
}

func children(c *client, p string) {
	for _, n := range []string{"b", "a", "c"} {
		c.make(p+"/"+n, "", zk.FlagPersistent)
	}
	names, stat, err := c.Children(p)
	ok(err)
	sort.Strings(names)
	equal([]string{"a", "b", "c"}, names)
	equal(int32(3), stat.NumChildren)
	names, _, err = c.Children(p + "/a")
	ok(err)
	equal(0, len(names))
}

func data(c *client, p string) {
	_, err := c.Create(p+"/null", nil, 0, world)
	ok(err)
	got, stat, err := c.Get(p + "/null")
	ok(err)
	equal(0, len(got))
	equal(int32(0), stat.DataLength)
	large := []byte(strings.Repeat("0123456789", 100_000))
	_, err = c.Set(p+"/null", large, -1)
	ok(err)
	got, _, err = c.Get(p + "/null")
	ok(err)
	that(string(large) == string(got), "1 MB came back changed")
}

func failures(c *client, p string) {
	_, _, err := c.Get(p + "/none")
	equal(zk.ErrNoNode, err)
	_, err = c.Set(p+"/none", nil, -1)
	equal(zk.ErrNoNode, err)
	equal(zk.ErrNoNode, c.Delete(p+"/none", -1))
	_, _, err = c.Children(p + "/none")
	equal(zk.ErrNoNode, err)
	_, err = c.Create(p, nil, 0, world)
	equal(zk.ErrNodeExists, err)
	_, err = c.Create(p+"/none/x", nil, 0, world)
	equal(zk.ErrNoNode, err)
	_, err = c.Set(p, nil, 7)
	equal(zk.ErrBadVersion, err)
	equal(zk.ErrBadVersion, c.Delete(p, 7))
	c.make(p+"/kid", "", 0)
	equal(zk.ErrNotEmpty, c.Delete(p, -1))
	_, err = c.Create(p+"/a", nil, 0, []zk.ACL{{Perms: zk.PermAll, Scheme: "nothing", ID: "x"}})
	equal(zk.ErrInvalidACL, err)
	equal(zk.ErrBadArguments, c.Delete("/zookeeper", -1))
}

func dataWatch(c *client, p string) {
	_, _, w, err := c.GetW(p)
	ok(err)
	_, err = c.Set(p, []byte("x"), -1)
	ok(err)
	event(w, zk.EventNodeDataChanged, p)
	_, _, w, err = c.GetW(p)
	ok(err)
	ok(c.Delete(p, -1))
	event(w, zk.EventNodeDeleted, p)
}

func existsWatch(c *client, p string) {
	there, _, w, err := c.ExistsW(p + "/a")
	ok(err)
	that(!there, "there already")
	c.make(p+"/a", "", 0)
	event(w, zk.EventNodeCreated, p+"/a")
	there, _, w, err = c.ExistsW(p + "/a")
	ok(err)
	that(there, "not there")
	ok(c.Delete(p+"/a", -1))
	event(w, zk.EventNodeDeleted, p+"/a")
}

func childWatch(c *client, p string) {
	other := connect()
	defer other.Close()
	_, _, w, err := c.ChildrenW(p)
	ok(err)
	other.make(p+"/a", "", zk.FlagEphemeral)
	event(w, zk.EventNodeChildrenChanged, p)
	_, _, w, err = c.ChildrenW(p)
	ok(err)
	other.Close()
	event(w, zk.EventNodeChildrenChanged, p)
}

func watchesSurvive(c *client, p string) {
	other := connect()
	defer other.Close()
	other.make(p+"/d", "", 0)
	_, _, data, err := c.GetW(p + "/d")
	ok(err)
	_, _, exists, err := c.ExistsW(p + "/new")
	ok(err)
	_, _, kids, err := c.ChildrenW(p + "/d")
	ok(err)
	c.cut()
	c.state(zk.StateDisconnected)
	_, err = other.Set(p+"/d", []byte("changed"), -1)
	ok(err)
	c.state(zk.StateHasSession)
	event(data, zk.EventNodeDataChanged, p+"/d")
	other.make(p+"/new", "", 0)
	event(exists, zk.EventNodeCreated, p+"/new")
	other.make(p+"/d/kid", "", 0)
	event(kids, zk.EventNodeChildrenChanged, p+"/d")
}

func multi(c *client, p string) {
	r, err := c.Multi(
		&zk.CreateRequest{Path: p + "/a", Data: []byte("1"), Acl: world},
		&zk.CreateRequest{Path: p + "/s-", Acl: world, Flags: zk.FlagEphemeral | zk.FlagSequence},
		&zk.SetDataRequest{Path: p + "/a", Data: []byte("2"), Version: 0},
		&zk.CheckVersionRequest{Path: p + "/a", Version: 1},
		&zk.DeleteRequest{Path: p + "/s-0000000001", Version: -1})
	ok(err)
	equal(5, len(r))
	equal(p+"/a", r[0].String)
	equal(p+"/s-0000000001", r[1].String)
	equal(int32(1), r[2].Stat.Version)
	got, _, err := c.Get(p + "/a")
	ok(err)
	equal("2", string(got))
}

func failedMulti(c *client, p string) {
	r, err := c.Multi(
		&zk.CreateRequest{Path: p + "/a", Acl: world},
		&zk.DeleteRequest{Path: p + "/none", Version: -1},
		&zk.CreateRequest{Path: p + "/b", Acl: world})
	that(err != nil, "it succeeded")
	equal(3, len(r))
	equal(nil, r[0].Error)
	equal(zk.ErrNoNode, r[1].Error)
	that(r[2].Error != nil, "the operation behind the failure has no error")
	names, _, err := c.Children(p)
	ok(err)
	equal(0, len(names))
}

func acls(c *client, p string) {
	acl, stat, err := c.GetACL(p)
	ok(err)
	equal(world, acl)
	stat, err = c.SetACL(p, zk.WorldACL(zk.PermRead|zk.PermAdmin), stat.Aversion)
	ok(err)
	equal(int32(1), stat.Aversion)
	_, err = c.Set(p, nil, -1)
	equal(zk.ErrNoAuth, err)
	_, err = c.Create(p+"/a", nil, 0, world)
	equal(zk.ErrNoAuth, err)
	_, err = c.SetACL(p, world, 0)
	equal(zk.ErrBadVersion, err)
	_, err = c.SetACL(p, world, 1)
	ok(err)
}

func auth(c *client, p string) {
	ok(c.AddAuth("digest", []byte("gopher:pw")))
	_, err := c.Create(p+"/mine", []byte("m"), 0, zk.AuthACL(zk.PermAll))
	ok(err)
	acl, _, err := c.GetACL(p + "/mine")
	ok(err)
	equal(zk.DigestACL(zk.PermAll, "gopher", "pw"), acl)
	other := connect()
	defer other.Close()
	_, _, err = other.Get(p + "/mine")
	equal(zk.ErrNoAuth, err)
	ok(other.AddAuth("digest", []byte("gopher:pw")))
	_, _, err = other.Get(p + "/mine")
	ok(err)
}

func authSurvives(c *client, p string) {
	ok(c.AddAuth("digest", []byte("gopher:pw")))
	_, err := c.Create(p+"/mine", nil, 0, zk.DigestACL(zk.PermAll, "gopher", "pw"))
	ok(err)
	c.cut()
	c.state(zk.StateDisconnected)
	c.state(zk.StateHasSession)
	_, _, err = c.Get(p + "/mine")
	ok(err)
}

func badAuth(c *client, _ string) {
	that(c.AddAuth("nothing", []byte("x")) != nil, "an unknown scheme was accepted")
}

func synchronise(c *client, p string) {
	got, err := c.Sync(p)
	ok(err)
	equal(p, got)
}

func lock(c *client, p string) {
	inside, most, count := 0, 0, 0
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := 0; i < 5; i++ {
		mine := c
		if i > 1 {
			mine = connect()
			defer mine.Close()
		}
		all.Add(1)
		go func() {
			defer all.Done()
			for j := 0; j < 6; j++ {
				l := zk.NewLock(mine.Conn, p+"/lock", world)
				if l.Lock() != nil {
					return
				}
				mu.Lock()
				inside, count = inside+1, count+1
				if inside > most {
					most = inside
				}
				mu.Unlock()
				time.Sleep(2 * time.Millisecond)
				mu.Lock()
				inside--
				mu.Unlock()
				if l.Unlock() != nil {
					return
				}
			}
		}()
	}
	all.Wait()
	equal([]int{30, 1}, []int{count, most})
}

func lockFreed(c *client, p string) {
	other := connect()
	ok(zk.NewLock(other.Conn, p+"/lock", world).LockWithData([]byte("other")))
	l := zk.NewLock(c.Conn, p+"/lock", world)
	done := make(chan error)
	go func() { done <- l.Lock() }()
	select {
	case <-done:
		panic("two holders")
	case <-time.After(100 * time.Millisecond):
	}
	other.Close()
	select {
	case err := <-done:
		ok(err)
	case <-time.After(60 * time.Second):
		panic("the lock was not freed")
	}
	equal(zk.ErrDeadlock, l.Lock())
	ok(l.Unlock())
	equal(zk.ErrNotLocked, l.Unlock())
}

func lost(c *client, p string) {
	c.make(p+"/e", "", zk.FlagEphemeral)
	session := c.SessionID()
	for i := 0; i < 3; i++ {
		c.cut()
		c.state(zk.StateDisconnected)
		c.state(zk.StateHasSession)
	}
	equal(session, c.SessionID())
	_, stat, err := c.Get(p + "/e")
	ok(err)
	equal(session, stat.EphemeralOwner)
}

func closing(c *client, p string) {
	other := connect()
	other.make(p+"/e", "", zk.FlagEphemeral)
	other.Close()
	eventually("the ephemeral goes", func() bool {
		there, _, err := c.Exists(p + "/e")
		ok(err)
		return !there
	})
	_, _, err := other.Get(p)
	that(errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrClosing), fmt.Sprint("after close: ", err))
}

func reconfig(c *client, _ string) {
	_, err := c.IncrementalReconfig([]string{"server.9=h:1:2:participant;3"}, nil, -1)
	equal(zk.ErrReconfigDisabled, err)
	_, err = c.Reconfig([]string{"server.9=h:1:2:participant;3"}, -1)
	equal(zk.ErrReconfigDisabled, err)
}

func fourLetters() {
	c := connect()
	defer c.Close()
	equal([]bool{true}, zk.FLWRuok([]string{at}, time.Second))
	// FLWSrvr is left out: it does not understand the date format that servers of 3.9 print.
	// The second result is false with every server: FLWCons does not understand the line of its own connection.
	clients, _ := zk.FLWCons([]string{at}, time.Second)
	found := false
	for _, one := range clients[0].Clients {
		found = found || one.SessionID == c.SessionID()
	}
	that(found, "cons does not list this session")
}

func concurrent(c *client, p string) {
	problems := make(chan error, 200)
	for i := 0; i < 200; i++ {
		i := i
		go func() {
			path := fmt.Sprintf("%s/n%d", p, i)
			var err error
			for j := 0; j < 10 && err == nil; j++ {
				if _, err = c.Create(path, []byte{byte(j)}, 0, world); err != nil {
					break
				}
				var got []byte
				if got, _, err = c.Get(path); err == nil && got[0] != byte(j) {
					err = errors.New("another goroutine's answer")
				}
				if err == nil {
					err = c.Delete(path, 0)
				}
			}
			problems <- err
		}()
	}
	for i := 0; i < 200; i++ {
		ok(<-problems)
	}
}
