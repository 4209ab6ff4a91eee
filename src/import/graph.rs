//! A graph of operations as layers in a row: it follows the value from the input to the output, and makes what divides and is
//! added again a `residual`.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, bail, ensure};

use super::chain::Chain;
use super::operation::Operation;
use super::value::Value;

/// How deep sums may stand in each other, as in the text of a model.
const MOST_DEPTH: usize = 8;

/// Operations on named values.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// The name and shape of the input.
    pub(super) input: (String, Value),
    /// The name of the output.
    pub(super) output: String,
    /// Whether convolutions and their like take maps with channels last.
    pub(super) channels_last: bool,
}

/// An operation on values.
#[derive(Debug)]
pub(super) struct Node {
    /// Its kind and name, for errors.
    pub(super) label: String,
    pub(super) operation: Operation,
    /// The values that it takes, constants left out.
    pub(super) inputs: Vec<String>,
    pub(super) output: String,
}

/// Where a row of layers ends.
enum End<'a> {
    Output,
    Sum(&'a Node),
}

/// The nodes that take each value.
type Users<'a> = HashMap<&'a str, Vec<&'a Node>>;

impl Graph {
    /// Its layers, from the input to the output.
    ///
    /// # Errors
    /// If no layers of ours compute it; the error names the node.
    pub(super) fn layers(&self) -> Result<Chain> {
        let needed = self.needed();
        let mut users = Users::new();
        for node in self.nodes.iter().filter(|node| needed.contains(node.output.as_str())) {
            let wanted = if matches!(node.operation, Operation::Sum) { 2 } else { 1 };
            ensure!(node.inputs.len() == wanted, "{} takes {} values, not {wanted}", node.label, node.inputs.len());
            for (place, input) in node.inputs.iter().enumerate() {
                ensure!(!node.inputs[..place].contains(input), "{} adds a value to itself", node.label);
                users.entry(input).or_default().push(node);
            }
        }
        let mut chain = Chain::at_input(self.input.1.clone(), self.channels_last);
        let mut left = self.nodes.len();
        match self.follow(&users, &mut chain, &self.input.0, MOST_DEPTH, &mut left)? {
            End::Output => {}
            End::Sum(node) => bail!("{} adds a value that does not come from the input", node.label),
        }
        Ok(chain)
    }

    /// The values that the output is computed from.
    fn needed(&self) -> HashSet<&str> {
        let makers: HashMap<&str, &Node> = self.nodes.iter().map(|node| (node.output.as_str(), node)).collect();
        let (mut needed, mut open) = (HashSet::new(), vec![self.output.as_str()]);
        while let Some(value) = open.pop() {
            if needed.insert(value) {
                open.extend(makers.get(value).into_iter().flat_map(|node| node.inputs.iter().map(String::as_str)));
            }
        }
        needed
    }

    /// Adds the layers behind a value, up to the output or to a sum with another branch.
    fn follow<'a>(
        &'a self,
        users: &Users<'a>,
        chain: &mut Chain,
        from: &'a str,
        depth: usize,
        left: &mut usize,
    ) -> Result<End<'a>> {
        let mut at = from;
        while at != self.output {
            at = match users.get(at).map_or(&[][..], Vec::as_slice) {
                [] => bail!("the output does not come from the input `{from}`"),
                [node] if matches!(node.operation, Operation::Sum) => return Ok(End::Sum(node)),
                [node] => self.step(chain, node, left)?,
                [a, b] => self.divided(users, chain, [a, b], depth, left)?,
                [node, ..] => bail!(
                    "{} and others take the same value; our layers follow each other, with at most one shortcut around them",
                    node.label
                ),
            };
        }
        Ok(End::Output)
    }

    /// Adds a node, and returns its output.
    fn step<'a>(&'a self, chain: &mut Chain, node: &'a Node, left: &mut usize) -> Result<&'a str> {
        *left = left.checked_sub(1).context("the graph goes in a circle")?;
        chain.add(&node.operation).with_context(|| format!("{} is no layer of ours", node.label))?;
        Ok(&node.output)
    }

    /// Adds two branches up to their sum, and returns its output.
    fn divided<'a>(
        &'a self,
        users: &Users<'a>,
        chain: &mut Chain,
        nodes: [&'a Node; 2],
        depth: usize,
        left: &mut usize,
    ) -> Result<&'a str> {
        let depth = depth.checked_sub(1).context("sums stand in each other deeper than ours may")?;
        let mut sums = Vec::new();
        let mut branch = |node: &'a Node| -> Result<Chain> {
            let mut branch = chain.branch();
            let end = if matches!(node.operation, Operation::Sum) {
                End::Sum(node)
            } else {
                let output = self.step(&mut branch, node, left)?;
                self.follow(users, &mut branch, output, depth, left)?
            };
            match end {
                End::Sum(sum) => sums.push(sum),
                End::Output => bail!("{} takes a value that others take too, and leads to the output", node.label),
            }
            Ok(branch)
        };
        let branches = [branch(nodes[0])?, branch(nodes[1])?];
        let [sum, other] = sums[..] else { bail!("two branches do not end in sums") };
        ensure!(std::ptr::eq(sum, other), "{} and {} add branches that cross each other", sum.label, other.label);
        chain.add_sum(branches).with_context(|| format!("{} is no layer of ours", sum.label))?;
        Ok(&sum.output)
    }
}
