"""Writes research_slim/small.json: what TensorFlow 1.15 computes in small networks.

    python3.7 tests/golden/make_small.py RESEARCH

RESEARCH as of make_research_slim.py. For each case every end point is noted:

- nasnet/training, nasnet/inference: NASNet-A for CIFAR of 6 cells and 8 filters, 10
  classes, without drop path; images of 32 pixels;
- xception/bounded: DeepLab's Xception-41 of 10 classes for inference, with bounded
  activations; images of 33 pixels.
"""

import functools
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "slim"))
import research_slim  # noqa: E402


def nasnet_cifar(images, is_training):
    import tf_slim
    from nets.nasnet import nasnet

    config = nasnet.cifar_config()
    config.set_hparam("num_cells", 6)
    config.set_hparam("num_conv_filters", 8)
    config.set_hparam("drop_path_keep_prob", 1.0)
    with tf_slim.arg_scope(nasnet.nasnet_cifar_arg_scope()):
        return nasnet.build_nasnet_cifar(images, 10, is_training, config)


def xception(images):
    from deeplab.core import xception
    from tensorflow.contrib import slim

    scope = xception.xception_arg_scope(use_bounded_activation=True)
    with slim.arg_scope(scope):
        return xception.xception_41(images, 10, is_training=False)


CASES = {
    "nasnet/training": (functools.partial(nasnet_cifar, is_training=True), 32),
    "nasnet/inference": (functools.partial(nasnet_cifar, is_training=False), 32),
    "xception/bounded": (xception, 33),
}


def main(research):
    sys.path[:0] = [research, str(pathlib.Path(research) / "slim")]
    found = {}
    for case, (build, size) in CASES.items():
        values = research_slim.end_point_values(build, [2, size, size, 3])
        found[case] = {k: research_slim.digest(v) for k, v in values.items()}
    path = HERE / "research_slim" / "small.json"
    lines = [
        f" {json.dumps(case)}: {{\n"
        + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in digests.items())
        + "\n }"
        for case, digests in found.items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
