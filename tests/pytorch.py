"""Trains a saved model with SGD in PyTorch, as tests/pytorch.rs has trained it, and prints the largest difference of a parameter.

    python3 pytorch.py FOLDER

FOLDER has before.safetensors and after.safetensors, whose metadata name the layers, images.bin and labels.bin with the batches'
bytes, and settings.json.
"""
import json, pathlib, sys
import torch
import torch.nn as nn
from safetensors import safe_open

folder = pathlib.Path(sys.argv[1])
settings = json.loads((folder / "settings.json").read_text())


def split(text):
    """The texts between commas that stand in no parentheses."""
    depth, parts = 0, [""]
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


class Residual(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        for name, layer in body:
            self.add_module(name, layer)
        self.body = [layer for _, layer in body]
        self.shortcut = shortcut

    def forward(self, x):
        y = x
        for layer in self.body:
            y = layer(y)
        return y + (x if self.shortcut is None else self.shortcut(x))


def layer(text, shape):
    """A layer and the shape of its output."""
    if text.startswith("residual("):
        body, out = layers(text[len("residual("):-1], shape)
        same = list(out) == list(shape)
        shortcut = None if same else nn.Conv2d(shape[0], out[0], 1, -(-shape[1] // out[1]))
        return Residual(body, shortcut), out
    word, *rest = text.split()
    if word == "conv":
        channels, kernel = map(int, rest[0].split("x"))
        stride = int(rest[rest.index("stride") + 1]) if "stride" in rest else 1
        conv = nn.Conv2d(shape[0], channels, kernel, stride, kernel // 2 if "same" in rest else 0)
    elif word in ("pool", "avg"):
        size = tuple(shape[1:]) if rest == ["global"] else int(rest[0])
        conv = (nn.MaxPool2d if word == "pool" else nn.AvgPool2d)(size)
    elif word == "dense":
        conv = nn.Linear(shape[0], int(rest[0]))
    elif word == "norm":
        conv = (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(shape[0])
    else:
        conv = {"relu": nn.ReLU, "flatten": nn.Flatten}.get(word, lambda: nn.LeakyReLU(float(rest[0])))()
    with torch.no_grad():
        out = conv.eval()(torch.zeros(1, *shape)).shape[1:]
    return conv.train(), out


def layers(text, shape):
    """Named layers one after the other, and the shape of the last one's output."""
    counts, named = {}, []
    for part in split(text):
        word = part.replace("(", " ").split()[0]
        counts[word] = counts.get(word, 0) + 1
        module, shape = layer(part, shape)
        named.append((f"{word}{counts[word]}", module))
    return named, shape


def read(name):
    with safe_open(folder / name, "pt") as file:
        return {key: file.get_tensor(key).double() for key in file.keys()}, file.metadata()


before, metadata = read("before.safetensors")
after, _ = read("after.safetensors")
shape = settings["shape"]
named, _ = layers(metadata["model"], shape)
model = nn.Sequential()
for name, module in named:
    model.add_module(name, module)
model = model.double()
missing, unexpected = model.load_state_dict(before, strict=False)
assert not unexpected and all("num_batches_tracked" in name for name in missing), (missing, unexpected)

batch = settings["batch"]
images = torch.frombuffer(bytearray((folder / "images.bin").read_bytes()), dtype=torch.uint8)
images = images.reshape(-1, shape[1], shape[2], shape[0]).permute(0, 3, 1, 2).double()
images = (images / 255 - 0.5) / 0.5
labels = torch.frombuffer(bytearray((folder / "labels.bin").read_bytes()), dtype=torch.uint16).long()
optimizer = torch.optim.SGD(model.parameters(), settings["rate"], settings["momentum"], weight_decay=settings["weight_decay"])
loss = nn.CrossEntropyLoss(label_smoothing=settings["label_smoothing"])
for start in range(0, len(labels), batch):
    optimizer.zero_grad()
    loss(model(images[start:start + batch]), labels[start:start + batch]).backward()
    if settings["clip_norm"]:
        nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
    optimizer.step()
trained = model.state_dict()
moved = max((after[name] - before[name]).abs().max().item() for name in after)
assert moved > 1e-3, f"training has moved no parameter by more than {moved}"
print(max((trained[name] - after[name]).abs().max().item() for name in after))
