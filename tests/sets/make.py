"""Writes the small NPZ files beside it, with the library that writes real ones:

    pip install numpy==2.4.6 && python3 tests/sets/make.py

Byte p of image n is n + 10 p (modulo 256), and the label of image n is n modulo the number of classes.
"""
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent


def images(first, count, *shape):
    pixels = np.arange(np.prod(shape)).reshape(shape)
    numbers = np.arange(first, first + count).reshape(-1, *[1] * len(shape))
    return ((numbers + 10 * pixels) % 256).astype(np.uint8)


def labels(first, count, classes, kind):
    return (np.arange(first, first + count) % classes).astype(kind)


# As Keras ships MNIST.
np.savez_compressed(
    HERE / "keras.npz",
    x_train=images(0, 12, 5, 4), y_train=labels(0, 12, 3, np.uint8),
    x_test=images(12, 6, 5, 4), y_test=labels(12, 6, 3, np.uint8),
)
# As MedMNIST is: with validation images, in colour, and a column of labels.
np.savez_compressed(
    HERE / "medmnist.npz",
    train_images=images(0, 8, 4, 4, 3), train_labels=labels(0, 8, 2, np.uint8).reshape(-1, 1),
    val_images=images(8, 4, 4, 4, 3), val_labels=labels(8, 4, 2, np.uint8).reshape(-1, 1),
    test_images=images(12, 4, 4, 4, 3), test_labels=labels(12, 4, 2, np.uint8).reshape(-1, 1),
)
# Planes first, labels of more than 256 classes, most significant byte first, and not compressed; no test set.
np.savez(HERE / "planes.npz", x_train=images(0, 10, 3, 4, 5), y_train=(30 * np.arange(10)).astype(">i4"))
# What cannot be used.
np.savez_compressed(HERE / "floats.npz", x_train=images(0, 4, 3, 3) / np.float32(255), y_train=labels(0, 4, 2, np.int64))
np.savez_compressed(HERE / "columns.npz", x_train=np.asfortranarray(images(0, 4, 3, 3)), y_train=labels(0, 4, 2, np.int64))
np.savez_compressed(HERE / "negative.npz", x_train=images(0, 2, 3, 3), y_train=np.array([1, -1]))
np.savez_compressed(HERE / "other.npz", weights=np.zeros(3))
