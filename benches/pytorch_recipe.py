"""Trains a recipe in PyTorch, and prints the images of a second, without the first steps.

    gpu-digits train --recipe small --show | python3 benches/pytorch_recipe.py FOLDER [--steps 400] [--channels-last]

FOLDER has MNIST's four files, packed or not. The same images are gathered, changed, and learned from in the same way: the random map
and the elastic field act on a whole batch by `grid_sample`, which is the fastest way that PyTorch has. Adam, or SGD with momentum.
Prints one line of JSON. Written for PyTorch 2.15.
"""
import argparse, gzip, json, math, pathlib, shlex, statistics, sys, time
import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests"))
from torch_model import network

SIDE = 28


def options(text):
    """The options of the command that `--show` prints, below its comment."""
    words = shlex.split(text, comments=True)[2:]
    return dict(zip(words[::2], words[1::2]))


def idx(folder, name):
    for file in (folder / name, folder / (name + ".gz")):
        if file.exists():
            packed = file.read_bytes()
            return bytearray(gzip.decompress(packed) if file.suffix == ".gz" else packed)
    sys.exit(f"{folder} has no {name}")


def changed(images, amounts):
    """Each image under a random map, and displaced by a random field."""
    batch = len(images)
    between = lambda most: torch.rand(batch).mul(2).sub(1).mul(most)
    turn = between(math.radians(amounts.get("rotate", 0)))
    slant = between(math.tan(math.radians(amounts.get("shear", 0))))
    zoom, stretch = 1 + between(amounts.get("zoom", 0)), 1 + between(amounts.get("stretch", 0))
    shift = [between(amounts.get("shift", 0) * 2 / SIDE) for _ in "xy"]
    cos, sin = turn.cos() / zoom, turn.sin() / zoom
    rows = [torch.stack([cos / stretch, slant * cos - sin, shift[0]], 1), torch.stack([sin / stretch, slant * sin + cos, shift[1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), images.shape, align_corners=False)
    if "elastic" in amounts:
        points = torch.rand(batch, 2, 4, 4).mul(2).sub(1).mul(amounts["elastic"] * 2 / SIDE)
        grid = grid + F.interpolate(points, size=(SIDE, SIDE), mode="bicubic").permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, align_corners=False)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--channels-last", action="store_true")
parser.add_argument("--threads", type=int, default=torch.get_num_threads())
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)

recipe = options(sys.stdin.read())
amounts = recipe.get("--augment", "none")
amounts = {} if amounts == "none" else {word: float(amount) for word, amount in (part.split() for part in amounts.split(","))}
if unknown := set(amounts) - {"rotate", "zoom", "stretch", "shear", "shift", "elastic"}:
    sys.exit(f"these changes are not known here: {unknown}")
images = torch.frombuffer(idx(args.folder, "train-images-idx3-ubyte"), dtype=torch.uint8, offset=16).view(-1, 1, SIDE, SIDE)
labels = torch.frombuffer(idx(args.folder, "train-labels-idx1-ubyte"), dtype=torch.uint8, offset=8)
mean, deviation = images.float().mean(), images.float().std()
form = torch.channels_last if args.channels_last else torch.contiguous_format
net = network(recipe["--model"], [1, SIDE, SIDE]).to(memory_format=form)
batch, rate = int(recipe.get("--batch-size", 128)), float(recipe.get("--lr", 0.01))
decay = float(recipe.get("--weight-decay", 0))
if recipe.get("--optimizer", "adam") in ("sgd", "nesterov"):
    nesterov = recipe["--optimizer"] == "nesterov"
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, nesterov=nesterov, weight_decay=decay)
else:
    kind = torch.optim.AdamW if recipe.get("--optimizer") == "adamw" else torch.optim.Adam
    optimizer = kind(net.parameters(), rate, weight_decay=decay)
loss = nn.CrossEntropyLoss(label_smoothing=float(recipe.get("--label-smoothing", 0)))
kept = float(recipe.get("--average", 0))
averages = [parameter.detach().clone() for parameter in net.parameters()]
order = torch.randperm(len(images))


def step(number):
    places = order[torch.arange(number * batch, (number + 1) * batch) % len(order)]
    taken = images[places].float()
    taken = (changed(taken, amounts) if amounts else taken).sub(mean).div(deviation)
    optimizer.zero_grad(set_to_none=True)
    loss(net(taken.to(memory_format=form)), labels[places].long()).backward()
    optimizer.step()
    if kept:
        torch._foreach_lerp_(averages, [parameter.detach() for parameter in net.parameters()], 1 - kept)


WINDOWS = 10
window = max(1, args.steps // WINDOWS)
speeds = []
for number in range(WINDOWS + 2):
    start = time.perf_counter()
    for place in range(window):
        step(number * window + place)
    speeds.append(window * batch / (time.perf_counter() - start))
speeds = speeds[2:]  # the first two windows warm up
print(json.dumps({"torch": torch.__version__, "channels_last": args.channels_last, "batch": batch, "threads": args.threads,
                  "images_per_second": round(statistics.median(speeds), 1)}))
