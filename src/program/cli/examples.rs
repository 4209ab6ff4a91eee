//! The examples at the end of each command's help.

use crate::layers::LAYERS;

pub(super) const PROGRAM: &str = "\
First steps:
  gpu-digits devices                                  list the GPUs
  gpu-digits train --out run                          train, then open run/report.html
  gpu-digits predict run photo.jpg                    recognise a digit
  gpu-digits verify                                   verify every kernel

`gpu-digits COMMAND --help` has more examples. Exit codes: 0 success, 1 a check failed, 2 an error, 130 interrupted.";

/// Examples, and the layers that a model may have.
pub(super) fn train() -> String {
    let layers = LAYERS.iter().map(|entry| (entry.forms.join(", "), entry.help));
    let width = layers.clone().map(|(forms, _)| forms.len()).max().unwrap_or(0);
    let lines: String = layers.map(|(forms, help)| format!("\n  {forms:width$}  {help}")).collect();
    format!("{TRAIN}\n\nLayers of a model:{lines}")
}

const TRAIN: &str = "\
Examples:
  gpu-digits train
  gpu-digits train --model lenet5 --epochs 3 --target-accuracy 98.5
  gpu-digits train --model 'conv 16x5, relu, pool 4, flatten, dense 10' --optimizer sgd
  gpu-digits train --dataset generated --device cpu --out try
  gpu-digits train --init try/model.safetensors --lr 0.001 --out further
  gpu-digits train --data my-pictures --image-size 48x48      learn pictures sorted into folders by class
  gpu-digits train --resume try                               go on with a run that ended early

Ctrl-C ends training after the current step, saves the model and a checkpoint. A second Ctrl-C, a second later, ends it at once.";

pub(super) const DATA: &str = "\
Examples:
  gpu-digits data                                    MNIST
  gpu-digits data my-pictures --sheet sheet.png      a folder with a folder of pictures for each class
  gpu-digits data emnist/emnist-balanced             one of the sets in a folder
  gpu-digits data my-pictures --json - | jq .identical

Images are counted from 0: the training images, and then the test images.";

pub(super) const EVAL: &str = "\
Examples:
  gpu-digits eval run
  gpu-digits eval run/model.safetensors --data my-digits --device cpu
  gpu-digits eval run --json - | jq .accuracy";

pub(super) const EXPORT: &str = "\
Examples:
  gpu-digits export run --format onnx
  gpu-digits export run --format c --out digits.c
  gpu-digits export run --format c --int8                     weights and values of 8 bits, no floats
  gpu-digits export run --format json --out - | gzip > digits.json.gz

docs/EXPORT.md describes the files.";

pub(super) const PREDICT: &str = "\
Examples:
  gpu-digits predict run photo.jpg
  gpu-digits predict run photo.jpg --show read.png            draw what is read where
  gpu-digits predict run forms/ --recursive --csv digits.csv --min-confidence 0.9
  curl -s https://example.org/seven.png | gpu-digits predict run -";

pub(super) const IMPORT: &str = "\
Examples:
  gpu-digits import model.onnx                       its weights may lie beside it, in model.onnx.data
  gpu-digits import model.keras --out model.safetensors && gpu-digits eval model.safetensors
  gpu-digits import weights.pt --model 'conv 32x3, relu, pool 2, flatten, dense 10' --mean 0.1307 --deviation 0.3081
  gpu-digits train --init model.safetensors

What no layer here computes exactly is refused, with the name of the node. Pixels come into the model from 0 to 1, or as
bytes where its own first layer scales them; --mean and --deviation say otherwise.";

pub(super) const VERIFY: &str = "\
Examples:
  gpu-digits verify
  gpu-digits verify 'conv*' lockstep --device 1
  gpu-digits verify --model 'conv 8x5, relu, pool 4, flatten, dense 10'
  gpu-digits verify --device all --junit verify.xml";

pub(super) const BENCH: &str = "\
Examples:
  gpu-digits bench                                   every kernel of convnet's training step
  gpu-digits bench conv2d_forward --samples 30       all cases of one op
  gpu-digits bench --device all --json all.json      adapters side by side, saved to a file
  gpu-digits bench --roofline roofline.svg           plot how far each kernel is from the peaks
  gpu-digits bench train --batch-size 32,128         images/s of training and inference
  gpu-digits bench compare --run old/gpu-digits      measure this and another build alternately

Each kernel is compared with its CPU reference before it is timed. `±` is the 95 % interval of the median. `% of bound`
is the least time that the adapter's peaks allow, over the measured time.";

pub(super) const BENCH_TRAIN: &str = "\
Examples:
  gpu-digits bench train
  gpu-digits bench train --model lenet5 --batch-size 64 --samples 15 --json steps.json

`step` is the time of a step by the host's clock, over many steps submitted together. `device` is the time for
which the device worked, by its timestamps; `encode` and `submit` are the host's work for a step. `±` is the
interquartile range of the samples.";

pub(super) const BENCH_COMPARE: &str = "\
How to measure a change:
  Times of two runs differ even if nothing has changed, because the machine also does other work. So measure the
  old and the new program alternately (old, new, new, old, ...). This command does so and compares the ratios:

  new/gpu-digits bench compare --run old/gpu-digits
  new/gpu-digits bench compare --run old/gpu-digits --rounds 10 -- conv2d_forward --samples 5

  If old and new are equal, it reports no change in 19 of 20 tries. More rounds find smaller changes.

Two files:
  gpu-digits bench --json before.json
  gpu-digits bench --json now.json
  gpu-digits bench compare before.json now.json --fail-above 20%

  Two files are noisier: whatever the machine did between the two measurements counts as noise.";

pub(super) const BENCH_SHOW: &str = "\
Examples:
  gpu-digits bench show kernels.json
  gpu-digits bench show before.json now.json         side by side; `1 / 0` is the second time over the first
  gpu-digits bench show --summary --markdown benches/results/*.json";

pub(super) const BENCH_CHECK: &str = "\
Examples:
  gpu-digits bench check theirs.json
  gpu-digits bench check benches/results/*.json      also against each other

A result is refused (exit code 1) if its kernels were wrong in the same process, if a time does not fit its samples, if
a kernel is faster than the adapter's measured peaks can be, or if its short training ends with other weights than
another result of the same adapter, driver and commit.";

pub(super) const BENCH_PAGE: &str = "\
Examples:
  gpu-digits bench page benches/results/*.json
  gpu-digits bench page mine.json theirs.json --out gpus.html

The page needs no network. It also says what `bench check` finds, and which models an adapter has not measured.";

pub(super) const INSPECT: &str = "\
Examples:
  gpu-digits inspect --batch-size 512                the kernels of convnet's training step
  gpu-digits inspect 'conv2d*' --all --json          every kernel of some ops, at all sizes that `verify` has
  gpu-digits inspect --model lenet5 --isa            with the assembly

Columns: lanes of a subgroup; vector registers of a lane; spills, which should be 0; bytes of workgroup memory; waves
(subgroups) that fit on a unit; instructions; of the loop with the most multiply-adds these, all its instructions and
their share, words read from workgroup memory for each multiply-add, and loads; workgroups of the step; milliseconds and
megabytes that compiling took. Nothing runs. docs/KERNELS.md explains the numbers. A driver that tells nothing leaves
all but the last three empty.

Mesa's drivers compile without the GPU: with `RADV_FORCE_FAMILY=navi21` and
`VK_DRIVER_FILES=/usr/share/vulkan/icd.d/radeon_icd.x86_64.json` this shows what an AMD card would run.";

pub(super) const TUNE: &str = "\
Examples:
  gpu-digits tune                                    the kernels of convnet's training step at batch 128
  gpu-digits tune --model lenet5 --batch-size 32,64
  gpu-digits tune --list                             print the saved choices

`tune` compares every variant of an op with its CPU reference and times it at the model's sizes. The fastest correct
one is saved in the user's cache folder for this adapter, driver and version. `train` then uses it.";

pub(super) const DEVICES: &str = "\
Examples:
  gpu-digits devices
  gpu-digits devices --json - | jq '.[].name'
  gpu-digits train --device 1";

pub(super) const DOCTOR: &str = "\
Examples:
  gpu-digits doctor
  gpu-digits doctor --json - | jq '.advice[]'

Exit codes: 0 if every adapter works, 1 if one fails its self-test or cannot be opened, 2 if none can be used.";

pub(super) const PLAN: &str = "\
Examples:
  gpu-digits plan
  gpu-digits plan --model mlp --batch-size 1 --fuse off
  gpu-digits plan --kernels --device vulkan";

pub(super) const SHADERS: &str = "\
Examples:
  gpu-digits shaders wgsl
  naga wgsl/relu_forward.wgsl                        validate one (`cargo install naga-cli`)

Shaders with subgroup operations must begin with the line `enable subgroups;` in a browser.
Those named `matrix8` and `matrix16` are for wgpu only: WGSL has no matrices of a whole subgroup.";

pub(super) const WEB: &str = "\
Examples:
  gpu-digits web --open                              then choose Train, Draw or Verify
  gpu-digits web --port 0 --data mnist               any free port; MNIST from a folder

Nobody else can reach the page: it listens at 127.0.0.1. Ctrl-C ends it.";

pub(super) const REPORT: &str = "\
Examples:
  gpu-digits report run
  gpu-digits report run --plots png
  gpu-digits report run-a run-b run-c --comparison abc.html";

pub(super) const SWEEP: &str = "\
Examples:
  gpu-digits sweep --lr 0.003,0.01,0.03 --seeds 3 --out lr
  gpu-digits sweep --model 'convnet;lenet5' --optimizer adam,sgd --random 3 --out models
  gpu-digits sweep --recipe small --seeds 5 --out small
  gpu-digits sweep --lr 0.001,0.003,0.01,0.03,0.1 --batch-size 32,64,128 --epochs 9 --halving 3 --out halved
  parallel gpu-digits sweep --lr 0.003,0.01 --out lr --shard {}/4 ::: 1 2 3 4 && gpu-digits sweep merge lr

The same command resumes an interrupted sweep, also within a run, and several at once share its runs. If a setting fails, the sweep
notes it and continues with the others. docs/CLUSTERS.md has examples for Slurm, HyperQueue and Optuna.";

pub(super) const SWEEP_MERGE: &str = "\
Examples:
  gpu-digits sweep merge lr                          the table of a sweep whose shares wrote into one folder
  gpu-digits sweep merge all share-1 share-2         of shares that wrote into folders of their own";

pub(super) const COMPLETIONS: &str = "\
Examples:
  gpu-digits completions bash > ~/.local/share/bash-completion/completions/gpu-digits
  gpu-digits completions fish > ~/.config/fish/completions/gpu-digits.fish";

pub(super) const MAN: &str = "\
Examples:
  gpu-digits man pages && man -l pages/gpu-digits-train.1";
