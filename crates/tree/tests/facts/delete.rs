//! Section 10.2.

use super::*;

#[test]
fn paths_that_are_refused() {
    let mut server = Server::new();
    assert_eq!(server.code(&Request::Delete(Delete { path: None, version: -1 })), -5);
    for path in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "wire", "", "/wire/\0"] {
        assert_eq!(server.delete(path), -8, "{path:?}");
    }
}

#[test]
fn paths_are_looked_up_but_not_validated() {
    let mut server = Server::new();
    for path in ["/wire/", "/wire/.", "/wire/\u{1}", "/wire/none", "/none/a", "//", "//wire"] {
        assert_eq!(server.delete(path), -101, "{path:?}");
    }
}

#[test]
fn permission_is_the_parents_and_comes_before_the_node() {
    let mut server = Server::new();
    server.create(Create { acl: restricted(), ..node("/wire/r") }).unwrap();
    server.ids.push(id("digest", "u:p"));
    server.make("/wire/r/x");
    server.ids.pop();
    assert_eq!(server.delete("/wire/r/x"), -102);
    assert_eq!(server.delete("/wire/r/none"), -102);
    server.create(Create { acl: world(0), ..node("/wire/a") }).unwrap();
    assert_eq!(server.delete("/wire/a"), 0, "the node's own list does not matter");
}

#[test]
fn versions() {
    let mut server = Server::new();
    server.make("/wire/a");
    for version in [1, -2, i32::MIN] {
        assert_eq!(server.code(&delete("/wire/a", version)), -103, "{version}");
    }
    server.set("/wire/a", "x");
    assert_eq!(server.code(&delete("/wire/a", 0)), -103);
    assert_eq!(server.code(&delete("/wire/a", 1)), 0);
}

#[test]
fn a_wrong_version_comes_before_children() {
    let mut server = Server::new();
    server.make("/wire/a");
    assert_eq!(server.code(&delete("/wire", 7)), -103);
    assert_eq!(server.code(&delete("/wire", 0)), -111);
    assert_eq!(server.delete("/wire"), -111);
}

#[test]
fn the_parent_remembers() {
    let mut server = Server::new();
    server.make("/wire/a");
    server.set("/wire/a", "x");
    assert_eq!(server.delete("/wire/a"), 0);
    let parent = server.stat("/wire");
    assert_eq!((parent.cversion, parent.num_children, parent.pzxid), (2, 0, Zxid(server.zxid)));
    assert_eq!((parent.version, parent.mzxid), (0, parent.czxid));
    server.make("/wire/a");
    let again = server.stat("/wire/a");
    assert_eq!((again.version, again.cversion, again.czxid), (0, 0, Zxid(server.zxid)), "a new life");
    assert_eq!(server.stat("/wire").cversion, 3);
}

/// Section 20, row 4: Apache's server dies of it.
#[test]
fn quota_names_in_odd_places_are_plain_nodes() {
    let mut server = Server::new();
    for path in ["/zookeeper/zookeeper_limits", "/zookeeper/zookeeper_stats", "/zookeepers"] {
        server.make(path);
    }
    for path in ["/zookeepers/zookeeper_limits", "/zookeepers/zookeeper_stats"] {
        server.make(path);
        assert_eq!(server.delete(path), 0);
    }
    assert_eq!(server.delete("/zookeeper/zookeeper_limits"), 0);
    assert_eq!(server.delete("/zookeeper/zookeeper_stats"), 0);
}
