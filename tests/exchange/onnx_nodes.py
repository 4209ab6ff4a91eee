"""Writes the tests of operators that the onnx package has, for tests/onnx_nodes.rs.

    python3 -m venv venv && venv/bin/pip install onnx==1.23.2 numpy==2.4.6
    venv/bin/python tests/exchange/onnx_nodes.py FOLDER
    cargo test --release --test onnx_nodes -- FOLDER

FOLDER/NAME/model.onnx has one node or a few, FOLDER/NAME/test_data_set_0 its inputs and outputs. No part of the test suite.
"""

import pathlib
import shutil
import sys

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import DATA_DIR, load_model_tests

# The operators of which a model of images may be made.
OPERATORS = {
    *("Add", "AveragePool", "BatchNormalization", "Clip", "Conv", "Div", "Dropout", "Flatten", "Gemm", "GlobalAveragePool"),
    *("GlobalMaxPool", "Identity", "LeakyRelu", "LogSoftmax", "MatMul", "MaxPool", "Mul", "PRelu", "Pad", "ReduceMax"),
    *("ReduceMean", "Relu", "Reshape", "Softmax", "Squeeze", "Sub", "Transpose"),
}
# Networks that PyTorch has exported, with their weights.
SHIPPED = ["pytorch-converted", "pytorch-operator"]


def is_of_operators(model):
    return all(node.op_type in OPERATORS | {"Constant"} for node in model.graph.node)


def write(path, values, name):
    tensor = values if isinstance(values, TensorProto) else numpy_helper.from_array(np.asarray(values), name)
    path.write_bytes(tensor.SerializeToString())


def main():
    folder = pathlib.Path(sys.argv[1])
    count = 0
    for case in load_model_tests(kind="node"):
        # Tests named `expanded` are of the same operator as other operators.
        if "expanded" in case.name or not case.data_sets or not is_of_operators(case.model):
            continue
        data = folder / case.name / "test_data_set_0"
        data.mkdir(parents=True, exist_ok=True)
        (folder / case.name / "model.onnx").write_bytes(case.model.SerializeToString())
        inputs, outputs = case.data_sets[0]
        for kind, values, infos in (("input", inputs, case.model.graph.input), ("output", outputs, case.model.graph.output)):
            for place, value in enumerate(values):
                write(data / f"{kind}_{place}.pb", value, infos[place].name)
        count += 1
    for shipped in SHIPPED:
        for path in sorted(pathlib.Path(DATA_DIR, shipped).iterdir()):
            if (path / "model.onnx").exists() and is_of_operators(onnx.load(path / "model.onnx")):
                shutil.copytree(path, folder / f"{shipped}_{path.name}", dirs_exist_ok=True)
                count += 1
    print(f"{count} tests of onnx {onnx.__version__} in {folder}")


if __name__ == "__main__":
    main()
