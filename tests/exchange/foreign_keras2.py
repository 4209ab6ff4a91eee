"""Makes files of Keras 2 for tests/import.rs, as foreign.py makes those of newer libraries.

    python3 -m venv venv && venv/bin/pip install tensorflow-cpu==2.21.0 tf-keras==2.21.0 safetensors numpy==2.4.6
    venv/bin/python tests/exchange/foreign_keras2.py

Writes tests/exchange/foreign/keras2_*.h5 and what Keras computes. No part of the test suite.
"""

import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tf_keras as keras
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).parent / "foreign"
layers = keras.layers


def sequential():
    return keras.Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(9, 8, 1)),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.LeakyReLU(alpha=0.2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(5, activation="softmax"),
        ]
    )


def functional():
    start = keras.Input((8, 7, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(start)
    x = layers.add([x, layers.Conv2D(4, 3, padding="same")(x)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(start, layers.Dense(3)(x))


def save(name, model, shape, output):
    random = np.random.default_rng(5)
    for weight in model.weights:
        low = 0.2 if "variance" in weight.name else -0.5
        weight.assign(random.uniform(low, 1.0, weight.shape).astype("float32"))
    images = random.integers(0, 256, (5, *shape), dtype=np.uint8)
    values = np.ascontiguousarray(model.predict(images.astype("float32") / 255, verbose=0))
    model.save(FOLDER / f"{name}.h5")
    save_file({"images": images, output: values}, FOLDER / f"{name}.expected.safetensors")
    print(name, (FOLDER / f"{name}.h5").stat().st_size)


save("keras2_sequential", sequential(), (9, 8, 1), "probabilities")
save("keras2_functional", functional(), (8, 7, 3), "logits")
