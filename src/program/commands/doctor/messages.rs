//! What wgpu says while it looks for adapters: why it hides one, and what fails.

use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Parts of the messages that say why something is not there. wgpu gives most of them the lowest levels.
const PARTS: [&str; 3] = ["hiding adapter", FIRST_QUEUE, "failed to create"];

const FIRST_QUEUE: &str = "The first queue only exposes";

struct Messages(Mutex<Vec<String>>);

static MESSAGES: Messages = Messages(Mutex::new(Vec::new()));

impl Log for Messages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut message = record.args().to_string();
        let is_wanted = record.level() <= Level::Warn || PARTS.iter().any(|part| message.contains(part));
        if message.starts_with(FIRST_QUEUE) {
            message.push_str(": a card for computing alone, which wgpu hides");
        }
        if let Some(mut messages) = self.0.lock().ok().filter(|_| is_wanted)
            && !messages.contains(&message)
        {
            messages.push(message);
        }
    }

    fn flush(&self) {}
}

/// The result of some work, and what wgpu has said meanwhile about adapters, each message once.
pub(super) async fn heard<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    // The program has no other logger.
    let _ = log::set_logger(&MESSAGES);
    log::set_max_level(LevelFilter::Debug);
    let result = work.await;
    log::set_max_level(LevelFilter::Off);
    let messages = MESSAGES.0.lock().map(|mut messages| std::mem::take(&mut *messages)).unwrap_or_default();
    (result, messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_for_hiding_are_heard_and_others_are_not() {
        let say = |target: &str, level: Level, text: &str| {
            MESSAGES.log(&Record::builder().target(target).level(level).args(format_args!("{text}")).build());
        };
        let hidden = "Adapter is not Vulkan compliant, hiding adapter: some GPU";
        let (_, messages) = pollster::block_on(heard(async {
            say("wgpu_hal::vulkan::adapter", Level::Debug, hidden);
            say("wgpu_hal::vulkan::adapter", Level::Debug, hidden);
            say("wgpu_hal::vulkan::adapter", Level::Debug, "Supported extensions: 100");
            say("wgpu_hal::vulkan::instance", Level::Error, "enumerate_adapters: out of memory");
            say("wgpu_hal::vulkan::adapter", Level::Debug, "The first queue only exposes COMPUTE");
            say("another", Level::Error, "hiding adapter");
        }));
        let has = |part: &str| messages.iter().filter(|message| message.contains(part)).count();
        assert_eq!([has("some GPU"), has("out of memory"), has("for computing alone"), has("Supported")], [1, 1, 1, 0]);
        assert!(!messages.iter().any(|message| message == "hiding adapter"), "another library's");
    }
}
