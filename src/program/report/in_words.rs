//! The settings of a run in words.

use crate::numbers::exact;
use crate::program::run_folder::{RunRecord, Settings};

/// The optimizer and its numbers, such as `Adam` or `SGD with Nesterov momentum 0.9, weight decay 0.0001`.
///
/// `run.json` stores the optimizer as `Adam { beta1: 0.9, ... }`. A text of another form is returned unchanged.
pub(super) fn optimizer(settings: &Settings) -> String {
    let text = settings.optimizer.as_str();
    let field = |name: &str| {
        let (_, rest) = text.split_once(&format!("{name}: "))?;
        rest.split([',', ' ', '}']).next()
    };
    let number = |name: &str| field(name).and_then(|value| value.parse::<f64>().ok()).filter(|&value| value != 0.0);
    let mut words = match text.split_once(' ').map(|(name, _)| name) {
        Some("Sgd") => match (number("momentum"), field("nesterov")) {
            (Some(momentum), Some("true")) => format!("SGD with Nesterov momentum {}", exact(momentum)),
            (Some(momentum), _) => format!("SGD with momentum {}", exact(momentum)),
            (None, _) => "SGD".to_owned(),
        },
        Some("Adam") if field("decoupled") == Some("true") => "AdamW".to_owned(),
        Some("Adam") => "Adam".to_owned(),
        _ => return text.to_owned(),
    };
    if let Some(decay) = number("weight_decay") {
        words.push_str(&format!(", weight decay {}", exact(decay)));
    }
    words
}

/// The learning rate over the run, such as `learning rate up to 0.01, one-cycle`.
pub(super) fn learning_rate(settings: &Settings) -> String {
    let rate = exact(settings.learning_rate);
    match settings.schedule.as_str() {
        "Constant" => format!("learning rate {rate}, constant"),
        "Cosine" => format!("learning rate from {rate} down to 0, cosine"),
        "OneCycle" => format!("learning rate up to {rate}, one-cycle"),
        "Step" => format!("learning rate {rate}, a tenth after 1/2 and again after 3/4 of the steps"),
        other => format!("learning rate {rate}, {other}"),
    }
}

/// The schedule's usual name.
pub(super) fn schedule(settings: &Settings) -> &str {
    match settings.schedule.as_str() {
        "Constant" => "constant",
        "Cosine" => "cosine",
        "OneCycle" => "one-cycle",
        "Step" => "in steps",
        other => other,
    }
}

/// The model's name if it has one, otherwise its layers; if there are many layers, only the first and the last ones.
pub(super) fn model(record: &RunRecord) -> String {
    const MOST_LAYERS: usize = 12;
    let named = crate::model::NAMED_MODELS.iter().find(|(_, text)| *text == record.model);
    let layers: Vec<&str> = record.model.split(", ").collect();
    match named {
        Some((name, _)) => (*name).to_owned(),
        None if layers.len() <= MOST_LAYERS => record.model.clone(),
        None => {
            let (first, last) = (layers[..4].join(", "), layers[layers.len() - 2..].join(", "));
            format!("{first}, …, {last} ({} layers)", layers.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Optimizer;
    use crate::program::report::sample;
    use crate::schedule::Schedule;

    fn settings(of: Optimizer, rate: f64, schedule: Schedule) -> Settings {
        let settings = sample::report(1, |_| 1.0).record.settings;
        Settings { optimizer: format!("{of:?}"), schedule: format!("{schedule:?}"), learning_rate: rate, ..settings }
    }

    #[test]
    fn models_have_their_name_or_a_short_form() {
        let mut record = sample::report(1, |_| 1.0).record;
        assert_eq!(model(&record), "flatten, dense 10");
        record.model = format!("flatten, {}dense 10", "dense 12, relu, ".repeat(39));
        assert_eq!(model(&record), "flatten, dense 12, relu, dense 12, …, relu, dense 10 (80 layers)");
        let (name, text) = crate::model::NAMED_MODELS[0];
        record.model = text.to_owned();
        assert_eq!(model(&record), name);
    }

    #[test]
    fn optimizers_and_schedules_are_told_in_words() {
        let sgd = |momentum, nesterov| Optimizer::Sgd { momentum, nesterov, weight_decay: 0.0 };
        let words = |of| optimizer(&settings(of, 0.1, Schedule::Constant));
        assert_eq!(words(Optimizer::adam(0.0, false)), "Adam");
        assert_eq!(words(Optimizer::adam(0.01, true)), "AdamW, weight decay 0.01");
        assert_eq!(words(sgd(0.0, false)), "SGD");
        assert_eq!(words(sgd(0.9, false)), "SGD with momentum 0.9");
        assert_eq!(words(sgd(0.9, true)), "SGD with Nesterov momentum 0.9");
        let rate = |schedule, rate| learning_rate(&settings(Optimizer::adam(0.0, false), rate, schedule));
        assert_eq!(rate(Schedule::OneCycle, 0.00025), "learning rate up to 0.00025, one-cycle");
        assert_eq!(rate(Schedule::Constant, 1e-7), "learning rate 1e-7, constant");
        assert_eq!(rate(Schedule::Cosine, 0.5), "learning rate from 0.5 down to 0, cosine");
        assert!(rate(Schedule::Step, 0.5).contains("a tenth after 1/2"));
    }
}
