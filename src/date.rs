//! The date, for records.

use std::time::SystemTime;

/// Date and time in UTC, to the second: `2026-11-23T08:11:22Z`.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
