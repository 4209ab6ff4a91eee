"""Makes the files of other libraries that tests/import.rs reads, with what each library computes of some images.

    python3 -m venv venv
    venv/bin/pip install torch==2.15.0 onnx==1.23.2 onnxscript==0.7.2 keras==3.15.1 h5py==3.16.0 safetensors numpy==2.4.6
    venv/bin/python tests/exchange/foreign.py [NAME ...]

Writes tests/exchange/foreign/NAME.* and NAME.expected.safetensors: `images`, bytes of [n, y, x, c], and the `logits` or the
`probabilities` that the library computes of them. Without names it makes all. No part of the test suite.
"""

import os
import pathlib
import sys
import warnings
import zipfile

os.environ["KERAS_BACKEND"] = "torch"
os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"
warnings.filterwarnings("ignore")

import numpy as np
import onnx
import torch
from safetensors.numpy import save_file
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "foreign"
IMAGES = 5
CASES = {}


def case(make):
    CASES[make.__name__] = make
    return make


def images(height, width, channels):
    return np.random.default_rng(7).integers(0, 256, (IMAGES, height, width, channels), dtype=np.uint8)


def expect(name, pictures, **outputs):
    outputs = {key: np.ascontiguousarray(value, dtype=np.float32) for key, value in outputs.items()}
    save_file({"images": pictures, **outputs}, FOLDER / f"{name}.expected.safetensors")


def settle(model, seed=1):
    """Weights of a size that matters, and running statistics as after training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if key.endswith("running_var"):
                value.uniform_(0.2, 2.0, generator=generator)
            elif key.endswith("running_mean"):
                value.uniform_(-0.5, 0.5, generator=generator)
            elif value.dim() == 1 and key.endswith("weight"):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.is_floating_point():
                fan_in = max(value[0].numel(), 1) if value.dim() > 1 else 4
                value.uniform_(-1.5 / fan_in**0.5, 1.5 / fan_in**0.5, generator=generator)
            else:
                value.fill_(1000)
    return model.eval()


def as_tensor(pictures, mean=0.0, deviation=1.0):
    return ((torch.tensor(pictures).permute(0, 3, 1, 2).float() / 255 - mean) / deviation).contiguous()


def expect_torch(name, model, shape, mean=0.0, deviation=1.0):
    pictures = images(*shape)
    with torch.no_grad():
        logits = model.double()(as_tensor(pictures, mean, deviation).double())
    model.float()
    expect(name, pictures, logits=logits.numpy())


# PyTorch's own files


def small(bias=True):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=bias), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 3 * 4, 10)
    )


class Named(nn.Module):
    """Layers in the order of their use whose names sort otherwise, with batch normalisation, and a bias left out."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.deeper = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.another = nn.BatchNorm2d(6, eps=1e-3)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = torch.relu(self.bn(self.stem(x)))
        x = torch.relu(self.another(self.deeper(x)))
        return self.fc(x.mean((2, 3)))


@case
def torch_sequential(name):
    model = settle(small())
    expect_torch(name, model, (8, 11, 1))
    torch.save(model.state_dict(), FOLDER / f"{name}.pt")


@case
def torch_named(name):
    model = Named()
    model.another.eps = 1e-5
    settle(model)
    expect_torch(name, model, (8, 10, 1), 0.1307, 0.3081)
    torch.save(model.state_dict(), FOLDER / f"{name}.pt")


@case
def torch_checkpoint(name):
    """As training loops save it: wrapped by DataParallel, beside the state of an optimizer that has stepped."""
    model = settle(small())
    expect_torch(name, model, (8, 11, 1))
    wrapped = nn.DataParallel(model)
    optimizer = torch.optim.AdamW(wrapped.parameters(), lr=0.0)
    model(torch.zeros(1, 1, 8, 11)).sum().backward()
    optimizer.step()
    settings = {"lr": 0.001, "augment": ["rotate", None, True], "note": "größe", "big": 1 << 70, "ratio": -0.5}
    content = {"epoch": 3, "optimizer": optimizer.state_dict(), "model_state_dict": wrapped.state_dict()}
    torch.save({**content, "settings": settings, "best": torch.tensor(0.5)}, FOLDER / f"{name}.pt")


@case
def torch_strided(name):
    """Weights that are views: transposed, channels last, one storage for two, halves."""
    model = settle(small())
    state = model.state_dict()
    together = torch.cat([state["4.bias"], state["0.bias"]])
    state["4.bias"], state["0.bias"] = together[:10], together[10:]
    state["4.weight"] = state["4.weight"].t().contiguous().t()
    state["0.weight"] = state["0.weight"].to(memory_format=torch.channels_last).half()
    assert not state["4.weight"].is_contiguous()
    model.load_state_dict(state)
    expect_torch(name, model, (8, 11, 1))
    torch.save(state, FOLDER / f"{name}.pt")


@case
def torch_types(name):
    """A storage of each type of float."""
    model = settle(small())
    state = model.state_dict()
    for key, kind in zip(state, [torch.bfloat16, torch.float64, torch.float16, torch.float32]):
        state[key] = state[key].to(kind)
    model.load_state_dict(state)
    expect_torch(name, model, (8, 11, 1))
    torch.save(state, FOLDER / f"{name}.pt")


@case
def torch_whole(name):
    """The module itself rather than its state."""
    model = settle(small())
    expect_torch(name, model, (8, 11, 1))
    torch.save(model, FOLDER / f"{name}.pt")


@case
def torch_old(name):
    torch.save(small().state_dict(), FOLDER / f"{name}.pt", _use_new_zipfile_serialization=False)


@case
def torch_script(name):
    model = settle(small())
    expect_torch(name, model, (8, 11, 1))
    path = FOLDER / f"{name}.pt"
    torch.jit.save(torch.jit.trace(model, torch.zeros(1, 1, 8, 11)), path)
    # Some entries have the paths of the machine.
    with zipfile.ZipFile(path) as file:
        entries = {entry: file.read(entry) for entry in file.namelist() if not entry.endswith(".debug_pkl")}
    with zipfile.ZipFile(path, "w") as file:
        [file.writestr(entry, content) for entry, content in entries.items()]


@case
def torch_shortcut(name):
    """A residual block whose shortcut is defined first."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.downsample = nn.Conv2d(2, 4, 1, stride=2)
            self.conv1 = nn.Conv2d(2, 4, 3, stride=2, padding=1)
            self.conv2 = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            return self.conv2(torch.relu(self.conv1(x))) + self.downsample(x)

    model = settle(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), Block(), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4 * 3, 5)))
    expect_torch(name, model, (10, 8, 3), 0.5, 0.5)
    torch.save(model.state_dict(), FOLDER / f"{name}.pt")


@case
def safetensors_types(name):
    """Tensors as other libraries save them: halves of both kinds, doubles, a scalar, one without elements."""
    from safetensors.torch import save_file as save_tensors

    model = settle(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 9, 3)))
    state = model.state_dict()
    kinds = [torch.float16, torch.bfloat16, torch.float64]
    for place, key in enumerate(key for key in state if state[key].is_floating_point()):
        state[key] = state[key].to(kinds[place % 3])
    model.load_state_dict(state)
    expect_torch(name, model, (8, 11, 1))
    state["none"] = torch.zeros((0, 3), dtype=torch.int32)
    save_tensors(state, FOLDER / f"{name}.safetensors")


# ONNX, by PyTorch's exporters


def export(name, model, shape, dynamo, **options):
    height, width, channels = shape
    zeros = torch.zeros(1, channels, height, width)
    path = FOLDER / f"{name}.onnx"
    torch.onnx.export(model, (zeros,), path, dynamo=dynamo, verbose=False, **options)
    # The exporter notes the paths of the machine in each node.
    written = onnx.load(path, load_external_data=False)
    graph = written.graph
    for part in [written, graph, *graph.node, *graph.input, *graph.output, *graph.value_info]:
        del part.metadata_props[:]
        part.ClearField("doc_string")
    path.write_bytes(written.SerializeToString())


@case
def onnx_dynamo(name):
    """The default exporter, with the weights in a second file."""
    model = settle(small())
    expect_torch(name, model, (8, 11, 1))
    export(name, model, (8, 11, 1), True)


@case
def onnx_dynamo_norm(name):
    model = settle(Named())
    expect_torch(name, model, (8, 10, 1))
    export(name, model, (8, 10, 1), True, external_data=False)


@case
def onnx_old(name):
    """The exporter before, with names for the batch, and normalisation folded into the convolutions."""
    model = settle(Named())
    expect_torch(name, model, (8, 10, 1))
    axes = {"x": {0: "batch"}, "y": {0: "batch"}}
    export(name, model, (8, 10, 1), False, input_names=["x"], output_names=["y"], dynamic_axes=axes)


@case
def onnx_old_norm(name):
    """The same with normalisation on its own and without constant folding."""
    model = settle(Named())
    expect_torch(name, model, (8, 10, 1))
    preserve = torch.onnx.TrainingMode.PRESERVE
    export(name, model, (8, 10, 1), False, training=preserve, do_constant_folding=False, opset_version=11)


class Viewed(nn.Module):
    """`reshape` by the batch's size, a product and a sum instead of a linear layer, and the normalisation of the input inside."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 5, padding=2)
        self.weight = nn.Parameter(torch.zeros(4 * 4 * 5, 10))
        self.bias = nn.Parameter(torch.zeros(10))

    def forward(self, x):
        x = (x - 0.1307) / 0.3081
        x = nn.functional.leaky_relu(self.conv(x), 0.1)
        x = nn.functional.avg_pool2d(x, 2)
        x = x.reshape(x.size(0), -1)
        return torch.softmax(x @ self.weight + self.bias, 1)


@case
def onnx_viewed(name):
    model = settle(Viewed())
    pictures = images(8, 10, 1)
    with torch.no_grad():
        probabilities = model.double()(as_tensor(pictures).double())
    model.float()
    expect(name, pictures, probabilities=probabilities.numpy())
    axes = {"x": {0: "batch"}}
    export(name, model, (8, 10, 1), False, input_names=["x"], dynamic_axes=axes)


@case
def onnx_dynamic(name):
    """The default exporter, with a batch of any size."""
    model = settle(Viewed())
    pictures = images(8, 10, 1)
    with torch.no_grad():
        probabilities = model.double()(as_tensor(pictures).double())
    model.float()
    expect(name, pictures, probabilities=probabilities.numpy())
    batch = {"x": {0: torch.export.Dim("batch", min=1, max=1024)}}
    export(name, model, (8, 10, 1), True, external_data=False, dynamic_shapes=batch)


@case
def keras_channels_first(name):
    def build(keras, layers):
        first = {"data_format": "channels_first"}
        return keras.Sequential(
            [
                keras.Input((2, 7, 9)),
                layers.Conv2D(4, 3, **first),
                layers.BatchNormalization(axis=1),
                layers.MaxPooling2D(2, **first),
                layers.Flatten(**first),
                layers.Dense(3),
            ]
        )

    keras_model(name, build, (7, 9, 2), outputs="logits", first=True)


@case
def onnx_keras(name):
    """Keras' own export, with channels last."""

    def build(keras, layers):
        return keras.Sequential(
            [
                keras.Input((9, 8, 2)),
                layers.Conv2D(4, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dense(5),
            ]
        )

    model = keras_model(name, build, (9, 8, 2), outputs="logits", save=())
    model.export(FOLDER / f"{name}.onnx", format="onnx", verbose=False)


@case
def onnx_digits(name):
    """Of MNIST's size, for tests of the program."""
    layers = [nn.Conv2d(1, 4, 5, stride=3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)]
    model = settle(nn.Sequential(*layers))
    expect_torch(name, model, (28, 28, 1))
    export(name, model, (28, 28, 1), True, external_data=False)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.a1 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.n1 = nn.BatchNorm2d(4)
        self.a2 = nn.Conv2d(4, 4, 3, padding=1)
        self.b1 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.b2 = nn.Conv2d(6, 6, 3, padding=1)
        self.short = nn.Conv2d(4, 6, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 7)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(self.a2(torch.relu(self.n1(self.a1(x)))) + x)
        x = torch.relu(self.norm(self.short(x)) + self.b2(torch.relu(self.b1(x))))
        return self.fc(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


@case
def onnx_residual(name):
    model = settle(Residual())
    expect_torch(name, model, (8, 10, 3))
    export(name, model, (8, 10, 3), True, external_data=False)


class Unusual(nn.Module):
    """What our layers lack and yet can express: groups, dilation, uneven padding, overlapping means, channels of their own."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.first = nn.Conv2d(3, 6, 3, padding=2, dilation=2)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.rectangle = nn.Conv2d(6, 4, (1, 5), padding=(0, 2))
        self.causal = nn.Conv2d(4, 4, 3)
        self.fc = nn.Linear(4 * 5 * 4, 4)

    def forward(self, x):
        x = torch.relu(self.first((x - self.mean) / self.deviation))
        x = torch.relu(self.rectangle(torch.relu(self.depthwise(x))))
        x = self.causal(nn.functional.pad(x, (2, 0, 2, 0)))
        x = nn.functional.avg_pool2d(x, 3, stride=2, padding=1)
        return self.fc(x.flatten(1))


@case
def onnx_unusual(name):
    model = settle(Unusual())
    expect_torch(name, model, (10, 8, 3))
    export(name, model, (10, 8, 3), True, external_data=False)


# Keras


def keras_model(name, build, shape, seed=3, outputs="probabilities", save=("keras",), scale=1 / 255, first=False):
    import keras

    keras.utils.clear_session()
    model = build(keras, keras.layers)
    random = np.random.default_rng(seed)
    for weight in model.weights:
        kind, size = weight.name, weight.shape
        fan_in = int(np.prod(size[:-1])) if len(size) > 1 else 4
        low, high = {"moving_variance": (0.2, 2.0), "moving_mean": (-0.5, 0.5), "gamma": (0.5, 1.5)}.get(
            kind, (-1.5 / fan_in**0.5, 1.5 / fan_in**0.5)
        )
        if weight.dtype.startswith("float") and kind not in ("mean", "variance", "count"):
            weight.assign(random.uniform(low, high, size).astype("float32"))
    pictures = images(*shape)
    values = pictures.astype("float32") * scale
    predicted = model.predict(values.transpose(0, 3, 1, 2) if first else values, verbose=0)
    expect(name, pictures, **{outputs: np.asarray(predicted)})
    for ending in save:
        model.save(FOLDER / f"{name}.{ending}")
    return model


@case
def keras_sequential(name):
    def build(keras, layers):
        return keras.Sequential(
            [
                keras.Input((12, 10, 1)),
                layers.Rescaling(1 / 255),
                layers.Conv2D(4, 3, activation="relu", name="first"),
                layers.BatchNormalization(),
                layers.MaxPooling2D(),
                layers.Dropout(0.25),
                layers.Conv2D(6, 3, padding="same", use_bias=False),
                layers.BatchNormalization(scale=False),
                layers.LeakyReLU(negative_slope=0.2),
                layers.Flatten(),
                layers.BatchNormalization(name="flat"),
                layers.Dense(8, activation="relu"),
                layers.Dense(10, activation="softmax"),
            ]
        )

    keras_model(name, build, (12, 10, 1), scale=1.0)


@case
def keras_residual(name):
    def build(keras, layers):
        start = keras.Input((9, 12, 3))
        x = layers.Rescaling(1 / 127.5, offset=-1)(start)
        x = layers.Conv2D(4, 3, padding="same", strides=2, activation="relu")(x)
        y = layers.Conv2D(4, 3, padding="same")(x)
        y = layers.BatchNormalization()(y)
        x = layers.Activation("relu")(layers.Add()([x, y]))
        y = layers.Conv2D(6, 3, padding="same")(x)
        x = layers.ReLU()(layers.add([layers.Conv2D(6, 1)(x), y]))
        x = layers.AveragePooling2D(2)(x)
        x = layers.GlobalAveragePooling2D()(x)
        return keras.Model(start, layers.Dense(3)(x))

    keras_model(name, build, (9, 12, 3), outputs="logits", scale=1.0)


@case
def keras_normalization(name):
    """Normalization of each channel, padding of the even side, depthwise convolutions, and the file of old versions."""

    def build(keras, layers):
        normalization = layers.Normalization(axis=-1, mean=[0.4, 0.5, 0.6], variance=[0.04, 0.05, 0.06])
        return keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                normalization,
                layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
                layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
                layers.ZeroPadding2D(1),
                layers.Conv2D(5, 3, activation="leaky_relu"),
                layers.GlobalMaxPooling2D(),
                layers.Dense(4),
                layers.Softmax(),
            ]
        )

    keras_model(name, build, (8, 8, 3), save=("keras", "h5"))


@case
def keras_mlp(name):
    def build(keras, layers):
        return keras.Sequential(
            [keras.Input((6, 5, 2)), layers.Flatten(), layers.Dense(7, activation="relu"), layers.Dense(4)]
        )

    keras_model(name, build, (6, 5, 2), outputs="logits", save=("keras", "h5"))


def main():
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or CASES:
        CASES[name](name)
        files = sorted(FOLDER.glob(f"{name}.*"))
        print(name, *(f"{path.name} {path.stat().st_size}" for path in files))


if __name__ == "__main__":
    main()
