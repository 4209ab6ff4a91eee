"""Checks the ONNX files of a folder, and computes them with onnxruntime.

    python3 onnxruntime_check.py FOLDER

For each N.onnx the folder has N.images, the bytes [n, y, x, c] of seven images, and N.wanted, the probabilities that gpu-digits
computes. Exits with 1 where onnx's checker refuses a file, or where a probability differs by more than 1e-5.
"""
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

TOLERANCE = 1e-5

failed = False
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    _, channels, height, width = session.get_inputs()[0].shape
    images = np.fromfile(file.with_suffix(".images"), np.uint8).reshape(-1, height, width, channels)
    images = images.transpose(0, 3, 1, 2).astype(np.float32)
    wanted = np.fromfile(file.with_suffix(".wanted"), np.float32).reshape(len(images), -1)
    alone = np.concatenate([session.run(["probabilities"], {"image": image[None]})[0] for image in images])
    together, logits = session.run(["probabilities", "logits"], {"image": images})
    worst = max(np.abs(alone - wanted).max(), np.abs(together - wanted).max())
    is_right = worst <= TOLERANCE and (logits.argmax(1) == together.argmax(1)).all()
    failed |= not is_right
    text = {entry.key: entry.value for entry in model.metadata_props}["model"]
    print(f"{'passed' if is_right else 'FAILED'}: off by {worst:.1e}: {text}")
sys.exit(failed)
