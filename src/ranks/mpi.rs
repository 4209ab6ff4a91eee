//! Ranks that MPI has started, on one machine or many.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mpi::Threading;
use mpi::environment::Universe;
use mpi::request::{Request, Scope, scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives as _, Destination as _, Source as _};

use super::Link;

/// How often a rank that waits for others looks again. MPI's own waiting takes a processor's core whole.
const LOOK: Duration = Duration::from_micros(20);

/// Looks before it begins to sleep between them.
const LOOKS_WITHOUT_SLEEP: usize = 50;

/// A rank's connection with those that the same `mpirun` has started.
pub struct MpiLink {
    world: SimpleCommunicator,
    local_rank: usize,
    /// Ends MPI when it is dropped, after the communicator.
    _universe: Universe,
}

/// Starts MPI on this thread, which alone uses it, and connects with the other ranks.
///
/// # Errors
/// If MPI was started before.
pub fn link_of_mpi() -> Result<MpiLink> {
    let started = mpi::initialize_with_threading(Threading::Funneled);
    let (universe, threading) = started.context("MPI was started before in this process")?;
    ensure!(threading >= Threading::Funneled, "this MPI cannot be used by a program of several threads");
    let world = universe.world();
    let machine = world.split_shared(world.rank());
    let local_rank = machine.rank() as usize;
    Ok(MpiLink { world, local_rank, _universe: universe })
}

impl Link for MpiLink {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn count(&self) -> usize {
        self.world.size() as usize
    }

    fn local_rank(&self) -> usize {
        self.local_rank
    }

    fn exchange(&mut self, rank: usize, words: &[u32]) -> Result<Vec<u32>> {
        let other = self.world.process_at_rank(rank as i32);
        let mut received = vec![0; words.len()];
        scope(|scope| {
            let receives = other.immediate_receive_into(scope, &mut received[..]);
            wait(other.immediate_send(scope, words));
            wait(receives);
        });
        Ok(received)
    }

    fn all_to_all(&mut self, words: &[u32]) -> Result<Vec<u32>> {
        let mut received = vec![0; words.len()];
        scope(|scope| wait(self.world.immediate_all_to_all_into(scope, words, &mut received[..])));
        Ok(received)
    }

    fn all_gather(&mut self, words: &[u32]) -> Result<Vec<u32>> {
        let mut received = vec![0; words.len() * self.count()];
        scope(|scope| wait(self.world.immediate_all_gather_into(scope, words, &mut received[..])));
        Ok(received)
    }

    /// MPI's own end would take a processor's core while it waits for the last rank.
    fn finish(&mut self) {
        wait(self.world.immediate_barrier());
    }
}

/// Waits for a request. If a rank dies, MPI ends the others.
fn wait<'a, D: ?Sized, S: Scope<'a>>(mut request: Request<'a, D, S>) {
    for look in 0.. {
        match request.test() {
            Ok(_) => return,
            Err(unfinished) => request = unfinished,
        }
        if look < LOOKS_WITHOUT_SLEEP { thread::yield_now() } else { thread::sleep(LOOK) }
    }
}
