//! The outputs of a command.

use super::{BenchCommand, Command};
use crate::program::files::Destination;

impl Command {
    /// The destinations that the output options name.
    pub(crate) fn outputs(&self) -> Vec<&Destination> {
        let named: Vec<&Option<Destination>> = match self {
            Self::Train(args) => vec![&args.trace, args.find_lr.as_ref().unwrap_or(&None)],
            Self::Data(args) => vec![&args.results.json, &args.sheet],
            Self::Eval(args) => vec![&args.results.json],
            Self::Export(args) => vec![&args.out],
            Self::Predict(args) => vec![&args.results.json, &args.csv, &args.show],
            Self::Verify(args) => vec![&args.results.json, &args.junit],
            Self::Bench(args) => match &args.command {
                None => vec![&args.results.json, &args.roofline],
                Some(BenchCommand::Train(args)) => vec![&args.results.json],
                Some(BenchCommand::Show(args)) => vec![&args.roofline],
                Some(BenchCommand::Page(args)) => vec![&args.out],
                Some(BenchCommand::Compare(_) | BenchCommand::Check(_)) => vec![],
            },
            Self::Devices(args) => vec![&args.results.json],
            Self::Inspect(args) => vec![&args.results.json],
            Self::Doctor(args) => vec![&args.results.json],
            Self::Report(args) => vec![&args.comparison],
            Self::Import(_)
            | Self::Tune(_)
            | Self::Plan(_)
            | Self::Shaders(_)
            | Self::Web(_)
            | Self::Sweep(_)
            | Self::Completions(_)
            | Self::Man(_) => {
                vec![]
            }
        };
        named.into_iter().flatten().collect()
    }

    /// Whether the command writes files. Such a command continues if nobody reads its standard output.
    pub(crate) fn leaves_files(&self) -> bool {
        let writes = matches!(
            self,
            Self::Train(_)
                | Self::Import(_)
                | Self::Sweep(_)
                | Self::Tune(_)
                | Self::Shaders(_)
                | Self::Report(_)
                | Self::Man(_)
        );
        let writes = writes || matches!(self, Self::Predict(args) if args.stages.is_some());
        let writes = writes || matches!(self, Self::Export(args) if args.out.is_none());
        let writes = writes || matches!(self, Self::Bench(args) if args.writes_a_page());
        writes || self.outputs().into_iter().any(|output| *output != Destination::StandardOutput)
    }
}
