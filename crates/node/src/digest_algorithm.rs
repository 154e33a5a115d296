//! The hash behind `digest` ids (`DigestAuthenticationProvider.digestAlg`), under the names that Java gives it.

use sha1::Digest;

/// A hash that Java's standard providers know too (MD2 excepted).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "names of the algorithms")]
pub enum DigestAlgorithm {
    Md5,
    #[default]
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512Half224,
    Sha512Half256,
    Sha3Of224,
    Sha3Of256,
    Sha3Of384,
    Sha3Of512,
}

impl DigestAlgorithm {
    /// The names that [`DigestAlgorithm::named`] knows, for messages.
    pub const NAMES: &str = "MD5, SHA1, SHA-224, SHA-256, SHA-384, SHA-512, SHA-512/224, SHA-512/256, SHA3-224, SHA3-256, SHA3-384 or SHA3-512";

    /// The algorithm that Java finds under a name: letters of any case, SHA-2 with or without its first hyphen.
    pub fn named(name: &str) -> Option<DigestAlgorithm> {
        Some(match name.to_ascii_uppercase().as_str() {
            "MD5" => DigestAlgorithm::Md5,
            "SHA" | "SHA1" | "SHA-1" => DigestAlgorithm::Sha1,
            "SHA224" | "SHA-224" => DigestAlgorithm::Sha224,
            "SHA256" | "SHA-256" => DigestAlgorithm::Sha256,
            "SHA384" | "SHA-384" => DigestAlgorithm::Sha384,
            "SHA512" | "SHA-512" => DigestAlgorithm::Sha512,
            "SHA512/224" | "SHA-512/224" => DigestAlgorithm::Sha512Half224,
            "SHA512/256" | "SHA-512/256" => DigestAlgorithm::Sha512Half256,
            "SHA3-224" => DigestAlgorithm::Sha3Of224,
            "SHA3-256" => DigestAlgorithm::Sha3Of256,
            "SHA3-384" => DigestAlgorithm::Sha3Of384,
            "SHA3-512" => DigestAlgorithm::Sha3Of512,
            _ => return None,
        })
    }

    /// The hash of `bytes`.
    pub fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            DigestAlgorithm::Md5 => md5::Md5::digest(bytes).to_vec(),
            DigestAlgorithm::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
            DigestAlgorithm::Sha224 => sha2::Sha224::digest(bytes).to_vec(),
            DigestAlgorithm::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
            DigestAlgorithm::Sha384 => sha2::Sha384::digest(bytes).to_vec(),
            DigestAlgorithm::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
            DigestAlgorithm::Sha512Half224 => sha2::Sha512_224::digest(bytes).to_vec(),
            DigestAlgorithm::Sha512Half256 => sha2::Sha512_256::digest(bytes).to_vec(),
            DigestAlgorithm::Sha3Of224 => sha3::Sha3_224::digest(bytes).to_vec(),
            DigestAlgorithm::Sha3Of256 => sha3::Sha3_256::digest(bytes).to_vec(),
            DigestAlgorithm::Sha3Of384 => sha3::Sha3_384::digest(bytes).to_vec(),
            DigestAlgorithm::Sha3Of512 => sha3::Sha3_512::digest(bytes).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    /// What `java.security.MessageDigest` of JDK 17 makes of `user:password`, in base64, by every name it takes.
    const OF_JAVA: &[(&[&str], &str)] = &[
        (&["MD5", "md5"], "OunqX+etW/ZSxR9D2ldCLA=="),
        (&["SHA", "SHA1", "SHA-1", "sha-1"], "tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY="),
        (&["SHA224", "SHA-224"], "6GVb/vhYOXU2cAmhuRkcw8i4Z9QlgKhGYZai5Q=="),
        (&["SHA256", "SHA-256"], "yRsdas04PETE7CDJcj51jDEYKh9PAjHWPZElmi6hS50="),
        (&["SHA384", "SHA-384"], "htIoC30hHolTa+/hAI2QsaAqrqOKMHUmlPlzBeIkfRWNGBi/8/dVKpuOsOWVq8qs"),
        (
            &["SHA512", "SHA-512"],
            "jpg++2gII4jzID8eXmWBSuUbGt1jbK9iB9PlOOf0uNwG7O0rsNtKX7GP4vq+QM0ncsfbzxZTuyf0xv2Xbkfz1Q==",
        ),
        (&["SHA512/224", "SHA-512/224"], "MZdBJGxu8PSnKQpp+Fo/Xs6A8MWSKppTyvOXgQ=="),
        (&["SHA512/256", "SHA-512/256"], "BJ4p7RfQWcJD4uSvfIaTRHf2W3T/r7vXir0nGIUZvt4="),
        (&["SHA3-224"], "iE1hEZYPbgaQsjoOF7BzR3Lz7yiM2opep1De6g=="),
        (&["SHA3-256", "sha3-256"], "NAR2RZ7JZxGXKOuQubzhytx9PjP71AWWZoOY+TVw1hw="),
        (&["SHA3-384"], "ohHEqQqd1LbhZS1M4c5EPH62D07UypO0a5QNAmWrxR442b/TvdLCT3OKB2ZtvgnF"),
        (&["SHA3-512"], "crJkDTyqNBLSeN9ANTupt+rbekG69LtWeiMDgZ83Q+aPOWeSWYcv+UR8e+oDQH+grRbbiWDlL9r4FgwNVo+jdg=="),
    ];

    #[test]
    fn every_name_and_hash_is_javas() {
        for (names, expected) in OF_JAVA {
            for name in *names {
                let algorithm = DigestAlgorithm::named(name).expect("Java knows the name");
                assert_eq!(STANDARD.encode(algorithm.hash(b"user:password")), *expected, "{name}");
            }
        }
        for unknown in ["SHA3224", "SHA-3", "MD4", "", "SHA 1"] {
            assert_eq!(DigestAlgorithm::named(unknown), None, "{unknown:?}");
        }
    }
}
