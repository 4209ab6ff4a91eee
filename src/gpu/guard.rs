//! The one place where failures of a driver become errors.
//!
//! wgpu reports most failures by callbacks, and panics at some: where it waits for a device that is lost, where memory runs out
//! in calls that cannot fail by its interface, and where it cleans up after them. Whatever calls wgpu does so within a guard.

use std::cell::Cell;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::pin::pin;
use std::sync::{Arc, Once};
use std::task::Poll;

use anyhow::{Error, Result, anyhow};

use super::Gpu;

thread_local! {
    /// Whether this thread is within a guard, so that a panic is not printed.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic within a guard was: file and line.
    static PLACE: Cell<Option<(String, u32)>> = const { Cell::new(None) };
}

/// The result of an action, or the message of its panic, which is not printed.
pub(super) fn without_panic<T>(action: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let former = take_hook();
        set_hook(Box::new(move |panic| {
            if IS_GUARDED.get() {
                let file = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
                PLACE.set(panic.location().map(|place| (file(place.file()), place.line())));
            } else {
                former(panic);
            }
        }));
    });
    let was_guarded = IS_GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(action));
    IS_GUARDED.set(was_guarded);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
        let text = in_one_line(&text);
        match PLACE.take() {
            Some((file, line)) => format!("{text} ({file}, line {line})"),
            None => text,
        }
    })
}

/// A handle of wgpu, whose last copy waits for the device when it is dropped, and panics if that fails.
#[derive(Clone)]
pub(super) struct Guarded<T>(Option<T>);

impl<T> Guarded<T> {
    pub(super) fn new(handle: T) -> Self {
        Self(Some(handle))
    }
}

impl<T> Deref for Guarded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is taken when it is dropped")
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        // Nobody is left who could be told of a failure.
        let _ = without_panic(|| drop(self.0.take()));
    }
}

/// A message of wgpu, whose causes are lines of their own.
fn in_one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
}

impl Gpu {
    /// The result of work with wgpu. A panic in it is a failure of the device.
    ///
    /// # Errors
    /// If the work fails, or the device has failed before.
    pub(super) async fn guarded<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.ensure_healthy()?;
        let mut work = pin!(work);
        let result = std::future::poll_fn(|context| match without_panic(|| work.as_mut().poll(context)) {
            Ok(poll) => poll,
            Err(message) => Poll::Ready(Err(self.fail(message))),
        });
        result.await
    }

    /// The same of work that does not wait.
    ///
    /// # Errors
    /// If it panics, or the device has failed before.
    pub(super) fn guarded_now<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        self.ensure_healthy()?;
        without_panic(work).map_err(|message| self.fail(message))
    }

    /// Notes that the device has failed. All later work on it fails at once with the first message.
    pub(super) fn fail(&self, message: String) -> Error {
        self.noter()(message.clone());
        self.error(&self.failure().unwrap_or(message))
    }

    /// Why the device has failed, if it has; it is then of no use any more. Open it again, or another.
    pub fn failure(&self) -> Option<String> {
        let failure = self.failure.lock().ok().and_then(|failure| failure.clone());
        if failure.is_some() {
            // Dropping the last handle of a device would wait for it, perhaps for ever.
            std::mem::forget((self.device.clone(), self.queue.clone()));
        }
        failure
    }

    /// Stores the first failure that is reported.
    pub(super) fn noter(&self) -> impl Fn(String) + Send + Sync + 'static {
        let failure = Arc::clone(&self.failure);
        move |message| {
            if let Ok(mut failure) = failure.lock() {
                failure.get_or_insert(in_one_line(&message));
            }
        }
    }

    fn error(&self, message: &str) -> Error {
        anyhow!("{} failed: {message}", self.info)
    }

    /// Fails if the driver has reported a failure since the device was opened.
    pub(super) fn ensure_healthy(&self) -> Result<()> {
        self.failure().map_or(Ok(()), |message| Err(self.error(&message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        assert_eq!(without_panic(|| 7), Ok(7));
        let error = without_panic(|| -> u32 { panic!("no such {}\n\n  caused by: it\n", "feature") });
        let error = error.unwrap_err();
        assert!(error.starts_with("no such feature: caused by: it (guard.rs, line "), "{error}");
        assert!(!IS_GUARDED.get());
    }
}
