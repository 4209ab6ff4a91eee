//! All output to the terminal: results on standard output; remarks, progress and errors on standard error.
//!
//! Nothing here panics. Control characters in names of files and tensors are escaped, so that no name can control the
//! terminal.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Arguments};
use std::io::{self, ErrorKind, Write as _};
use std::process;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Result;
use clap::builder::Styles;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// A line of results, on standard output.
macro_rules! out {
    ($($text:tt)*) => { $crate::program::terminal::result(format_args!($($text)*)) };
}

/// A line of progress or a remark, on standard error; `--quiet` leaves it out.
macro_rules! note {
    ($($text:tt)*) => { $crate::program::terminal::remark(format_args!($($text)*)) };
}

/// A line on standard error that `--quiet` does not leave out.
macro_rules! warning {
    ($($text:tt)*) => { $crate::program::terminal::warn(format_args!($($text)*)) };
}

/// How a command prints.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mode {
    /// No progress and no remarks.
    pub(crate) quiet: bool,
    /// An output option such as `--json -` uses standard output, so results are printed on standard error.
    pub(crate) results_on_stderr: bool,
    /// The command writes files, so it continues if the reader of standard output, such as `head`, ends.
    pub(crate) continues_unread: bool,
}

static MODE: OnceLock<Mode> = OnceLock::new();

thread_local! {
    /// The number of the thread among ranks that train together.
    static RANK: Cell<usize> = const { Cell::new(0) };
}

/// All progress bars, so that no line is printed into one.
static BARS: LazyLock<MultiProgress> = LazyLock::new(|| {
    let hidden = mode().quiet;
    MultiProgress::with_draw_target(if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() })
});

/// The first error of writing to standard output.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Sets how the command prints, before it prints anything.
pub(crate) fn set_mode(mode: Mode) {
    // Only the first call counts: a program runs one command.
    let _ = MODE.set(mode);
}

/// Makes this thread one of several ranks, which do the same: all but the first print errors only, with their number.
pub(crate) fn set_rank(rank: usize) {
    RANK.set(rank);
}

/// Whether this thread is a rank after the first.
fn follows() -> bool {
    RANK.get() > 0
}

fn mode() -> Mode {
    let mode = MODE.get().copied().unwrap_or_default();
    Mode { quiet: mode.quiet || follows(), ..mode }
}

/// See [`out!`].
pub(crate) fn result(text: Arguments<'_>) {
    let Mode { results_on_stderr, continues_unread, .. } = mode();
    let has_failed = FAILURE.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    if follows() {
        return;
    }
    if results_on_stderr || (has_failed && continues_unread) {
        return warn(text);
    }
    if let Err(error) = try_write(escaped(&format!("{text}\n")).as_bytes()) {
        if continues_unread {
            warn(format_args!("warning: cannot write to standard output ({error}); results follow here"));
            warn(text);
        }
        FAILURE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// See [`note!`].
pub(crate) fn remark(text: Arguments<'_>) {
    if !mode().quiet {
        warn(text);
    }
}

/// See [`warning!`].
pub(crate) fn warn(text: Arguments<'_>) {
    if follows() {
        return;
    }
    let line = format!("{}\n", escaped(&text.to_string()));
    // An error of standard error cannot be reported anywhere.
    let _ = BARS.suspend(|| io::stderr().lock().write_all(line.as_bytes()));
}

/// Prints the error of a command; the first word is in colour on a terminal.
pub(crate) fn error(text: &str) {
    let style = Styles::styled().get_error().to_owned();
    let rank = if follows() { format!(" rank {}:", RANK.get()) } else { String::new() };
    let line = format!("{style}error:{style:#}{rank} {}\n", escaped(text));
    let _ = BARS.suspend(|| anstream::stderr().lock().write_all(line.as_bytes()));
}

/// Writes bytes unchanged to standard output.
///
/// # Errors
/// If standard output cannot be written to.
pub(crate) fn write_stdout(bytes: &[u8]) -> Result<()> {
    try_write(bytes).map_err(|error| anyhow::anyhow!("cannot write to standard output: {error}"))
}

/// The error of writing results to standard output, unless the reader has closed the pipe.
pub(crate) fn failure() -> Option<String> {
    let failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    let error = failure.as_ref().filter(|error| error.kind() != ErrorKind::BrokenPipe)?;
    Some(format!("cannot write to standard output: {error}"))
}

fn try_write(bytes: &[u8]) -> io::Result<()> {
    let result = BARS.suspend(|| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush())
    });
    match result {
        // `gpu-digits devices | head -1` ends quietly, as other programs do.
        Err(error) if error.kind() == ErrorKind::BrokenPipe && !mode().continues_unread => process::exit(0),
        result => result,
    }
}

/// A progress bar on standard error, hidden if that is not a terminal and with `--quiet`. `{left}` in its template is
/// the time left, if it is known.
pub(crate) fn bar(length: usize, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let style = style.with_key("left", |state: &ProgressState, text: &mut dyn fmt::Write| {
        // Writing to a string does not fail.
        let _ = text.write_str(&time_left(state.pos(), state.eta()));
    });
    let bar = BARS.add(ProgressBar::new(length as u64).with_style(style));
    bar.enable_steady_tick(TICK);
    bar
}

/// The interval at which bars and spinners are redrawn.
const TICK: Duration = Duration::from_millis(200);

/// An estimate of the time left, such as `12s left`; none before any progress, and none below a second.
fn time_left(done: u64, eta: Duration) -> String {
    if done == 0 || eta.as_secs() == 0 { String::new() } else { format!("{:#} left", HumanDuration(eta)) }
}

/// A line on standard error for a slow operation, removed when dropped; hidden when bars are hidden.
pub(crate) struct Spinner(ProgressBar);

impl Spinner {
    pub(crate) fn new(doing: impl Into<String>) -> Self {
        let bar = BARS.add(ProgressBar::new_spinner().with_message(doing.into()));
        bar.enable_steady_tick(TICK);
        Self(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Escapes the control characters of a text except for line breaks: those that move the cursor, set colours or change
/// the direction of text.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    let steers = |letter: char| {
        letter != '\n' && (letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if steers(letter) {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

/// A name in one line: line breaks are also escaped.
pub(crate) fn one_line(name: &str) -> String {
    escaped(name).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_never_says_that_no_time_is_left() {
        assert_eq!(time_left(0, Duration::ZERO), "");
        assert_eq!(time_left(5, Duration::from_millis(400)), "");
        assert_eq!(time_left(5, Duration::from_secs(12)), "12s left");
        assert_eq!(time_left(5, Duration::from_secs(130)), "2m left");
    }

    #[test]
    fn control_characters_are_escaped_and_letters_are_not() {
        assert_eq!(escaped("conv1.weight é 数字\n"), "conv1.weight é 数字\n");
        assert_eq!(escaped("\u{1b}[31mred\r\t\u{9b}2J\u{7f}"), "\\u{1b}[31mred\\r\\t\\u{9b}2J\\u{7f}");
        assert_eq!(escaped("a\u{202e}gnp.exe"), "a\\u{202e}gnp.exe");
        assert_eq!(one_line("two\nlines"), "two\\nlines");
    }
}
