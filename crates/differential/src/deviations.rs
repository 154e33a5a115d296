//! Where Ostler differs from Apache 3.9.3 on purpose, and what is chance in Apache itself. None of it is forgiven when
//! it is seen: the generator does not send what brings it about, so everything that is reported is a bug of Ostler or
//! belongs here. `--differences` prints the list.

/// A difference that is meant, or an answer that Apache gives by chance.
#[derive(Clone, Copy, Debug)]
pub struct Deviation {
    /// What is not sent, or not compared.
    pub what: &'static str,
    /// What each server does, and why.
    pub reason: &'static str,
}

const fn deviation(what: &'static str, reason: &'static str) -> Deviation {
    Deviation { what, reason }
}

/// All of them. Rows are those of client-protocol.md section 20; the hazards go to Ostler alone with `--hazards`.
pub const DEVIATIONS: [Deviation; 13] = [
    deviation(
        "an error transaction for a write that does not decode (row 1; not compared in the logs)",
        "Apache logs it under a zxid that is already used, which stops an ensemble; Ostler logs nothing",
    ),
    deviation("createTTL without a TTL mode, negative ttl (row 2)", "kills Apache for good; Ostler answers -8"),
    deviation("quota nodes on the root (row 3)", "kill Apache for good; to Ostler they are plain nodes"),
    deviation(
        "deleting a zookeeper_limits outside the quotas (row 4)",
        "kills Apache for good; a plain delete to Ostler",
    ),
    deviation(
        "unparsable usage in a zookeeper_stats (row 5)",
        "kills Apache at the next change under the quota; Ostler counts from zero",
    ),
    deviation(
        "deleteContainer and createSession from a client (row 6)",
        "Apache executes the one without any check and answers the other with a ConnectResponse; Ostler closes, as \
         Apache 3.9.6 does",
    ),
    deviation("ip ACLs with IPv6", "refused by Apache 3.9.3; Ostler knows them, as Apache 3.9.6 does"),
    deviation(
        "supplementary characters in ACL ids",
        "inside a multi Apache turns them into U+FFFD, because it cannot read its own surrogates back; Ostler keeps them",
    ),
    deviation(
        "a write behind a setACL in one pipeline",
        "Apache checks it against the old ACL as long as the setACL is not committed, which is chance; Ostler checks it \
         against the new one",
    ),
    deviation(
        "a write behind a createContainer with an ephemeral mode in one pipeline or one multi",
        "until the commit Apache takes the container for an ephemeral node and refuses children; Ostler never does",
    ),
    deviation(
        "a write behind a multi with a null path or a null ACL id in one pipeline",
        "Apache gives up such a multi half-way and, until its error is committed, checks later writes against what the \
         operations before had made of the tree (versions jump); Ostler takes them back at once",
    ),
    deviation(
        "pipelines while there are quotas",
        "what enforceQuota refuses depends on what is committed, which is chance in a pipeline",
    ),
    deviation(
        "the order of children, of identities, of a closing session's nodes and of the entries that `auth` becomes",
        "unspecified, and different from run to run in Apache too: compared without order",
    ),
];
