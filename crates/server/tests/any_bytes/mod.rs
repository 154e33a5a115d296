//! What must hold for any zoo.cfg. The fuzz target `zoo_cfg` (`fuzz/`) and the tests run the same function.

use ostler_model::properties;
use ostler_server::config::{Config, Inputs};
use std::path::Path;

/// A file of any bytes is loaded or refused in words, the same each time. `file` is overwritten.
pub fn zoo_cfg(bytes: &[u8], file: &Path) {
    if let Ok(entries) = properties::parse(bytes) {
        let lines = 1 + bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
        assert!(entries.iter().all(|entry| (1..=lines).contains(&entry.line)), "{entries:?}");
    }
    // Most random files lack what every file needs.
    for begin in [&b""[..], b"dataDir=/d\nclientPort=2181\n"] {
        // A new file each time: replacing the contents of one makes some file systems wait for the disk.
        let _ = std::fs::remove_file(file);
        std::fs::write(file, [begin, bytes].concat()).expect("the directory for temporary files can be written");
        let inputs = Inputs { file: Some(file.to_owned()), ..Inputs::default() };
        let loaded = Config::load(&inputs);
        assert_eq!(loaded, Config::load(&inputs));
        match loaded {
            Ok(loaded) => {
                let config = &loaded.config;
                assert!(config.tick_time_ms > 0 && config.min_session_timeout_ms <= config.max_session_timeout_ms);
                let silent = loaded.notices.iter().find(|notice| notice.warning && notice.hint.is_empty());
                assert!(silent.is_none(), "a warning without a hint: {silent:?}");
            }
            Err(error) => {
                assert!(!error.place.is_empty() && !error.what.is_empty() && !error.hint.is_empty(), "{error:?}");
                assert!(error.exit_code == 1 || error.exit_code == 2, "{error:?}");
            }
        }
    }
}
