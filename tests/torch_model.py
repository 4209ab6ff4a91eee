"""A model's text as layers of PyTorch."""
import torch
import torch.nn as nn


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
    elif word == "dropout":
        conv = nn.Dropout(float(rest[0]))
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


def network(text, shape):
    """All layers, under the names that our files give their tensors, for images of a shape `[channels, height, width]`."""
    model = nn.Sequential()
    for name, module in layers(text, shape)[0]:
        model.add_module(name, module)
    return model
