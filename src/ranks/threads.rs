//! Ranks that are threads of one process.

use anyhow::Result;

use super::{Link, RankEnded};

/// A rank's connection with others that are threads of the same process.
pub struct ThreadLink {
    rank: usize,
    /// To each rank, also to itself.
    senders: Vec<flume::Sender<Vec<u32>>>,
    /// From each rank.
    receivers: Vec<flume::Receiver<Vec<u32>>>,
}

/// The links of so many ranks, in their order.
pub fn links_of_threads(count: usize) -> Vec<ThreadLink> {
    let mut links: Vec<ThreadLink> =
        (0..count).map(|rank| ThreadLink { rank, senders: vec![], receivers: vec![] }).collect();
    for from in 0..count {
        for to in 0..count {
            let (sender, receiver) = flume::unbounded();
            links[from].senders.push(sender);
            links[to].receivers.push(receiver);
        }
    }
    links
}

impl Link for ThreadLink {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.senders.len()
    }

    fn local_rank(&self) -> usize {
        self.rank
    }

    fn exchange(&mut self, rank: usize, words: &[u32]) -> Result<Vec<u32>> {
        self.senders[rank].send(words.to_vec()).map_err(|_| RankEnded(rank))?;
        Ok(self.receivers[rank].recv().map_err(|_| RankEnded(rank))?)
    }

    fn all_to_all(&mut self, words: &[u32]) -> Result<Vec<u32>> {
        for (to, (sender, part)) in self.senders.iter().zip(words.chunks(words.len() / self.count())).enumerate() {
            sender.send(part.to_vec()).map_err(|_| RankEnded(to))?;
        }
        let mut received = Vec::with_capacity(words.len());
        for (from, receiver) in self.receivers.iter().enumerate() {
            received.extend(receiver.recv().map_err(|_| RankEnded(from))?);
        }
        Ok(received)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn each_rank_gets_its_part_of_each_and_all_get_what_is_gathered() {
        let ranks = links_of_threads(3).into_iter().map(|mut link| {
            thread::spawn(move || {
                let own = link.rank() as u32;
                let parts: Vec<u32> = (0..3).flat_map(|to| [10 * own + to, 100]).collect();
                (own, link.all_to_all(&parts).unwrap(), link.all_gather(&[own, 7]).unwrap())
            })
        });
        for rank in ranks.collect::<Vec<_>>() {
            let (own, parts, gathered) = rank.join().unwrap();
            assert_eq!(parts, [own, 100, 10 + own, 100, 20 + own, 100]);
            assert_eq!(gathered, [0, 7, 1, 7, 2, 7]);
        }
    }

    #[test]
    fn the_others_learn_that_a_rank_has_ended() {
        let mut links = links_of_threads(3);
        drop(links.pop());
        let error = links[0].all_gather(&[1]).unwrap_err();
        assert_eq!((error.downcast_ref(), error.to_string().as_str()), (Some(&RankEnded(2)), "rank 2 has ended"));
    }
}
