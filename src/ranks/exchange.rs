//! The exchange of a rank with the others, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use flume::RecvTimeoutError;

use super::cost::{bytes_of_sum, messages_of_sum};
use super::{Link, LinkSpeed, TreeSum, links_of_threads};

/// How often a rank that waits looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// How long it then waits for the others. Open MPI kills its ranks a second after it has asked them to end.
const PATIENCE: Duration = Duration::from_millis(250);

/// A rank among others.
pub struct Ranks {
    rank: usize,
    count: usize,
    local_rank: usize,
    requests: Option<flume::Sender<Request>>,
    answers: flume::Receiver<Result<Answer>>,
    thread: Option<JoinHandle<()>>,
    /// Set when the process is to end; a rank that waits then gives up the others soon.
    stop: Option<Arc<AtomicBool>>,
    /// Whether all ranks have done their work.
    is_done: Arc<AtomicBool>,
    costs: Costs,
}

/// What the exchange has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Costs {
    /// Seconds of exchange.
    pub(crate) exchange_seconds: f64,
    /// Seconds for which [`Ranks::finish_sum`] waited.
    pub(crate) waited_seconds: f64,
    /// Bytes sent to other ranks.
    pub(crate) bytes_sent: u64,
}

/// What the thread is to do.
enum Request {
    /// Add up each rank's vector.
    Sum(Vec<f32>),
    /// Collect each rank's words.
    Gather(Vec<u32>),
}

struct Answer {
    words: Vec<u32>,
    seconds: f64,
    bytes_sent: u64,
}

impl Ranks {
    /// A rank whose link is made on the thread that uses it, as MPI wants it.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn start<L: Link>(make: impl FnOnce() -> Result<L> + Send + 'static) -> Result<Self> {
        let (requests, asked) = flume::unbounded();
        let (answer, answers) = flume::unbounded();
        let (tell, told) = flume::bounded(1);
        let is_done = Arc::new(AtomicBool::new(false));
        let are_done = Arc::clone(&is_done);
        let serve = move || {
            let link = make();
            let mut link = match link {
                Ok(link) => link,
                Err(error) => return drop(tell.send(Err(error))),
            };
            // Who started the thread waits for this, and then for each answer.
            let _ = tell.send(Ok([link.rank(), link.count(), link.local_rank()]));
            for request in asked {
                let answered = carry_out(&mut link, request);
                let failed = answered.is_err();
                if answer.send(answered).is_err() || failed {
                    return;
                }
            }
            if are_done.load(Ordering::Relaxed) {
                link.finish();
            }
        };
        let thread = thread::Builder::new().name("exchange".to_owned()).spawn(serve);
        let thread = Some(thread.context("cannot start the thread that exchanges gradients")?);
        let [rank, count, local_rank] = told.recv().context("the thread that exchanges gradients has ended")??;
        Ok(Self {
            rank,
            count,
            local_rank,
            requests: Some(requests),
            answers,
            thread,
            stop: None,
            is_done,
            costs: Costs::default(),
        })
    }

    /// A single rank.
    ///
    /// # Errors
    /// If its thread cannot be started.
    pub fn alone() -> Result<Self> {
        let link = links_of_threads(1).pop().context("there is one link")?;
        Self::start(|| Ok(link))
    }

    /// The same rank, which gives up waiting for the others soon after the flag was set: its process is to end, perhaps
    /// because another one has.
    pub fn ending_by(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Its number, counted from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of ranks.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Its number among those of its machine.
    pub fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// What the exchange has cost so far.
    pub(crate) fn costs(&self) -> Costs {
        self.costs
    }

    /// Counts the costs anew.
    pub(crate) fn forget_costs(&mut self) {
        self.costs = Costs::default();
    }

    /// How fast messages are, by the sums of a short and of a long vector, and the seconds in which vectors of these lengths
    /// are added up while nothing is computed; all ranks measure together.
    ///
    /// # Errors
    /// If a rank has ended.
    pub(crate) fn measure(&mut self, lengths: &[usize]) -> Result<(LinkSpeed, f64)> {
        const ROUNDS: usize = 5;
        const LONG: usize = 1 << 18;
        if self.count == 1 {
            return Ok((LinkSpeed::default(), 0.0));
        }
        let mut least = |length: usize| -> Result<f64> {
            let mut least = f64::INFINITY;
            for _ in 0..ROUNDS {
                self.forget_costs();
                self.start_sum(vec![0.0; length]);
                self.finish_sum()?;
                least = least.min(self.costs.exchange_seconds);
            }
            Ok(least)
        };
        let (short, long) = (least(1)?, least(LONG)?);
        let own = lengths.iter().map(|&length| least(length)).sum::<Result<f64>>()?;
        self.forget_costs();
        Ok((speed(self.count, short, long, 4.0 * LONG as f64), own))
    }

    /// Notes that all ranks have done their work: they then end together, when each is dropped.
    pub(crate) fn done(&self) {
        self.is_done.store(true, Ordering::Relaxed);
    }

    /// Begins to add up the vectors of all ranks, in their order.
    pub fn start_sum(&mut self, vector: Vec<f32>) {
        self.request(Request::Sum(vector));
    }

    /// The sum of the vectors that was begun first.
    ///
    /// # Errors
    /// If a rank has ended.
    pub fn finish_sum(&mut self) -> Result<Vec<f32>> {
        let start = Instant::now();
        let sum = self.answer().map(bytemuck::cast_vec);
        self.costs.waited_seconds += start.elapsed().as_secs_f64();
        sum
    }

    /// The words of each rank, which all send equally many.
    ///
    /// # Errors
    /// If a rank has ended.
    pub fn gather(&mut self, words: &[u32]) -> Result<Vec<Vec<u32>>> {
        self.request(Request::Gather(words.to_vec()));
        let gathered = self.answer()?;
        Ok(gathered.chunks(words.len().max(1)).map(<[u32]>::to_vec).collect())
    }

    /// The text of each rank.
    ///
    /// # Errors
    /// If a rank has ended.
    pub fn gather_texts(&mut self, text: &str) -> Result<Vec<String>> {
        let lengths = self.gather(&[text.len() as u32])?;
        let longest = lengths.iter().flatten().max().map_or(0, |&length| length as usize).next_multiple_of(4).max(4);
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(longest, 0);
        let gathered = self.gather(&bytemuck::pod_collect_to_vec::<u8, u32>(&bytes))?;
        let texts = gathered.iter().zip(lengths.iter().flatten());
        Ok(texts
            .map(|(words, &length)| {
                String::from_utf8_lossy(&bytemuck::cast_slice(words)[..length as usize]).into_owned()
            })
            .collect())
    }

    fn request(&self, request: Request) {
        // If the thread has ended, so says the answer.
        let _ = self.requests.as_ref().map(|requests| requests.send(request));
    }

    fn answer(&mut self) -> Result<Vec<u32>> {
        let mut ending = None;
        let Answer { words, seconds, bytes_sent } = loop {
            match self.answers.recv_timeout(LOOK) {
                Ok(answer) => break answer?,
                Err(RecvTimeoutError::Disconnected) => bail!("the exchange with the other ranks has ended"),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                let since: &mut Instant = ending.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    bail!(
                        "rank {} of {} was told to end, and the other ranks do not answer any more: one of them has died, or \
                         all end",
                        self.rank,
                        self.count
                    );
                }
            }
        };
        self.costs.exchange_seconds += seconds;
        self.costs.bytes_sent += bytes_sent;
        Ok(words)
    }
}

impl Drop for Ranks {
    /// Ends the thread. After an error the others may no longer answer it, so nothing waits for it.
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take().filter(|_| self.is_done.load(Ordering::Relaxed)) {
            // A thread that has panicked has said so.
            let _ = thread.join();
        }
    }
}

/// The speed of messages of so many ranks, by the seconds of sums of a short vector and of one of so many bytes. A short one may
/// take longer by chance; the bytes are then at most a hundred times as fast as the long one was.
fn speed(ranks: usize, short: f64, long: f64, bytes: f64) -> LinkSpeed {
    const SHORTEST: f64 = 1e-9;
    let of_bytes = (long - short).max(long / 100.0).max(SHORTEST);
    LinkSpeed {
        latency_seconds: short / messages_of_sum(ranks),
        bytes_per_second: bytes_of_sum(ranks, bytes) / of_bytes,
    }
}

/// Adds up, or gathers.
fn carry_out(link: &mut impl Link, request: Request) -> Result<Answer> {
    let start = Instant::now();
    let others = link.count() - 1;
    let (words, sent) = match request {
        Request::Gather(words) => (link.all_gather(&words)?, words.len() * others),
        Request::Sum(vector) if others == 0 => (bytemuck::cast_vec(vector), 0),
        Request::Sum(mut vector) => {
            let (length, part) = (vector.len(), vector.len().div_ceil(link.count()).max(1));
            vector.resize(part * link.count(), 0.0);
            let sum =
                if link.count().is_power_of_two() { sum_of_pairs(link, vector)? } else { sum_of_parts(link, vector)? };
            let mut words: Vec<u32> = bytemuck::cast_vec(sum);
            words.truncate(length);
            (words, 2 * part * others)
        }
    };
    Ok(Answer { words, seconds: start.elapsed().as_secs_f64(), bytes_sent: 4 * sent as u64 })
}

/// The sum of the vectors of 2ᵏ ranks, in 2k messages: with its neighbour a rank exchanges a half and adds up the other, then
/// with a neighbour of both a quarter, and so on, and the same way back with the sums (Rabenseifner, "Optimization of
/// collective reduction operations", 2004). Neighbours come first, so that the order is that of a [`TreeSum`].
fn sum_of_pairs(link: &mut impl Link, mut vector: Vec<f32>) -> Result<Vec<f32>> {
    let (rank, levels) = (link.rank(), link.count().ilog2());
    let (mut start, mut length) = (0, vector.len());
    for level in 0..levels {
        let other = rank ^ (1 << level);
        length /= 2;
        let [own, sent] = if rank < other { [start, start + length] } else { [start + length, start] };
        let received = link.exchange(other, bytemuck::cast_slice(&vector[sent..][..length]))?;
        let received: &[f32] = bytemuck::cast_slice(&received);
        vector[own..][..length].iter_mut().zip(received).for_each(|(own, other)| *own += other);
        start = own;
    }
    for level in (0..levels).rev() {
        let other = rank ^ (1 << level);
        let received = link.exchange(other, bytemuck::cast_slice(&vector[start..][..length]))?;
        let of_other = if rank < other { start + length } else { start - length };
        vector[of_other..][..length].copy_from_slice(bytemuck::cast_slice(&received));
        start = start.min(of_other);
        length *= 2;
    }
    Ok(vector)
}

/// The sum of the vectors of any number of ranks: each adds up a part of the vector of all, and then all get all parts.
fn sum_of_parts(link: &mut impl Link, vector: Vec<f32>) -> Result<Vec<f32>> {
    let part = vector.len() / link.count();
    let parts: Vec<f32> = bytemuck::cast_vec(link.all_to_all(bytemuck::cast_slice(&vector))?);
    let mut sum = TreeSum::default();
    parts.chunks(part).for_each(|of_rank| sum.add(of_rank.to_vec()));
    Ok(bytemuck::cast_vec(link.all_gather(bytemuck::cast_slice(&sum.finish()))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_ranks<T: Send + 'static>(count: usize, run: fn(Ranks) -> T) -> Vec<T> {
        let threads = links_of_threads(count).into_iter().map(|link| {
            let ranks = Ranks::start(|| Ok(link)).unwrap();
            thread::spawn(move || run(ranks))
        });
        threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect()
    }

    #[test]
    fn the_order_of_a_sum_is_that_of_a_tree() {
        // Any other order than in pairs gives another sum.
        fn value(rank: usize, place: usize) -> f32 {
            [1e8, 1.0, -1e8, 1.0, 3.0, 1e-3, 7.0, 1e7][rank] * (1.0 + place as f32)
        }
        for count in [2, 3, 4, 5, 8] {
            let sums = on_ranks(count, |mut ranks| {
                ranks.start_sum((0..13).map(|place| value(ranks.rank(), place)).collect());
                ranks.finish_sum().unwrap()
            });
            let mut wanted = TreeSum::default();
            (0..count).for_each(|rank| wanted.add((0..13).map(|place| value(rank, place)).collect()));
            let wanted = wanted.finish();
            assert!(sums.iter().all(|sum| *sum == wanted), "{count}: {sums:?} instead of {wanted:?}");
        }
    }

    #[test]
    fn all_ranks_get_the_sum_of_vectors_of_any_length() {
        for count in [1, 2, 3, 5] {
            for (sums, costs) in on_ranks(count, |mut ranks| {
                let own = ranks.rank() as f32;
                ranks.start_sum(vec![own, 1.0, -2.0 * own, 0.5]);
                ranks.start_sum(vec![own]);
                let sums = [ranks.finish_sum().unwrap(), ranks.finish_sum().unwrap()];
                (sums, ranks.costs())
            }) {
                let (all, of_ranks) = (count as f32, (count * (count - 1) / 2) as f32);
                assert_eq!(sums, [vec![of_ranks, all, -2.0 * of_ranks, 0.5 * all], vec![of_ranks]]);
                assert_eq!(costs.bytes_sent > 0, count > 1);
            }
        }
    }

    #[test]
    fn a_speed_is_a_number_even_where_a_short_sum_took_longer() {
        let LinkSpeed { latency_seconds, bytes_per_second } = speed(4, 8e-5, 5e-4 + 8e-5, 1e6);
        assert!((latency_seconds - 2e-5).abs() < 1e-12 && (bytes_per_second - 3e9).abs() < 1.0);
        for (short, long) in [(1e-3, 1e-4), (1e-4, 1e-4), (0.0, 0.0)] {
            let speed = speed(2, short, long, 1e6);
            assert!(speed.bytes_per_second.is_finite() && speed.bytes_per_second > 0.0, "{speed:?}");
            let text = serde_json::to_string(&speed).unwrap();
            assert_eq!(serde_json::from_str::<LinkSpeed>(&text).unwrap(), speed);
        }
    }

    #[test]
    fn a_link_is_measured_and_costs_nothing_afterwards() {
        for ((speed, own), costs) in on_ranks(3, |mut ranks| (ranks.measure(&[7, 90]).unwrap(), ranks.costs())) {
            assert!(speed.latency_seconds > 0.0 && speed.bytes_per_second > 0.0 && own > 0.0, "{speed:?} {own}");
            assert_eq!(costs, Costs::default());
        }
    }

    #[test]
    fn texts_of_any_length_are_gathered() {
        let texts = on_ranks(3, |mut ranks| ranks.gather_texts(&"é".repeat(ranks.rank())).unwrap());
        assert!(texts.iter().all(|texts| texts[..] == ["", "é", "éé"]), "{texts:?}");
    }

    #[test]
    fn a_rank_that_is_to_end_gives_up_those_that_do_not_answer() {
        let mut links = links_of_threads(2).into_iter();
        let first = links.next().unwrap();
        let mut ranks = Ranks::start(|| Ok(first)).unwrap().ending_by(Arc::new(AtomicBool::new(true)));
        let error = ranks.gather(&[1]).unwrap_err().to_string();
        assert!(error.contains("rank 0 of 2 was told to end"), "{error}");
        drop(links);
    }
}
