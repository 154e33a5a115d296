//! What arrives while the log is being cut: bounded in number and in bytes.

use crate::Message;
use alloc::collections::VecDeque;

/// Messages.
const MESSAGES_MAX: usize = 1 << 16;
/// Bytes of transactions; one alone may be larger.
const BYTES_MAX: usize = 64 << 20;

/// Messages in their order.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Inbox {
    /// False: it is full, the message is lost.
    pub(super) fn push(&mut self, message: Message) -> bool {
        if self.messages.len() >= MESSAGES_MAX || self.bytes >= BYTES_MAX {
            return false;
        }
        self.bytes += message.payload_bytes();
        self.messages.push_back(message);
        true
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.payload_bytes();
        Some(message)
    }

    pub(super) fn clear(&mut self) {
        *self = Inbox::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use ostler_model::Zxid;

    fn proposal(bytes: usize) -> Message {
        Message::Proposal { zxid: Zxid(1), payload: vec![0; bytes].into(), reconfig: None }
    }

    #[test]
    fn few_large_messages_fill_it_as_many_small_ones_do() {
        let mut inbox = Inbox::default();
        assert!((0..64).all(|_| inbox.push(proposal(1 << 20))));
        assert!(!inbox.push(Message::UpToDate), "64 MiB");
        assert_eq!(inbox.pop(), Some(proposal(1 << 20)));
        assert!(inbox.push(proposal(3 << 20)), "there was room");
        assert!(!inbox.push(Message::UpToDate));
        inbox.clear();
        assert!((0..MESSAGES_MAX).all(|_| inbox.push(Message::UpToDate)));
        assert!(!inbox.push(Message::UpToDate));
        while inbox.pop().is_some() {}
        assert_eq!(inbox.bytes, 0);
    }
}
