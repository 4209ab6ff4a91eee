//! The optimizers.

/// An optimizer with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// See [`SgdStep`](crate::ops::optimizer::SgdStep).
    Sgd {
        /// Fraction of the velocity that is kept.
        momentum: f64,
        /// Whether to use Nesterov's look-ahead.
        nesterov: bool,
        /// Factor of the L2 penalty's gradient.
        weight_decay: f64,
    },
    /// See [`AdamStep`](crate::ops::optimizer::AdamStep).
    Adam {
        /// Fraction of the first moment that is kept.
        beta1: f64,
        /// Fraction of the second moment that is kept.
        beta2: f64,
        /// Added to the divisor, to keep the division finite.
        epsilon: f64,
        /// Weight decay.
        weight_decay: f64,
        /// AdamW instead of Adam.
        decoupled: bool,
    },
}

impl Optimizer {
    /// Adam or AdamW with the numbers of the paper.
    pub const fn adam(weight_decay: f64, decoupled: bool) -> Self {
        Self::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay, decoupled }
    }
}
