//! The examples at the end of each command's help.

pub(super) const PROGRAM: &str = "\
First steps:
  gpu-digits devices                                  which GPUs there are
  gpu-digits train --out run                          train, then open run/report.html
  gpu-digits predict run photo.jpg                    recognise a digit
  gpu-digits verify                                   verify every kernel

`gpu-digits COMMAND --help` has more examples. Exit codes: 0 well, 1 a check failed, 2 an error, 130 interrupted.";

pub(super) const TRAIN: &str = "\
Examples:
  gpu-digits train
  gpu-digits train --model lenet5 --epochs 3 --target-accuracy 98.5
  gpu-digits train --model 'conv 16x5, relu, pool 4, flatten, dense 10' --optimizer sgd
  gpu-digits train --dataset generated --device cpu --out try
  gpu-digits train --init try/model.safetensors --lr 0.001 --out further

Ctrl-C ends training after the current step and saves the model; Ctrl-C again, a second later, ends it at once.";

pub(super) const EVAL: &str = "\
Examples:
  gpu-digits eval run
  gpu-digits eval run/model.safetensors --data my-digits --device cpu
  gpu-digits eval run --json - | jq .accuracy";

pub(super) const PREDICT: &str = "\
Examples:
  gpu-digits predict run photo.jpg
  gpu-digits predict run pictures/ --json digits.json
  curl -s https://example.org/seven.png | gpu-digits predict run -";

pub(super) const VERIFY: &str = "\
Examples:
  gpu-digits verify
  gpu-digits verify conv2d_forward lockstep --device 1
  gpu-digits verify --device all --junit verify.xml";

pub(super) const BENCH: &str = "\
Examples:
  gpu-digits bench --json now.json --roofline roofline.svg
  gpu-digits bench conv2d_forward --device vulkan
  gpu-digits bench train --batch-size 128,1024
  gpu-digits bench compare before.json now.json --fail-above 20";

pub(super) const TUNE: &str = "\
Examples:
  gpu-digits tune
  gpu-digits tune --model lenet5 --batch-size 64,128
  gpu-digits tune --list";

pub(super) const DEVICES: &str = "\
Examples:
  gpu-digits devices
  gpu-digits devices --json - | jq '.[].name'
  gpu-digits train --device 1";

pub(super) const PLAN: &str = "\
Examples:
  gpu-digits plan
  gpu-digits plan --model mlp --batch-size 1 --fuse off";

pub(super) const REPORT: &str = "\
Examples:
  gpu-digits report run
  gpu-digits report run --plots png
  gpu-digits report run-a run-b run-c --comparison abc.html";

pub(super) const SWEEP: &str = "\
Examples:
  gpu-digits sweep --lr 0.003,0.01,0.03 --seeds 3 --out lr
  gpu-digits sweep --model 'convnet;lenet5' --optimizer adam,sgd --random 3 --out models

The same command resumes a sweep that was ended. A setting that fails is noted and the others go on.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  gpu-digits completions bash > ~/.local/share/bash-completion/completions/gpu-digits
  gpu-digits completions fish > ~/.config/fish/completions/gpu-digits.fish";

pub(super) const MAN: &str = "\
Examples:
  gpu-digits man pages && man -l pages/gpu-digits-train.1";
