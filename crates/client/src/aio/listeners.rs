//! Who listens to which watch, and which watches at the server nobody listens to any more.

use crate::aio::mailbox::Mailbox;
use crate::aio::shared::Registration;
use crate::aio::watcher::{Kind, Notice};
use crate::effect::WatchEvent;
use crate::watches::{WatchKind, Watches};
use ostler_model::EventType;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
struct Place {
    listeners: Vec<(Kind, Mailbox<Notice>)>,
    /// Requests on their way that set a watch here: while there are any, no watch of their kind is removed.
    coming: Vec<Kind>,
}

/// Listeners by the server's path.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    places: BTreeMap<String, Place>,
    /// Where somebody left since the last look.
    left: BTreeSet<(String, Kind)>,
}

impl Listeners {
    /// A request that sets a watch is on its way.
    pub fn coming(&mut self, registration: &Registration) {
        self.places.entry(registration.path.clone()).or_default().coming.push(registration.kind);
    }

    /// It was answered: the watch is set, or is not.
    pub fn arrived(&mut self, registration: Registration, is_set: bool) {
        let Registration { path, kind, mailbox } = registration;
        let place = self.places.get_mut(&path).expect("it was announced");
        let at = place.coming.iter().position(|other| *other == kind).expect("it was announced");
        place.coming.swap_remove(at);
        if is_set && !mailbox.is_deaf() {
            place.listeners.push((kind, mailbox));
        } else {
            mailbox.end();
        }
        self.left(path, kind);
    }

    /// Somebody left: look whether a watch is needed no more.
    pub fn left(&mut self, path: String, kind: Kind) {
        if let Some(place) = self.places.get_mut(&path) {
            place.listeners.retain(|(_, mailbox)| !mailbox.is_deaf());
            if place.listeners.is_empty() && place.coming.is_empty() {
                self.places.remove(&path);
            }
        }
        self.left.insert((path, kind));
    }

    /// Watches that the server has and nobody needs.
    pub fn take_unneeded(&mut self, watches: &Watches) -> Vec<(String, Kind)> {
        let left = std::mem::take(&mut self.left);
        let is_needed = |path: &str, kind: Kind| {
            self.places.get(path).is_some_and(|place| {
                place.coming.contains(&kind) || place.listeners.iter().any(|(other, _)| *other == kind)
            })
        };
        let is_set = |path: &str, kind: Kind| match kind {
            Kind::Data => watches.holds(path, WatchKind::Data) || watches.holds(path, WatchKind::Exist),
            Kind::Child => watches.holds(path, WatchKind::Child),
            Kind::Persistent => watches.holds(path, WatchKind::Persistent),
            Kind::Recursive => watches.holds(path, WatchKind::Recursive),
        };
        left.into_iter().filter(|(path, kind)| is_set(path, *kind) && !is_needed(path, *kind)).collect()
    }

    /// Hands an event out. `inside` makes the caller's path of the server's.
    pub fn event(&mut self, event: &WatchEvent, inside: impl FnOnce(&str) -> String) {
        let notice = Notice::Event(WatchEvent { path: inside(&event.path), ..event.clone() });
        if let Some(place) = self.places.get_mut(&event.path) {
            place.listeners.retain(|(kind, mailbox)| {
                if *kind != Kind::Recursive && kind.fits(event.kind) {
                    push(mailbox, &notice);
                    // A spent watch says nothing more.
                    if kind.is_one_shot() {
                        mailbox.end();
                        return false;
                    }
                }
                true
            });
            if place.listeners.is_empty() && place.coming.is_empty() {
                self.places.remove(&event.path);
            }
        }
        if event.kind != EventType::NodeChildrenChanged {
            for at in at_and_above(&event.path) {
                let listeners = self.places.get(at).into_iter().flat_map(|place| &place.listeners);
                listeners.filter(|(kind, _)| *kind == Kind::Recursive).for_each(|(_, mailbox)| push(mailbox, &notice));
            }
        }
    }

    /// Persistent watches have gaps: their listeners are told.
    pub fn missed(&self) {
        let all = self.places.values().flat_map(|place| &place.listeners);
        all.filter(|(kind, _)| !kind.is_one_shot()).for_each(|(_, mailbox)| push(mailbox, &Notice::Missed));
    }

    /// The session is over.
    pub fn end(&mut self) {
        let all = std::mem::take(&mut self.places).into_values().flat_map(|place| place.listeners);
        all.for_each(|(_, mailbox)| mailbox.end());
    }
}

fn push(mailbox: &Mailbox<Notice>, notice: &Notice) {
    mailbox.push(notice.clone(), |notices| {
        notices.clear();
        notices.push_back(Notice::Missed);
    });
}

/// The path and its ancestors up to the root.
fn at_and_above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |at| match at.rfind('/') {
        _ if *at == "/" => None,
        Some(0) => Some("/"),
        Some(slash) => Some(&at[..slash]),
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_model::Zxid;
    use std::task::{Context, Poll, Waker};

    fn registration(path: &str, kind: Kind) -> Registration {
        Registration { path: path.into(), kind, mailbox: Mailbox::new(2) }
    }

    fn listen(listeners: &mut Listeners, path: &str, kind: Kind) -> Mailbox<Notice> {
        let registration = registration(path, kind);
        listeners.coming(&registration);
        listeners.arrived(registration.clone(), true);
        registration.mailbox
    }

    fn event(path: &str, kind: EventType) -> WatchEvent {
        WatchEvent { zxid: Zxid(1), kind, path: path.into() }
    }

    fn take(mailbox: &Mailbox<Notice>) -> Poll<Option<Notice>> {
        mailbox.poll_next(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn each_kind_hears_what_its_watch_is_for() {
        let kinds = [Kind::Data, Kind::Child, Kind::Persistent, Kind::Recursive];
        let heard = |kind: EventType, path: &str| {
            let mut listeners = Listeners::default();
            let mailboxes = kinds.map(|kind| listen(&mut listeners, "/a", kind));
            listeners.event(&event(path, kind), str::to_owned);
            mailboxes.map(|mailbox| matches!(take(&mailbox), Poll::Ready(Some(Notice::Event(_)))))
        };
        assert_eq!(heard(EventType::NodeDataChanged, "/a"), [true, false, true, true]);
        assert_eq!(heard(EventType::NodeCreated, "/a"), [true, false, true, true]);
        assert_eq!(heard(EventType::NodeDeleted, "/a"), [true, true, true, true]);
        assert_eq!(heard(EventType::NodeChildrenChanged, "/a"), [false, true, true, false]);
        assert_eq!(heard(EventType::NodeCreated, "/a/b/c"), [false, false, false, true]);
        assert_eq!(heard(EventType::NodeCreated, "/ab"), [false; 4]);
    }

    #[test]
    fn a_watch_stays_while_somebody_needs_it_or_will() {
        let mut watches = Watches::default();
        watches.add("/a".into(), WatchKind::Data);
        let mut listeners = Listeners::default();
        let [first, second] = [(); 2].map(|()| listen(&mut listeners, "/a", Kind::Data));
        let third = registration("/a", Kind::Data);
        listeners.coming(&third);
        for gone in [first, second] {
            gone.leave();
            listeners.left("/a".into(), Kind::Data);
            assert_eq!(listeners.take_unneeded(&watches), []);
        }
        listeners.arrived(third, false);
        assert_eq!(listeners.take_unneeded(&watches), [("/a".to_owned(), Kind::Data)]);
        assert!(listeners.places.is_empty());
    }

    #[test]
    fn who_does_not_listen_in_time_is_told_so() {
        let mut listeners = Listeners::default();
        let slow = listen(&mut listeners, "/", Kind::Recursive);
        for name in ["/1", "/2", "/3"] {
            listeners.event(&event(name, EventType::NodeCreated), str::to_owned);
        }
        let expected = [Notice::Missed, Notice::Event(event("/3", EventType::NodeCreated))];
        assert_eq!([take(&slow), take(&slow)], expected.map(|notice| Poll::Ready(Some(notice))));
        listeners.missed();
        listeners.end();
        assert_eq!([take(&slow), take(&slow)], [Poll::Ready(Some(Notice::Missed)), Poll::Ready(None)]);
    }
}
