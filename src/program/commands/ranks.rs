//! `gpu-digits train --ranks`: several ranks train one model, threads of this process or processes of MPI.

use std::path::Path;
use std::time::Duration;
use std::{process, thread};

use anyhow::{Context as _, Error, Result, anyhow};
use pollster::block_on;

use super::resume::Resumed;
use super::session::Session;
use super::start::{Start, initial};
use super::train::{Manner, config, device, train};
use super::{Verdict, code_of, print_table_with, table};
use crate::data::Dataset;
use crate::device::Device;
use crate::program::cli::{RanksChoice, TrainArgs};
use crate::program::terminal;
use crate::ranks::{CostModel, RankEnded, RankReport, Ranks, ThreadLink, links_of_threads};
use crate::train::{TrainConfig, TrainState, Trainer};

/// Connects with the ranks that MPI has started, if the arguments want it, before anything is printed: only rank 0 prints
/// results.
pub(super) fn connect(args: &TrainArgs) -> Result<Option<Ranks>> {
    if args.ranks != Some(RanksChoice::Mpi) {
        return Ok(None);
    }
    let ranks = mpi()?;
    terminal::set_rank(ranks.rank());
    Ok(Some(ranks))
}

#[cfg(feature = "mpi")]
fn mpi() -> Result<Ranks> {
    Ranks::start(crate::ranks::link_of_mpi)
}

#[cfg(not(feature = "mpi"))]
fn mpi() -> Result<Ranks> {
    anyhow::bail!(
        "--ranks mpi needs a gpu-digits that is built with MPI: install Open MPI or MPICH and libclang (on Debian and \
         Ubuntu: `apt-get install libopenmpi-dev openmpi-bin libclang-dev`), then `cargo build --release --features mpi`; \
         --ranks N trains with N threads of one process"
    )
}

/// Trains with the ranks that the arguments name; `mpi` has those of MPI.
pub(super) async fn run(mut args: TrainArgs, resumed: Option<Resumed>, mpi: Option<Ranks>) -> Result<Verdict> {
    if let Some(ranks) = mpi {
        // What the run's record says can be repeated without MPI.
        args.ranks = Some(RanksChoice::Threads(ranks.count()));
        return run_process(ranks, &args, resumed).await.or_else(|error| end(&error));
    }
    let Some(RanksChoice::Threads(count)) = args.ranks else { return Err(anyhow!("there are no ranks")) };
    let session = Session::open_for_rank(&args.device, &args.data, Some(0)).await?;
    say_start(count, &args);
    let mut links = links_of_threads(count).into_iter();
    let first = links.next().context("there is a first rank")?;
    let state = resumed.as_ref().and_then(|run| run.state.clone());
    thread::scope(|scope| {
        let followers: Vec<_> = links
            .map(|link| scope.spawn(|| block_on(follow_thread(link, &session.dataset, &args, state.as_ref()))))
            .collect();
        let first =
            Ranks::start(|| Ok(first)).and_then(|ranks| block_on(train(&session, &args, resumed, manner(ranks))));
        let ended =
            followers.into_iter().map(|follower| follower.join().unwrap_or_else(|_| Err(anyhow!("it has panicked"))));
        let errors: Vec<(usize, Error)> =
            ended.enumerate().filter_map(|(index, ended)| Some((index + 1, ended.err()?))).collect();
        // Of ranks that end because another one has, or for the same reason, nothing need be said.
        let of_first = first.as_ref().err().map(Error::to_string);
        for (rank, error) in errors {
            if !error.is::<RankEnded>() && of_first.as_ref() != Some(&error.to_string()) {
                warning!("rank {rank}: {error:#}");
            }
        }
        Ok(first?.0)
    })
}

/// Trains as a rank that is a process.
async fn run_process(ranks: Ranks, args: &TrainArgs, resumed: Option<Resumed>) -> Result<Verdict> {
    let session = Session::open_for_rank(&args.device, &args.data, Some(ranks.local_rank())).await?;
    let ranks = ranks.ending_by(session.stop.clone());
    if ranks.rank() == 0 {
        say_start(ranks.count(), args);
        return Ok(train(&session, args, resumed, manner(ranks)).await?.0);
    }
    let state = resumed.and_then(|run| run.state);
    follow(ranks, session.device, &session.dataset, args, state.as_ref()).await?;
    Ok(Verdict::Passed)
}

/// Ends a process of MPI, which then kills the others, after all that have lost the same rank could say so. MPI's own end
/// would wait for ranks that no longer answer.
fn end(error: &Error) -> ! {
    const ALL_HAVE_SPOKEN: Duration = Duration::from_millis(300);
    terminal::error(&format!("{error:#}"));
    thread::sleep(ALL_HAVE_SPOKEN);
    process::exit(code_of(error).into())
}

fn manner(ranks: Ranks) -> Manner {
    Manner { ranks: Some(ranks), ..Manner::default() }
}

fn say_start(count: usize, args: &TrainArgs) {
    match args.sync_every {
        None => note!("ranks: {count}, which share each batch; the weights are those of any number of ranks"),
        Some(steps) => note!(
            "ranks: {count}, local SGD with a mean of the weights every {steps} steps: another method than training with one \
             rank"
        ),
    }
}

async fn follow_thread(
    link: ThreadLink,
    dataset: &Dataset,
    args: &TrainArgs,
    state: Option<&TrainState>,
) -> Result<()> {
    let ranks = Ranks::start(|| Ok(link))?;
    terminal::set_rank(ranks.rank());
    let device = Device::open_for_rank(&args.device.device, ranks.local_rank()).await?;
    follow(ranks, device, dataset, args, state).await
}

/// Trains as rank 0 says.
async fn follow(
    ranks: Ranks,
    opened: Device,
    dataset: &Dataset,
    args: &TrainArgs,
    state: Option<&TrainState>,
) -> Result<()> {
    let Start { model, parameters, .. } = initial(args, dataset.task.clone(), state.is_some())?;
    let config = config(args, &dataset.name, &dataset.task, dataset.train.len())?;
    let device = device(&opened, args, &model, &config).await?;
    let mut trainer = Trainer::among(ranks, &device, &model, &parameters, dataset, config).await?;
    state.map_or(Ok(()), |state| trainer.restore(state))?;
    trainer.follow().await
}

/// The state that a rank of MPI goes on from, and the arguments of its run.
pub(super) fn resumed(path: &Path, ranks: Option<&Ranks>) -> Result<Resumed> {
    if ranks.is_some_and(|ranks| ranks.rank() > 0) { Resumed::look(path) } else { Resumed::open(path) }
}

/// Says what each rank did and waited in a step, and what a model of cost says.
pub(super) fn say(session: &Session, reports: &[RankReport], config: &TrainConfig) {
    let Some(first) = reports.first() else { return };
    let columns = ["rank", "images", "compute ms", "exchange ms", "waited ms", "kB sent"];
    let mut table = table(&columns, 1);
    for report in reports {
        let steps = report.steps.max(1) as f64;
        let milliseconds = |seconds: f64| format!("{:.2}", 1e3 * seconds / steps);
        table.add_row([
            report.rank.to_string(),
            report.images_of_step.to_string(),
            milliseconds(report.compute_seconds),
            milliseconds(report.exchange_seconds),
            milliseconds(report.waited_seconds),
            format!("{:.1}", report.bytes_sent as f64 / steps / 1e3),
        ]);
    }
    session.say("\nof a step:");
    print_table_with(&table, |index| vec![reports[index].device.clone()]);
    if reports.len() > 1 && config.sync_every.is_none() {
        let step = CostModel::measured(first, config.batch, config.micro_batches, first.link).step(reports.len());
        session.say(&format!(
            "a message takes {:.1} us and {:.2} GB/s; the exchange alone takes {:.2} ms, by the model of `plan --ranks` {:.2} ms",
            1e6 * first.link.latency_seconds,
            1e-9 * first.link.bytes_per_second,
            1e3 * first.idle_exchange_seconds,
            1e3 * step.exchange_seconds,
        ));
    }
}
