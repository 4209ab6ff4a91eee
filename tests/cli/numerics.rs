//! Commands and the numbers that they are given or come to.

use libtest_mimic::Failed;

use crate::program::{Home, check};

pub(crate) fn unfused(home: &Home) -> Result<(), Failed> {
    let model = "conv 4x3, relu, dropout 0.1, pool 2, flatten, dense 10";
    let run = home.run_without_drivers(&["plan", "--model", model]);
    run.exits_with(0)?.says(&["note: layer 3 (`dropout 0.1`, dropout1) ends fusing"])?;
    let notes = |run: &crate::program::Run| run.stderr.matches("ends fusing").count();
    check(notes(&run) == 1, "the layer is named once")?;
    let run = home.train(&["--model", model, "--fuse", "on", "--epochs", "1"]);
    run.exits_with(0)?.says(&["layer 3 (`dropout 0.1`, dropout1) ends fusing"])?;
    check(notes(&run) == 1, "the layer is named once")?;
    // Where nobody asks for fused ops, and where all layers have some, there is nothing to say.
    for words in [&["plan", "--model", model, "--fuse", "off"][..], &["plan"]] {
        let run = home.run_without_drivers(words);
        check(notes(run.exits_with(0)?) == 0, format!("{words:?} speaks of fusing"))?;
    }
    Ok(())
}
