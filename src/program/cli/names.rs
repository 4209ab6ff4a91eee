//! The names of the library's choices on the command line.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::data::DataChoice;
use crate::plan::Precision;
use crate::schedule::Schedule;

/// Implements [`ValueEnum`] for an enum of the library: each variant with its name and its line of help. Those that are left
/// to the library have none.
macro_rules! names {
    ($type:ident: $($variant:ident $name:literal $help:literal,)* $(; without $nameless:ident)?) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),*]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self {
                    $(Self::$variant => PossibleValue::new($name).help($help),)*
                    $(Self::$nameless => return None,)?
                })
            }
        }
    };
}

names! { DataChoice:
    Auto "auto" "MNIST, or generated digits if MNIST can be neither found nor downloaded",
    Mnist "mnist" "MNIST, or the set in the folder of --data, or an error",
    Generated "generated" "Generated digits: no file, no network",
}

names! { Precision:
    F32 "f32" "32-bit floats",
    F16 "f16" "16-bit floats; sums and parameters stay in 32 bits",
}

names! { Schedule:
    Constant "constant" "The same throughout",
    Cosine "cosine" "Half a cosine from the peak to 0",
    OneCycle "one-cycle" "Up from a 25th of the peak over the first 30 % of the steps, then down to nearly 0, as PyTorch's OneCycleLR",
    Step "step" "A tenth after one half and again after three quarters of the steps",
    ; without Rising
}
