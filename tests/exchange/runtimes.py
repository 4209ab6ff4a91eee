"""Tries which runtimes compute a run's ONNX file as it is, for one image and for seven at a time.

    gpu-digits export RUN --format onnx
    python3 -m venv runtimes && runtimes/bin/pip install numpy onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 \\
        opencv-python-headless==5.0.0.93 ncnn==1.0.20261020 pnnx==20261020 MNN==3.6.1
    runtimes/bin/python tests/exchange/runtimes.py MNIST RUN...

MNIST is the folder of its four files, and the runs were scored on its test images: their predictions.csv holds the probabilities
that are wanted. onnxruntime also computes all of the test images. onnxruntime-web 1.30.0 needs node and npm, tract cargo; what
is not installed is said to be missing (tract takes 20 minutes to build on two cores). No part of the test suite. docs/EXPORT.md has the results.
"""
import csv
import gzip
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

TOLERANCE = 1e-5
FEW = 21

TRACT = {
    "Cargo.toml": """
[package]
name = "run"
version = "0.0.0"
edition = "2021"
[dependencies]
tract-onnx = "=0.23.9"
""",
    "src/main.rs": """
use std::io::{Read, Write};
use tract_onnx::prelude::*;

fn main() -> TractResult<()> {
    let words: Vec<String> = std::env::args().collect();
    let sizes: Vec<usize> = words[2..].iter().map(|word| word.parse().unwrap()).collect();
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let floats: Vec<f32> = bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let model = tract_onnx::onnx().model_for_path(&words[1])?.into_optimized()?.into_runnable()?;
    let images: Tensor = tract_ndarray::Array::from_shape_vec(sizes, floats)?.into();
    let outputs = model.run(tvec!(images.into()))?;
    for value in outputs[1].to_plain_array_view::<f32>()?.iter() {
        std::io::stdout().write_all(&value.to_le_bytes())?;
    }
    Ok(())
}
""",
}

WEB = """
import * as ort from "onnxruntime-web";
import { readFileSync, writeSync } from "node:fs";
const [model, ...sizes] = process.argv.slice(2);
const input = readFileSync(0);
const images = new Float32Array(input.buffer.slice(input.byteOffset, input.byteOffset + input.length));
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(model), { executionProviders: ["wasm"] });
const { probabilities } = await session.run({ image: new ort.Tensor("float32", images, sizes.map(Number)) });
writeSync(1, new Uint8Array(probabilities.data.buffer, probabilities.data.byteOffset, probabilities.data.byteLength));
"""


def by_reference(model, images):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(str(model)).run(["probabilities"], {"image": images})[0]


def by_onnxruntime(model, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"image": images})[0]


def by_openvino(model, images):
    import openvino

    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(images)["probabilities"]


def by_opencv(model, images):
    import cv2

    network = cv2.dnn.readNetFromONNX(str(model))
    network.setInput(images, "image")
    return network.forward("probabilities")


def by_ncnn(model, images):
    """ncnn has no batches: images one after the other."""
    import ncnn

    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "model.onnx"
        copy.write_bytes(model.read_bytes())
        shape = ",".join(str(size) for size in (1, *images.shape[1:]))
        pnnx = pathlib.Path(sys.executable).with_name("pnnx")
        command([pnnx, copy, f"inputshape=[{shape}]", "fp16=0"], cwd=folder)
        network = ncnn.Net()
        network.opt.use_fp16_packed = network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = False
        network.opt.use_bf16_storage = False
        network.load_param(f"{folder}/model.ncnn.param")
        network.load_model(f"{folder}/model.ncnn.bin")

        def run(image):
            extractor = network.create_extractor()
            extractor.input("in0", ncnn.Mat(image).clone())
            return np.array(extractor.extract("out1")[1])

        return np.stack([run(image) for image in images])


def by_mnn(model, images):
    import MNN

    with tempfile.TemporaryDirectory() as folder:
        converter = pathlib.Path(sys.executable).with_name("mnnconvert")
        converted = f"{folder}/model.mnn"
        command([converter, "-f", "ONNX", "--modelFile", model.resolve(), "--MNNModel", converted, "--bizCode", "MNN"], cwd=folder)
        network = MNN.nn.load_module_from_file(converted, ["image"], ["logits", "probabilities"])
        placed = MNN.expr.placeholder(list(images.shape), MNN.expr.NCHW)
        placed.write(images.ravel().tolist())
        return np.array(network.forward([placed])[1].read())


def by_tract(model, images):
    return by_program(tract(), model, images)


def by_web(model, images):
    return by_program(web(), model, images)


def by_program(words, model, images):
    words = [*words, model.resolve(), *map(str, images.shape)]
    return np.frombuffer(command(words, input=images.tobytes()), np.float32).reshape(len(images), -1)


def once(make):
    made = []

    def get():
        if not made:
            made.append(make(pathlib.Path(keep.name) / make.__name__))
        return made[0]

    return get


@once
def tract(folder):
    for name, text in TRACT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    command(["cargo", "build", "--release", "--quiet"], cwd=folder)
    return [folder / "target/release/run"]


@once
def web(folder):
    folder.mkdir()
    (folder / "run.mjs").write_text(WEB)
    command(["npm", "install", "--silent", "--no-fund", "--no-audit", "onnxruntime-web@1.30.0"], cwd=folder)
    return ["node", folder / "run.mjs"]


def command(words, **options):
    done = subprocess.run(list(map(str, words)), capture_output=True, **options)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).decode(errors="replace").strip()[-300:])
    return done.stdout


RUNTIMES = {
    "onnx, reference": by_reference,
    "onnxruntime": by_onnxruntime,
    "onnxruntime-web": by_web,
    "OpenVINO": by_openvino,
    "OpenCV": by_opencv,
    "ncnn, by pnnx": by_ncnn,
    "MNN": by_mnn,
    "tract": by_tract,
}


def test_images(folder):
    packed = folder / "t10k-images-idx3-ubyte.gz"
    data = gzip.decompress(packed.read_bytes()) if packed.exists() else packed.with_suffix("").read_bytes()
    return np.frombuffer(data, np.uint8, offset=16).reshape(-1, 1, 28, 28).astype(np.float32)


def predictions(run):
    with (run / "predictions.csv").open() as file:
        rows = csv.DictReader(file)
        columns = [name for name in rows.fieldnames if name[0] == "p" and name[1:].isdigit()]
        return np.array([[float(row[name]) for name in columns] for row in rows], np.float32)


def attempt(runtime, model, images, wanted, batch):
    try:
        parts = [runtime(model, images[start:start + batch]) for start in range(0, len(images), batch)]
        worst = np.abs(np.concatenate(parts).reshape(wanted.shape) - wanted).max()
        return f"{'passed' if worst <= TOLERANCE else 'FAILED'}: off by {worst:.1e}"
    except Exception as error:
        return f"FAILED: {type(error).__name__}: {str(error).strip()[-300:]}"


images = test_images(pathlib.Path(sys.argv[1]))
keep = tempfile.TemporaryDirectory()
for run in map(pathlib.Path, sys.argv[2:]):
    wanted = predictions(run)
    print(run)
    for name, runtime in RUNTIMES.items():
        for batch in (1, 7):
            count = FEW // batch * batch if batch > 1 else 3
            print(f"  {name}, batch {batch}: {attempt(runtime, run / 'model.onnx', images[:count], wanted[:count], batch)}")
    print(f"  onnxruntime, {len(images)} images: {attempt(by_onnxruntime, run / 'model.onnx', images, wanted, len(images))}")
