//! A sum whose order does not depend on who adds.

/// A sum of vectors, added in pairs: neighbours first, then the sums of neighbours, and so on (pairwise summation).
///
/// The sum of 2ᵏ vectors that begin at a multiple of 2ᵏ is a node of the tree. So whoever adds up such a part gets the
/// same bits as one who adds up all, and sends a single vector.
///
/// ```
/// use gpu_digits::ranks::TreeSum;
///
/// let sum = |vectors: &[f32]| {
///     let mut sum = TreeSum::default();
///     vectors.iter().for_each(|&vector| sum.add(vec![vector]));
///     sum.finish()
/// };
/// let all = [1e8, 1.0, 1.0, 1.0, 3.0, 1e-3, 7.0];
/// let [left, right] = [sum(&all[..4]), sum(&all[4..])];
/// assert_eq!(sum(&all), sum(&[left[0], right[0]]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct TreeSum {
    /// The sums of 2ⁱ vectors with their i, each to the left of the next and larger.
    nodes: Vec<(u32, Vec<f32>)>,
}

impl TreeSum {
    /// Adds the next vector, which is as long as the others.
    pub fn add(&mut self, mut vector: Vec<f32>) {
        let mut level = 0;
        while let Some((_, left)) = self.nodes.pop_if(|(of_node, _)| *of_node == level) {
            vector = sum(left, &vector);
            level += 1;
        }
        self.nodes.push((level, vector));
    }

    /// The sum; empty if there is no vector.
    pub fn finish(self) -> Vec<f32> {
        let nodes = self.nodes.into_iter().rev().map(|(_, vector)| vector);
        nodes.reduce(|right, left| sum(left, &right)).unwrap_or_default()
    }
}

fn sum(mut left: Vec<f32>, right: &[f32]) -> Vec<f32> {
    left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn sum_of<'a>(vectors: impl IntoIterator<Item = &'a Vec<f32>>) -> Vec<f32> {
        let mut sum = TreeSum::default();
        vectors.into_iter().for_each(|vector| sum.add(vector.clone()));
        sum.finish()
    }

    #[test]
    fn the_bits_do_not_depend_on_how_many_add() {
        let mut random = Random::new(0, 0);
        for all in [1, 2, 3, 6, 7, 8, 12, 64] {
            let vectors: Vec<Vec<f32>> = (0..all)
                .map(|_| (0..5).map(|_| random.uniform(-1.0, 1.0) * 10f32.powi(random.below(9) as i32)).collect())
                .collect();
            let whole = sum_of(&vectors);
            for of_each in [1, 2, 4, 8].into_iter().filter(|of_each| all % of_each == 0) {
                let parts: Vec<Vec<f32>> = vectors.chunks(of_each).map(sum_of).collect();
                assert_eq!(sum_of(&parts), whole, "{all} vectors, {of_each} by each");
            }
        }
    }

    #[test]
    fn neighbours_are_added_first() {
        // From left to right it would be 1.
        assert_eq!(sum_of(&[1e8, 1.0, -1e8, 1.0].map(|value| vec![value])), [0.0]);
        assert!(sum_of(&[]).is_empty());
    }
}
