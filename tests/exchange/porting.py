"""Measures what differs between libraries that train, for docs/PORTING.md, and prints its table.

    python3 -m venv venv
    venv/bin/pip install torch==2.15.0 keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 optax==0.2.8 'mlx[cpu]==0.32.4' numpy==2.4.6
    npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-layers@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0
    NODE_PATH=node_modules venv/bin/python tests/exchange/porting.py [--check docs/PORTING.md]

Each number is what a library computes of the same small input; the first column is the formula of gpu-digits, in double
precision. With --check it fails where the page has other rows. Without node the last column is empty.
"""

import json
import os
import pathlib
import subprocess
import sys

os.environ.update(KERAS_BACKEND="jax", JAX_PLATFORMS="cpu", TF_CPP_MIN_LOG_LEVEL="3")

import jax
import jax.numpy as jnp
import keras
import mlx.core as mx
import mlx.nn
import mlx.optimizers
import numpy as np
import optax
import torch

COLUMNS = ["gpu-digits", "PyTorch", "Keras", "Optax, JAX", "MLX", "TensorFlow.js"]
KEYS = ["ours", "torch", "keras", "jax", "mlx", "tfjs"]


# An optimizer as a function from gradients and rates to the changes of a parameter that is 1 at first.


def ours(kind, gradients, rates, decay=0.0):
    weight, first, second, changes = 1.0, 0.0, 0.0, []
    for step, (gradient, rate) in enumerate(zip(gradients, rates), 1):
        before = weight
        if kind == "adamw":
            weight -= rate * decay * weight
        else:
            gradient += decay * before
        if kind.startswith("adam"):
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            weight -= rate * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        else:
            first = 0.9 * first + gradient
            weight -= rate * (gradient + 0.9 * first if kind == "nesterov" else first)
        changes.append(weight - before)
    return changes


def of_torch(kind, gradients, rates, **options):
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    momentum = {"momentum": 0.9, "nesterov": kind == "nesterov"}
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}.get(kind, lambda w, **o: torch.optim.SGD(w, **momentum, **o))
    optimizer, changes = make([weight], lr=1.0, **options), []
    for gradient, rate in zip(gradients, rates):
        before = weight.item()
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        changes.append(weight.item() - before)
    return changes


def of_keras(kind, gradients, rates, **options):
    weight = keras.Variable(np.ones(1, "float32"))
    momentum = {"momentum": 0.9, "nesterov": kind == "nesterov"}
    make = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}.get(
        kind, lambda **o: keras.optimizers.SGD(**momentum, **o)
    )
    optimizer, changes = make(learning_rate=1.0, **options), []
    optimizer.build([weight])
    for gradient, rate in zip(gradients, rates):
        before = float(weight.numpy()[0])
        optimizer.learning_rate.assign(rate)
        optimizer.apply_gradients([(np.array([gradient], "float32"), weight)])
        changes.append(float(weight.numpy()[0]) - before)
    return changes


def of_optax(kind, gradients, rates, **options):
    if kind in ("sgd", "nesterov"):
        optimizer = optax.inject_hyperparams(optax.sgd)(rates[0], momentum=0.9, nesterov=kind == "nesterov")
    else:
        optimizer = optax.inject_hyperparams({"adam": optax.adam, "adamw": optax.adamw}[kind])(rates[0], **options)
    weight, changes = jnp.ones(1), []
    state = optimizer.init(weight)
    for gradient, rate in zip(gradients, rates):
        state.hyperparams["learning_rate"] = jnp.asarray(rate)
        update, state = optimizer.update(jnp.array([gradient]), state, weight)
        weight = weight + update
        changes.append(float(update[0]))
    return changes


def of_mlx(kind, gradients, rates, **options):
    momentum = {"momentum": 0.9, "nesterov": kind == "nesterov"}
    make = {"adam": mlx.optimizers.Adam, "adamw": mlx.optimizers.AdamW}.get(
        kind, lambda learning_rate, **o: mlx.optimizers.SGD(learning_rate, **momentum, **o)
    )
    optimizer, weight, changes = make(learning_rate=rates[0], **options), {"w": mx.ones(1)}, []
    for gradient, rate in zip(gradients, rates):
        before = weight["w"].item()
        optimizer.learning_rate = rate
        weight = optimizer.apply_gradients({"w": mx.array([float(gradient)])}, weight)
        changes.append(weight["w"].item() - before)
    return changes


OPTIMIZERS = {"torch": of_torch, "keras": of_keras, "jax": of_optax, "mlx": of_mlx}


def optimizers(kind, gradients, rates, place, scale=1.0):
    """The change at one step, as a multiple of -`scale`."""
    run = {"ours": ours, **OPTIMIZERS}
    return {key: -of(kind, gradients, rates)[place] / scale for key, of in run.items()}


# The gradient of a function of an array.


def gradients(array, ours, of_torch, of_keras, of_jax, of_mlx):
    tensor = torch.tensor(array, requires_grad=True)
    of_torch(tensor).sum().backward()
    return {
        "ours": np.asarray(ours, dtype=float),
        "torch": tensor.grad.numpy(),
        "keras": np.asarray(jax.grad(lambda x: jnp.sum(of_keras(x)))(jnp.asarray(array))),
        "jax": np.asarray(jax.grad(lambda x: jnp.sum(of_jax(x)))(jnp.asarray(array))),
        "mlx": np.array(mx.grad(lambda x: mx.sum(of_mlx(x)))(mx.array(array))),
    }


def ties():
    """Which elements of a window of equal numbers the gradient of its maximum goes to."""
    flat = np.ones((2, 2), "float32")
    pool = keras.layers.MaxPooling2D(2)
    found = gradients(
        flat,
        [[1, 0], [0, 0]],
        lambda x: torch.nn.functional.max_pool2d(x[None, None], 2),
        lambda x: pool(x[None, :, :, None]),
        lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2, 2), (2, 2), "VALID"),
        lambda x: mlx.nn.MaxPool2d(2)(x[None, :, :, None]),
    )
    return {key: " ".join(f"{share:g}" for share in grad.reshape(-1)) for key, grad in found.items()}


def at_zero():
    found = gradients(
        np.zeros(1, "float32"), [0], torch.relu, keras.activations.relu, jax.nn.relu, lambda x: mlx.nn.relu(x)
    )
    return {key: float(grad[0]) for key, grad in found.items()}


def default_slope():
    minus = -np.ones((1, 1), "float32")
    return {
        "torch": -torch.nn.LeakyReLU()(torch.tensor(minus)).item(),
        "keras": -float(keras.layers.LeakyReLU()(minus)[0, 0]),
        "jax": -float(jax.nn.leaky_relu(minus)[0, 0]),
        "mlx": -mlx.nn.leaky_relu(mx.array(minus)).item(),
    }


BATCH = np.array([[0.0], [2.0]], "float32")


def statistics():
    """Running mean and variance, 0 and 1 before, after a batch of 0 and 2."""
    layer = torch.nn.BatchNorm1d(1)
    layer(torch.tensor(BATCH))
    of_keras = keras.layers.BatchNormalization()
    of_keras(BATCH, training=True)
    of_mlx = mlx.nn.BatchNorm(1)
    of_mlx(mx.array(BATCH))
    mean, variance = 1.0, 2.0  # of the batch, the latter unbiased
    values = {
        "ours": [0.1 * mean, 0.9 + 0.1 * variance],
        "torch": [layer.running_mean.item(), layer.running_var.item()],
        "keras": [float(of_keras.moving_mean.numpy()[0]), float(of_keras.moving_variance.numpy()[0])],
        "mlx": [of_mlx.running_mean.item(), of_mlx.running_var.item()],
    }
    return {key: f"{mean:.3g}, {variance:.3g}" for key, (mean, variance) in values.items()}


def epsilon():
    """What is added to the variance, found from the output of 0 and 0.002, whose variance is 1e-6."""
    small = BATCH / 1000
    outputs = {
        "ours": 0.001 / np.sqrt(1e-6 + 1e-5),
        "torch": torch.nn.BatchNorm1d(1)(torch.tensor(small))[1, 0].item(),
        "keras": float(keras.layers.BatchNormalization()(small, training=True)[1, 0]),
        "mlx": mlx.nn.BatchNorm(1)(mx.array(small))[1, 0].item(),
    }
    return {key: (0.001 / output) ** 2 - 1e-6 for key, output in outputs.items()}


def initial(kind):
    """The largest magnitude of initial weights, or of biases, of a 3x3 convolution from 16 to 64 channels, times √144."""
    of_torch = torch.nn.Conv2d(16, 64, 3)
    of_keras = keras.layers.Conv2D(64, 3)
    of_keras.build((None, 8, 8, 16))
    of_mlx = mlx.nn.Conv2d(16, 64, 3)
    weights = {
        "torch": of_torch.weight.detach().numpy() if kind == "weight" else of_torch.bias.detach().numpy(),
        "keras": of_keras.weights[0 if kind == "weight" else 1].numpy(),
        "mlx": np.array(of_mlx.weight if kind == "weight" else of_mlx.bias),
    }
    largest = {key: float(np.abs(values).max() * np.sqrt(144)) for key, values in weights.items()}
    return {"ours": np.sqrt(6) if kind == "weight" else 1.0, **largest}


LOGITS, LABEL = np.array([[2.0, 0.0, 0.0]], "float32"), np.array([0])


def smoothing():
    """The loss of logits 2, 0, 0 with label smoothing 0.1."""
    log_sum = np.log(np.exp(LOGITS).sum())
    target = np.eye(3)[LABEL] * 0.9 + 0.1 / 3
    one_hot = np.eye(3, dtype="float32")[LABEL]
    of_keras = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    of_mlx = mlx.nn.losses.cross_entropy(mx.array(LOGITS), mx.array(LABEL), label_smoothing=0.1)
    smooth = optax.losses.smooth_labels(jnp.asarray(one_hot), 0.1)
    return {
        "ours": float((target * (log_sum - LOGITS)).sum()),
        "torch": torch.nn.functional.cross_entropy(torch.tensor(LOGITS), torch.tensor(LABEL), label_smoothing=0.1).item(),
        "keras": float(of_keras(one_hot, LOGITS)),
        "jax": float(optax.losses.softmax_cross_entropy(jnp.asarray(LOGITS), smooth)[0]),
        "mlx": of_mlx.item(),
    }


def certain():
    """The loss of a model that gives its label a probability of e^-100, as the library's examples compute it."""
    logits = np.array([[-100.0, 0.0]], "float32")
    labels = np.array([0])
    of_keras = keras.losses.SparseCategoricalCrossentropy()
    return {
        "ours": 100.0,
        "torch": torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(labels)).item(),
        "keras": float(of_keras(labels, keras.ops.softmax(logits))),
        "jax": float(optax.losses.softmax_cross_entropy_with_integer_labels(jnp.asarray(logits), jnp.asarray(labels))[0]),
        "mlx": mlx.nn.losses.cross_entropy(mx.array(logits), mx.array(labels)).item(),
    }


def one_cycle():
    """The step of ten at which the rate is highest, and the first and last rate as shares of that."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    of_torch, momenta = [], []
    for _ in range(10):
        of_torch.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        schedule.step() if len(of_torch) < 10 else None
    of_optax = optax.cosine_onecycle_schedule(10, 1.0)
    rates = {
        "ours": [0.04, 0.52, 1.0, 0.950_485, 0.811_746, 0.611_261, 0.388_743, 0.188_258, 0.049_520, 0.000_004],
        "torch": of_torch,
        "jax": [float(of_optax(step)) for step in range(10)],
    }
    shown = {key: f"{np.argmax(of)}; {of[0]:.2g}; {of[-1]:.1g}" for key, of in rates.items()}
    return shown, {"ours": "0.9", "torch": f"{max(momenta):.2g} to {min(momenta):.2g}"}


def flattened():
    """The places of a map of 2 rows, 2 columns and 2 channels in the vector, each as row, column, channel."""
    places = np.array([[[100 * y + 10 * x + c for c in range(2)] for x in range(2)] for y in range(2)], "float32")
    vectors = {
        "ours": places.transpose(2, 0, 1).reshape(-1),
        "torch": torch.nn.Flatten()(torch.tensor(places.transpose(2, 0, 1)[None]))[0].numpy(),
        "keras": np.asarray(keras.layers.Flatten()(places[None])[0]),
        "mlx": np.array(mx.flatten(mx.array(places[None]), 1)[0]),
    }
    return {key: " ".join(f"{int(place):03}" for place in vector[:3]) for key, vector in vectors.items()}


def same():
    """The columns that the first position of a 3x3 convolution `same` with stride 2 sees of a row of 8."""
    row = np.arange(1, 9, dtype="float32")
    image = np.tile(row, (8, 1))
    kernel = np.zeros((3, 3, 1, 3), "float32")
    for column in range(3):
        kernel[1, column, 0, column] = 1
    layer = keras.layers.Conv2D(3, 3, strides=2, padding="same", use_bias=False)
    layer.build((None, 8, 8, 1))
    layer.set_weights([kernel])
    seen = np.asarray(layer(image[None, :, :, None]))[0, 1, 0]
    try:
        torch.nn.Conv2d(1, 3, 3, stride=2, padding="same")
        of_torch = "taken"
    except ValueError:
        of_torch = "refused"
    dimensions = ("NHWC", "HWIO", "NHWC")
    of_jax = jax.lax.conv_general_dilated(image[None, :, :, None], kernel, (2, 2), "SAME", dimension_numbers=dimensions)
    words = lambda values: " ".join(f"{int(value)}" for value in values)
    return {
        "ours": words([0, 1, 2]),
        "torch": of_torch,
        "keras": words(seen),
        "jax": words(np.asarray(of_jax)[0, 1, 0]),
    }


def decay(kind):
    """The share of a parameter of 1 that a step with rate 0.1, weight decay 0.5 and no gradient takes away."""
    named = {key: {"weight_decay": 0.5} for key in OPTIMIZERS}
    if kind != "adamw":
        del named["jax"]  # `optax.sgd` and `optax.adam` have none
    if kind == "adam":
        del named["mlx"]
    found = {key: -OPTIMIZERS[key](kind, [0.0], [0.1], **options)[0] for key, options in named.items()}
    return {"ours": -ours(kind, [0.0], [0.1], decay=0.5)[0], **found}


def default_decay():
    return {
        "torch": torch.optim.AdamW([torch.zeros(1)]).defaults["weight_decay"],
        "keras": keras.optimizers.AdamW().weight_decay,
        "jax": -of_optax("adamw", [0.0], [1.0])[0],
        "mlx": mlx.optimizers.AdamW(learning_rate=1.0).weight_decay,
        "ours": 0.0,
    }


def clipping():
    """The gradients 3 and 4 of two parameters, after clipping to a norm of 1 by the option of that name."""
    first, second = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    first.grad, second.grad = torch.tensor([3.0]), torch.tensor([4.0])
    torch.nn.utils.clip_grad_norm_([first, second], 1.0)
    weights = [keras.Variable(np.zeros(1, "float32")) for _ in range(2)]
    optimizer = keras.optimizers.SGD(learning_rate=1.0, clipnorm=1.0)
    optimizer.apply_gradients(zip([np.array([3.0], "float32"), np.array([4.0], "float32")], weights))
    of_optax, _ = optax.clip_by_global_norm(1.0).update([jnp.array([3.0]), jnp.array([4.0])], optax.EmptyState())
    of_mlx, _ = mlx.optimizers.clip_grad_norm([mx.array([3.0]), mx.array([4.0])], 1.0)
    pair = lambda values: ", ".join(f"{float(value):.2g}" for value in values)
    return {
        "ours": pair([0.6, 0.8]),
        "torch": pair([first.grad.item(), second.grad.item()]),
        "keras": pair([-weight.numpy()[0] for weight in weights]),
        "jax": pair([value[0] for value in of_optax]),
        "mlx": pair([value.item() for value in of_mlx]),
    }


def rows():
    cycle, momenta = one_cycle()
    return [
        ("Adam: first step at a gradient of 1e-7, over the rate", optimizers("adam", [1e-7], [1.0], 0)),
        ("Adam: first step at a gradient of 1, over the rate", optimizers("adam", [1.0], [1.0], 0)),
        ("SGD, momentum 0.9: second step at gradients of 1, over the rate", optimizers("sgd", [1, 1], [1e-2] * 2, 1, 1e-2)),
        (
            "the same where the rate falls to a tenth before it, over the new rate",
            optimizers("sgd", [1, 1], [1e-2, 1e-3], 1, 1e-3),
        ),
        ("Nesterov: first step", optimizers("nesterov", [1], [1e-2], 0, 1e-2)),
        ("weight decay 0.5 of SGD at rate 0.1 without a gradient: change of 1", decay("sgd")),
        ("of Adam", decay("adam")),
        ("of AdamW", decay("adamw")),
        ("AdamW: weight decay by default", default_decay()),
        ("`clipnorm` 1 or its like, of gradients 3 and 4 of two parameters", clipping()),
        ("max-pooling: shares of the gradient in a window of equals", ties()),
        ("ReLU: gradient at 0", at_zero()),
        ("leaky ReLU: slope by default", default_slope()),
        ("batch normalisation: running mean and variance after a batch of 0 and 2", statistics()),
        ("its epsilon", epsilon()),
        ("initial weights of a convolution before a ReLU: bound, times √(inputs)", initial("weight")),
        ("initial biases: bound, times √(inputs)", initial("bias")),
        ("label smoothing 0.1: loss of logits 2, 0, 0", smoothing()),
        ("loss of a label with the probability e^-100", certain()),
        ("one-cycle in ten steps: place of the highest rate; first; last", cycle),
        ("one-cycle: momentum", momenta),
        ("flatten: first elements, as row, column, channel", flattened()),
        ("`same`, stride 2, 3x3: columns 1 to 8 that the first position sees, 0 for padding", same()),
    ]


def shown(value):
    return value if isinstance(value, str) else f"{value:.3g}"


def main():
    keras.utils.set_random_seed(1)
    torch.manual_seed(1)
    mx.random.seed(1)
    script = pathlib.Path(__file__).with_name("porting.cjs")
    node = subprocess.run(["node", script], capture_output=True, text=True)
    of_node = json.loads(node.stdout) if node.returncode == 0 else {}
    print(node.stderr, end="", file=sys.stderr)
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    for title, values in rows():
        values = {**values, **({"tfjs": of_node[title]} if title in of_node else {})}
        lines.append("| " + " | ".join([title, *(shown(values[key]) if key in values else "" for key in KEYS)]) + " |")
    print("\n".join(lines))
    if sys.argv[1:2] == ["--check"]:
        page = pathlib.Path(sys.argv[2]).read_text()
        missing = [line for line in lines if line not in page]
        print("\n".join(["", "not on the page:", *missing]) if missing else "\nall rows are on the page")
        sys.exit(bool(missing))


if __name__ == "__main__":
    main()
