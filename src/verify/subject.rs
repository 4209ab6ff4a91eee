//! The models that are verified, each in all of its forms.

use std::collections::HashSet;
use std::sync::LazyLock;

use anyhow::Result;

use crate::augment::Augment;
use crate::finite::bound;
use crate::model::{Model, NAMED_MODELS};
use crate::ops::Case;
use crate::plan::{Optimizer, Plan, PlanConfig, PlanForm, Precision, Refinements};

/// The batch size of `train`, at which the kernels of the default model and of a user's model are checked.
const TRAINING_BATCH: usize = 128;

/// The batch size for the kernels of the other models, and for all models in lockstep; it is not a multiple of any tile
/// size.
const SMALL_BATCH: usize = 19;

/// Images of the data set that the checks train on.
pub(super) const IMAGES: usize = 3 * TRAINING_BATCH + 5;

const OPTIMIZERS: [Optimizer; 2] = [
    Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false },
    Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
];

/// The forms in which models are verified.
const FORMS: [PlanForm; 3] = [PlanForm::PLAIN, PlanForm::FUSED, PlanForm::HALF];

/// A model that is verified.
pub struct Subject {
    name: String,
    model: Model,
    /// The optimizers of its kernels; the first one trains in lockstep.
    optimizers: Vec<Optimizer>,
    /// Samples of a batch of its kernels.
    batch: usize,
    forms: Vec<PlanForm>,
}

/// Steps of a model on GPU and CPU, call by call.
#[derive(Clone)]
pub struct Lockstep {
    /// `lockstep`, or `large_weights`: an evaluation with weights so large that activations come near to what is refused.
    pub op: &'static str,
    /// Op, model and form; `verify` accepts the same text.
    pub label: String,
    pub(super) model: Model,
    pub(super) optimizer: Optimizer,
    pub(super) plan: Plan,
}

/// The words for the two kinds of locksteps.
pub(super) const LOCKSTEP: &str = "lockstep";
pub(super) const LARGE_WEIGHTS: &str = "large_weights";

impl Subject {
    /// A user's model, by its name or its layers.
    ///
    /// # Errors
    /// If it cannot be parsed or planned.
    pub fn new(text: &str) -> Result<Self> {
        Self::of(text.trim(), text.parse()?)
    }

    /// A model with a name, which may have layers of your own.
    ///
    /// # Errors
    /// If it cannot be planned.
    pub fn of(name: &str, model: Model) -> Result<Self> {
        Self::in_all_forms(name, model, OPTIMIZERS.to_vec(), TRAINING_BATCH)
    }

    /// The named models, with alternating optimizers.
    pub fn shipped() -> &'static [Self] {
        static SHIPPED: LazyLock<Vec<Subject>> = LazyLock::new(|| {
            let subject = |(i, (name, _)): (usize, &(&str, &str))| {
                let batch = if i == 0 { TRAINING_BATCH } else { SMALL_BATCH };
                // A shipped model that cannot be planned is left out; a test checks that there is none.
                let model = name.parse().ok()?;
                Subject::in_all_forms(name, model, vec![OPTIMIZERS[i % OPTIMIZERS.len()]], batch).ok()
            };
            NAMED_MODELS.iter().enumerate().filter_map(subject).collect()
        });
        &SHIPPED
    }

    fn in_all_forms(name: &str, model: Model, optimizers: Vec<Optimizer>, batch: usize) -> Result<Self> {
        let mut subject = Self { name: name.to_owned(), model, optimizers, batch, forms: vec![] };
        for form in FORMS {
            match subject.plan(form, subject.optimizers[0], batch) {
                // Where nothing is fused it equals the plain plan.
                Ok(plan) if form == PlanForm::FUSED && plan.fusion.merged.is_empty() => {}
                Ok(_) => subject.forms.push(form),
                // Not every model has ops in half precision.
                Err(_) if form.precision == Precision::F16 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(subject)
    }

    /// A plan over a small data set. With SGD images are deformed, too.
    fn plan(&self, form: PlanForm, optimizer: Optimizer, batch: usize) -> Result<Plan> {
        let elastic = if matches!(optimizer, Optimizer::Sgd { .. }) { 5.0 } else { 0.0 };
        let augment = Augment { elastic, ..Augment::FOR_DIGITS };
        let config = PlanConfig {
            batch,
            images: IMAGES,
            batches: IMAGES.div_ceil(batch),
            steps: 10,
            optimizer: Some(optimizer),
            refinements: Refinements { augment, ..Refinements::FOR_DIGITS },
            form,
        };
        Plan::new(&self.model, config)
    }

    /// The different cases of an op in all of its plans.
    pub fn cases(&self, op: &str) -> Vec<Case> {
        self.all_cases().into_iter().filter(|case| case.name() == op).collect()
    }

    /// The different cases of all ops in all of its plans.
    pub fn all_cases(&self) -> Vec<Case> {
        let mut seen = HashSet::new();
        let forms = self.forms.iter().flat_map(|&form| self.optimizers.iter().map(move |&optimizer| (form, optimizer)));
        let plans = forms.filter_map(|(form, optimizer)| self.plan(form, optimizer, self.batch).ok());
        let cases = plans.flat_map(|plan| plan.cases());
        cases.filter(|case| seen.insert(case.label())).collect()
    }

    /// Its lockstep in the form that is trained by default on a GPU.
    ///
    /// # Errors
    /// If it cannot be planned for a small batch.
    pub(super) fn trained_lockstep(&self) -> Result<Lockstep> {
        self.lockstep(LOCKSTEP, PlanForm::FUSED)
    }

    fn lockstep(&self, op: &'static str, form: PlanForm) -> Result<Lockstep> {
        let optimizer = self.optimizers[0];
        let plan = self.plan(form, optimizer, SMALL_BATCH)?;
        let label = format!("{op}:model={},{form}", self.name);
        Ok(Lockstep { op, label, model: self.model.clone(), optimizer, plan })
    }

    /// Its locksteps, in all of its forms.
    ///
    /// # Errors
    /// If it cannot be planned for a small batch.
    pub fn locksteps(&self) -> Result<Vec<Lockstep>> {
        let mut locksteps = Vec::new();
        // Without a bound there are no weights that come near to the limit.
        let has_bound = bound(&self.model, &self.model.initial_parameters(0)).is_finite();
        for op in [LOCKSTEP, LARGE_WEIGHTS].into_iter().filter(|op| *op == LOCKSTEP || has_bound) {
            // 16-bit floats end at 65,504.
            for &form in self.forms.iter().filter(|form| op == LOCKSTEP || form.precision == Precision::F32) {
                locksteps.push(self.lockstep(op, form)?);
            }
        }
        Ok(locksteps)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::Task;
    use crate::layers::{Dense, Flatten, Layer, ParameterSpec, Recorder};

    #[test]
    fn every_shipped_model_can_be_planned() {
        let shipped = Subject::shipped();
        assert_eq!(shipped.len(), NAMED_MODELS.len());
        for subject in shipped {
            assert_eq!(subject.forms.len(), FORMS.len(), "{}", subject.name);
        }
    }

    #[test]
    fn a_layer_without_a_bound_has_no_check_near_the_largest_floats() {
        /// A dense layer that does not say how large its outputs are.
        #[derive(Debug)]
        struct Unbounded(Dense);

        impl Layer for Unbounded {
            fn text(&self) -> String {
                self.0.text()
            }

            fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
                self.0.output(input)
            }

            fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec> {
                self.0.parameters(input)
            }

            fn forward(&self, step: &mut Recorder<'_>) {
                self.0.forward(step);
            }

            fn backward(&self, step: &mut Recorder<'_>) {
                self.0.backward(step);
            }
        }

        let dense = Dense { outputs: 10 };
        let ops = |layer: Arc<dyn Layer>| {
            let subject = Subject::of("mine", Model::new(Task::MNIST, [Arc::new(Flatten), layer]).unwrap()).unwrap();
            subject.locksteps().unwrap().iter().map(|lockstep| lockstep.op).collect::<Vec<_>>()
        };
        assert_eq!(ops(Arc::new(dense)), [LOCKSTEP, LOCKSTEP, LOCKSTEP, LARGE_WEIGHTS, LARGE_WEIGHTS]);
        assert_eq!(ops(Arc::new(Unbounded(dense))), [LOCKSTEP; 3]);
    }

    #[test]
    fn a_model_of_a_users_has_cases_and_locksteps_in_all_forms_that_it_has() {
        let text = "conv 6x3, relu, pool 2, flatten, dense 10";
        let subject = Subject::new(text).unwrap();
        let labels: Vec<String> = subject.locksteps().unwrap().into_iter().map(|lockstep| lockstep.label).collect();
        assert_eq!(labels[2], format!("lockstep:model={text},fuse=on,precision=f16"));
        assert_eq!(labels[4], format!("large_weights:model={text},fuse=on"));
        let cases = |op: &str| subject.cases(op).iter().map(|case| case.label()).collect::<Vec<_>>();
        assert!(
            cases("conv2d_forward")[0].contains("batch=128") && cases("conv2d_forward")[0].contains("out_channels=6")
        );
        for op in ["sgd_step", "adam_step", "conv_relu_pool_forward_f16"] {
            assert!(!cases(op).is_empty(), "{op}");
        }
        assert_eq!(Subject::new("flatten, dense 10").unwrap().locksteps().unwrap().len(), 5);
        // Nothing can be fused, and an odd number of channels has no half precision.
        assert_eq!(Subject::new("conv 3x3, avg 2, conv 10x13, flatten").unwrap().locksteps().unwrap().len(), 2);
        assert!(Subject::new("flatten, dens 10").is_err());
    }
}
