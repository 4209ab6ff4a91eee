//! The date, for records.

use std::time::UNIX_EPOCH;

use web_time::SystemTime;

/// Date and time in UTC, to the second: `2026-11-23T08:11:22Z`.
pub fn now() -> String {
    // The clock of a browser has a type of its own.
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    humantime::format_rfc3339_seconds(UNIX_EPOCH + elapsed).to_string()
}
